"""Codebooks: tables found by k-means, against brute force, and what they store."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from effaudit import whatif
from effaudit.audited import examine
from effaudit.errors import UsageError
from effaudit.explain.formulas import find as formula
from effaudit.load.values import values as elements
from effaudit.whatif.codebook.means import entries, nearest
from tests.whatif.running import Array, changed, model, run, same_outputs
from tests.whatif.test_lowrank import drawn, product

RNG = np.random.default_rng(5)


def noise(numbers: Array, book: Array) -> float:
    """By trying every entry for every number."""
    return float(np.square(numbers[:, None] - book[None]).min(axis=1).sum())


def best(numbers: Array, k: int) -> float:
    """The least noise of any k entries: clusters of sorted numbers are runs, and all cuts into runs are tried."""
    ordered = np.sort(numbers)
    found = np.inf
    for cuts in combinations(range(1, ordered.size), k - 1):
        runs = np.split(ordered, cuts)
        found = min(found, sum(float(np.square(one - one.mean()).sum()) for one in runs))
    return float(found)


@pytest.mark.parametrize("k", [2, 3, 4])
def test_tables_are_near_the_best_there_are(k: int) -> None:
    ratios = []
    for seed in range(20):
        numbers = np.random.default_rng(seed).standard_normal(14)
        ratios.append(noise(numbers, entries(numbers, k)) / best(numbers, k))
    assert min(ratios) > 1 - 1e-9 and max(ratios) < 2.5 and np.mean(ratios) < 1.15
    apart = np.concatenate([centre + RNG.uniform(-0.1, 0.1, 5) for centre in (-3, 0, 2, 5)[:k]])
    assert noise(apart, entries(apart, k)) == pytest.approx(best(apart, k))


@pytest.mark.parametrize("k", [2, 7, 16, 256])
def test_entries_are_the_means_of_what_is_nearest(k: int) -> None:
    numbers = RNG.standard_normal(4000).astype(np.float32)
    book = entries(numbers, k)
    assert book.size == k and (np.diff(book) > 0).all()
    where = nearest(book, numbers)
    exact = np.abs(numbers[:, None].astype(np.float64) - book).min(axis=1)
    assert np.abs(numbers - book[where]) == pytest.approx(exact, abs=1e-6)
    means = np.array([numbers[where == i].mean(dtype=np.float64) for i in range(k) if (where == i).any()])
    used = np.unique(where)
    assert np.abs(book[used] - means).max() < 0.05 * np.abs(numbers).max() / k
    assert (entries(numbers, k) == book).all() and (entries(numbers[::-1], k) == book).all()


@pytest.mark.parametrize(("k", "least"), [(2, 0.3634), (4, 0.1175), (16, 0.009497), (256, 3**0.5 * np.pi / 2 / 256**2)])
def test_tables_of_normal_weights_are_those_of_the_theory(k: int, least: float) -> None:
    """J. Max, Quantizing for minimum distortion, 1960, table I; of many entries, Panter and Dite, 1951."""
    numbers = RNG.standard_normal(300_000).astype(np.float32)
    book = entries(numbers, k)
    assert np.square(numbers - book[nearest(book, numbers)]).mean() == pytest.approx(least, rel=0.04)


def test_few_values_are_kept_as_they_are() -> None:
    numbers = RNG.choice(np.array([-1.5, 0.25, 4], np.float32), 100)
    assert entries(numbers, 3).tolist() == [-1.5, 0.25, 4] == entries(numbers, 16).tolist()
    assert entries(np.zeros(9, np.float32), 4).tolist() == [0]


def test_pruned_weights_stay_zero() -> None:
    numbers = RNG.standard_normal(1000).astype(np.float32) + 0.3
    numbers[RNG.permutation(1000)[:500]] = 0
    book = entries(numbers, 8)
    assert 0.0 in book and (book[nearest(book, numbers)][numbers == 0] == 0).all()
    assert 0.0 not in entries(numbers[numbers != 0], 8)


# ---- the step
def test_sixteen_entries_take_four_bits(tmp_path: Path) -> None:
    """Deep Compression's example: log2(16) = 4 bits per weight, and the table: https://arxiv.org/abs/1510.00149"""
    net = product("Conv", drawn(16, 8, 3, 3), bias=True, shape=[1, 8, 6, 6])
    change, before, made, _, after = changed(tmp_path, net, "codebook", "k=16")
    (row,) = change.details
    figures = row.figures
    count = 16 * 8 * 9
    assert figures["index_bits"] == 4 and figures["index_bytes"] == count // 2 and figures["table_bytes"] == 16 * 4
    assert figures["before_bytes"] == 4 * count
    assert made.weights.bytes_of("param") == count // 2 + 64 + 16 * 4
    assert made.weights.params == before.weights.params
    assert made.table.total("macs") == before.table.total("macs")
    weight, shared = (elements(one.raw.constants["w"]) for one in (before, made))
    assert np.unique(shared).size == figures["used"] == 16
    off = np.square(weight.astype(np.float64) - shared).sum()
    signal = np.square(weight.astype(np.float64)).sum()
    assert figures["mse"] == pytest.approx(off / count) and change.loss == pytest.approx(off / signal)
    assert figures["sqnr_db"] == pytest.approx(10 * np.log10(signal / off))
    assert figures["max_abs_error"] == pytest.approx(np.abs(weight - shared).max())
    assert not change.retrain
    saved = examine(after)
    assert (elements(saved.raw.constants["w"]) == shared).all()
    assert saved.weights.bytes_of("param") == before.weights.bytes_of("param")  # dense, as the note says
    assert "dense" in " ".join(change.notes)
    x = drawn(1, 8, 6, 6)
    (found,) = run(after, {"x": x})
    (given,) = run(tmp_path / "before.onnx", {"x": x})
    assert 0 < np.abs(found - given).max() < 0.3 * np.abs(given).max()


