"""Mixed tables against all tables there are, run as they are written."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from effaudit import whatif
from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.graph import Graph
from effaudit.run import deviations
from effaudit.save import save_model
from effaudit.whatif.quantize import mixed
from effaudit.whatif.quantize.mixed import Option
from effaudit.whatif.quantize.sensitivity import bench, constant_bytes, measured, variant
from effaudit.whatif.quantize.tables import entry
from tests.whatif.quantize.static_nets import perceptron
from tests.whatif.quantize.test_sensitivity import given
from tests.whatif.quantize.test_static import feeds


def options(seed: int, nodes: int, schemes: int) -> dict[str, list[Option]]:
    """Random choices, each node's on its front: less error for less saved."""
    draw = np.random.default_rng(seed)
    found = {}
    for i in range(nodes):
        noise, saved = np.sort(draw.exponential(1.0, schemes))[::-1], np.sort(draw.integers(1, 1000, schemes))[::-1]
        of = [Option(f"s{j}", float(n), int(s)) for j, (n, s) in enumerate(zip(noise, saved, strict=True))]
        found[f"n{i}"] = [*of, Option("float", 0.0, 0)]
    return found


def totals(table: dict[str, str], of: dict[str, list[Option]]) -> tuple[int, float]:
    picked = [next(o for o in every if o.scheme == table.get(label, "float")) for label, every in of.items()]
    return sum(o.saved for o in picked), sum(o.noise for o in picked)


@pytest.mark.parametrize("seed", range(12))
def test_the_least_of_few_tables_is_that_of_all(seed: int) -> None:
    of = options(seed, nodes=4, schemes=3)
    budget = 0.3 * (seed + 1)
    best = max(sum(o.saved for o in table) for table in product(*of.values()) if sum(o.noise for o in table) <= budget)
    saved, noise = totals(mixed.least(of, budget), of)
    assert saved == best and noise <= budget


@pytest.mark.parametrize("seed", range(12))
def test_the_greedy_search_keeps_the_budget_and_comes_near(seed: int) -> None:
    of = options(seed, nodes=6, schemes=2)
    budget = 0.4 * (seed + 1)
    chosen = mixed._greedy(of, budget)
    saved, noise = sum(o.saved for o in chosen.values()), sum(o.noise for o in chosen.values())
    assert noise <= budget
    assert saved >= 0.85 * totals(mixed.least(of, budget), of)[0]


def bound(of: dict[str, list[Option]], budget: float) -> float:
    """No table saves more: the best of those that may take a part of a scheme, by the convex front of each node."""
    steps = []
    for every in of.values():
        front = [every[-1]]
        while more := [o for o in every if o.saved > front[-1].saved]:
            front.append(min(more, key=lambda o: (o.noise - front[-1].noise) / (o.saved - front[-1].saved)))
            here, there = front[-2:]
            steps.append(((there.noise - here.noise), there.saved - here.saved))
    saved = 0.0
    for noise, more_saved in sorted(steps, key=lambda step: step[0] / step[1]):
        part = min(1.0, budget / noise)
        saved, budget = saved + part * more_saved, budget - part * noise
        if part < 1:
            break
    return saved


@pytest.mark.parametrize("budget", [1.0, 10.0, 40.0])
def test_many_nodes_come_near_what_no_table_exceeds(budget: float) -> None:
    of = options(5, nodes=40, schemes=3)
    saved, noise = totals(mixed.least(of, budget), of)
    assert noise <= budget
    assert 0.93 * bound(of, budget) <= saved <= bound(of, budget)


def of_all(audited: Audited, folder: Path, schemes: tuple[str, ...], budget: float) -> int:
    """The fewest bytes of constants of all tables of the three products that are really within the budget."""
    places = [i for i, node in enumerate(audited.raw.nodes) if node.label in ("one", "two", "three")]
    ready = bench(audited, whatif.parse("quantize", f"int4,calibrate={folder}").arguments, ())
    tables = [
        {i: entry(scheme) for i, scheme in zip(places, picked, strict=True) if scheme != "float"}
        for picked in product(schemes, repeat=3)
    ]
    graphs = [graph for table in tables if table and (graph := variant(ready, table)) is not None]
    noises = measured(ready, graphs)
    return min(constant_bytes(graph) for graph, noise in zip(graphs, noises, strict=True) if noise <= budget)


@pytest.mark.parametrize("decibels", [22, 25, 40])
def test_the_table_is_the_least_of_all_that_keep_the_budget(decibels: int, tmp_path: Path) -> None:
    audited = given(tmp_path, perceptron(), "perceptron")
    step = f"int4,per-channel,calibrate={tmp_path}"
    found = mixed.mixed(audited, whatif.parse("quantize", step).arguments, ("w4,per-channel", "w8"), decibels)
    assert found.sqnr_db is not None and found.sqnr_db >= decibels
    assert found.constant_bytes == of_all(audited, tmp_path, ("w4,per-channel", "w8", "float"), 10 ** (-decibels / 10))


def test_the_document_is_the_table(tmp_path: Path) -> None:
    audited = given(tmp_path, perceptron(), "perceptron")
    arguments = whatif.parse("quantize", f"int8,calibrate={tmp_path}").arguments
    found = mixed.mixed(audited, arguments, ("int8", "w8a16"), 40)
    (tmp_path / "mixed.yaml").write_text(mixed.document(found, audited))
    step = f"table={tmp_path / 'mixed.yaml'},calibrate={tmp_path}"
    change, changed = whatif.apply(audited, whatif.parse("quantize", step))
    assert noise_of(audited, change.graph) == pytest.approx(found.noise, rel=1e-6)
    assert constant_bytes(change.graph) == found.constant_bytes
    assert len(set(found.schemes.values())) == 2  # this budget needs both
    assert changed.table.total("macs") == audited.table.total("macs")
    save_model(change.graph, tmp_path / "mixed.onnx")


def noise_of(audited: Audited, graph: Graph) -> float:
    return deviations(audited.raw, (graph,), feeds("perceptron"))[0].relative


def test_the_option_finds_the_table(tmp_path: Path) -> None:
    audited = given(tmp_path, perceptron(), "perceptron")
    change, _ = whatif.apply(audited, whatif.parse("quantize", f"int8,budget=40dB,calibrate={tmp_path}"))
    assert "dB of signal to noise at the outputs where at least 40.0 dB is asked" in change.notes[0]
    assert 0 < noise_of(audited, change.graph) <= 1e-4
    assert change.loss == pytest.approx(noise_of(audited, change.graph), rel=1e-6)
    rows = {row.name: row.figures["scheme"] for row in change.details if row.table == "mixed"}
    assert set(rows) == {"one", "leaky", "two", "sigmoid", "swish", "three"}
    assert set(rows.values()) <= {"int8", "w8a16", "float"}


def test_a_budget_that_nothing_keeps_changes_nothing(tmp_path: Path) -> None:
    audited = given(tmp_path, perceptron(), "perceptron")
    change, changed = whatif.apply(audited, whatif.parse("quantize", f"int4,budget=300dB,calibrate={tmp_path}"))
    assert "every node stays as it is" in change.notes[0]
    assert changed.graph.nodes == audited.graph.nodes


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("int8,budget=30dB", "no calibration data"),
        ("int8,budget=x", "such as 30dB"),
        ("int8,among=w8a16", "add budget="),
        ("int8,budget=30,among=int99,calibrate=random", "2 to 16"),
        ("table=t.yaml,budget=30", "drop table="),
    ],
)
def test_refusals(written: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=why):
        whatif.apply(given(tmp_path, perceptron(), "perceptron"), whatif.parse("quantize", written))


def test_the_option_reads_back() -> None:
    for written in ("int8,sensitivity,calibrate=random", "int4,calibrate=random,budget=30dB,among=w8|w6"):
        step = whatif.parse("quantize", written)
        assert whatif.parse("quantize", whatif.text(step).removeprefix("--quantize ")) == step