def test_bytes_are_those_of_the_formula(tmp_path: Path) -> None:
    for text, k in (("k=5", 5), ("bits=3", 8), ("k=17", 17)):
        change, *_ = changed(tmp_path, product("MatMul", drawn(31, 17), shape=[2, 31]), "codebook", text)
        bits = (k - 1).bit_length()
        assert change.details[0].figures["stored_bytes"] == -(-31 * 17 * bits // 8) + 4 * k
        assert change.retrain == (bits < 4)
    assert formula("codebook-bytes") is not None


def test_half_precision_entries_are_half_precision(tmp_path: Path) -> None:
    net = model(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        {"x": [2, 40]},
        {"y": [2, 20]},
        {"w": drawn(40, 20).astype(np.float16)},
        dtype=TensorProto.FLOAT16,
    )
    change, before, made, *_ = changed(tmp_path, net, "codebook", "bits=4")
    assert change.details[0].figures["table_bytes"] == 32
    shared = elements(made.raw.constants["w"])
    assert shared.dtype == np.float16 and np.unique(shared).size == 16
    off = elements(before.raw.constants["w"]).astype(np.float64) - shared
    assert change.details[0].figures["mse"] == pytest.approx(np.square(off).mean())


def test_few_values_lose_nothing(tmp_path: Path) -> None:
    weight = RNG.choice(np.array([-1, 0.5, 2], np.float32), (30, 20))
    change, _, _, before, after = changed(tmp_path, product("MatMul", weight, shape=[2, 30]), "codebook", "k=16")
    assert change.loss == 0 and change.details[0].figures["sqnr_db"] is None
    assert change.details[0].figures["used"] == 3
    same_outputs(before, after, {"x": drawn(2, 30)}, 0)


def test_what_stays_says_why(tmp_path: Path) -> None:
    odd = drawn(20, 20)
    odd[3, 3] = np.inf
    nodes = [
        helper.make_node("MatMul", ["x", "big"], ["a"], name="one"),
        helper.make_node("MatMul", ["a", "small"], ["b"], name="two"),
        helper.make_node("MatMul", ["b", "odd"], ["c"], name="three"),
        helper.make_node("Add", ["c", "bias"], ["y"], name="four"),
    ]
    held = {"big": drawn(20, 3), "small": drawn(3, 20), "odd": odd, "bias": drawn(20)}
    net = model(nodes, {"x": [2, 20]}, {"y": [2, 20]}, held)
    change, *_ = changed(tmp_path, net, "codebook", "k=16")
    assert [row.name for row in change.details] == ["big", "small"]
    assert [(one.group, one.reason) for one in change.blocked] == [("odd", "it holds NaN or infinity")]
    with pytest.raises(UsageError, match="no weights take fewer bytes with a table; big: indices and table take 301"):
        changed(tmp_path, net, "codebook", "k=64,only=big")
    change, *_ = changed(tmp_path, net, "codebook", "k=4,only=bias|tw*")
    assert {row.name for row in change.details} == {"small", "bias"}
    with pytest.raises(UsageError, match="no weight, nor a node that reads one, has a name like 'bog'"):
        changed(tmp_path, net, "codebook", "k=4,skip=bog")


def test_a_model_of_structure_only() -> None:
    net = examine("sample:mobilenetv2")
    change, made = whatif.apply(net, whatif.parse("codebook", "bits=4"))
    assert change.loss is None and all(row.figures["mse"] is None for row in change.details)
    stored = sum(int(row.figures["stored_bytes"] or 0) for row in change.details)
    before = sum(int(row.figures["before_bytes"] or 0) for row in change.details)
    assert made.weights.bytes_of("param") == net.weights.bytes_of("param") - before + stored
    assert before / stored > 7.9


@pytest.mark.parametrize("text", ["k=16", "bits=4", "k=5,only=a*|b,skip=c"])
def test_the_text_of_arguments(text: str) -> None:
    assert whatif.text(whatif.parse("codebook", text)) == f"--codebook {text}"


@pytest.mark.parametrize("text", ["", "16", "k=1", "bits=17", "k=65537", "k=16,bits=4", "only=a", "k=2,size=3"])
def test_refused_arguments(text: str) -> None:
    with pytest.raises(UsageError, match="--codebook"):
        whatif.parse("codebook", text)
