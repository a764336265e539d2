"""Variants of a model beside it, against their outputs themselves."""

from __future__ import annotations

from math import inf
from pathlib import Path

import numpy as np
import onnx
import pytest
from msgspec.structs import replace
from onnx import helper

from effaudit.errors import RunError
from effaudit.graph import Graph
from effaudit.load import read
from effaudit.run import Limits, compare, deviations
from effaudit.whatif.constants import literal
from tests.whatif.running import model, run

WEIGHT = np.array([[1.0, -2.0], [0.5, 4.0]], np.float32)
FEEDS = [{"x": np.array([[1.0, 2.0]], np.float32)}, {"x": np.array([[-3.0, 0.25]], np.float32)}]


def source(folder: Path) -> Graph:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["y"]),
        helper.make_node("Log", ["y"], ["z"]),
        helper.make_node("ArgMax", ["y"], ["i"], axis=1, keepdims=0),
    ]
    outputs = {"y": [1, 2], "z": [1, 2], "i": [1]}
    made = model(nodes, {"x": [1, 2]}, outputs, {"w": WEIGHT}, types={"i": onnx.TensorProto.INT64})
    onnx.save(made, folder / "model.onnx")
    return read(folder / "model.onnx")


def with_weight(graph: Graph, weight: np.ndarray) -> Graph:
    return replace(graph, constants={"w": literal("w", weight)}, history=("changed",))


def test_squares_are_those_of_the_outputs(tmp_path: Path) -> None:
    graph = source(tmp_path)
    other = WEIGHT * 1.25 + 0.125
    same, found = deviations(graph, (graph, with_weight(graph, other)), FEEDS)
    assert same.relative == 0 and set(same.noise) == {"y", "z"}
    noise = signal = 0.0
    for feed in FEEDS:
        wanted, got = feed["x"].astype(np.float64) @ WEIGHT, feed["x"].astype(np.float64) @ other
        noise += float(np.square(wanted - got).sum())
        signal += float(np.square(wanted).sum())
    assert found.noise["y"] == pytest.approx(noise, rel=1e-5)
    assert found.signal["y"] == pytest.approx(signal, rel=1e-5)
    with np.errstate(invalid="ignore"):
        logs = [(run(tmp_path / "model.onnx", feed)[1], np.log(feed["x"] @ other)) for feed in FEEDS]
    finite = [np.isfinite(wanted) for wanted, _ in logs]
    assert found.noise["z"] == pytest.approx(
        sum(np.square(a - b)[known].sum() for (a, b), known in zip(logs, finite, strict=True)), rel=1e-4
    )
    assert found.relative == pytest.approx(sum(found.noise[o] / found.signal[o] for o in "yz") / 2)


def test_what_is_not_finite_or_refused_is_infinitely_far(tmp_path: Path) -> None:
    graph = source(tmp_path)
    broken = replace(graph, nodes=(replace(graph.nodes[0], op="NoSuchOperator"), *graph.nodes[1:]), history=("broken",))
    infinite = with_weight(graph, np.full((2, 2), np.inf, np.float32))
    first, second = deviations(graph, (infinite, broken), FEEDS)
    assert first.relative == inf and not first.refused
    assert second.relative == inf and "NoSuchOperator" in second.refused


def test_variants_go_in_batches_that_the_disk_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = source(tmp_path)
    monkeypatch.setattr(compare, "TOGETHER_BYTES", 600)
    variants = [with_weight(graph, WEIGHT + step) for step in (0.0, 0.5, 1.0, 2.0)]
    shares = [one.relative for one in deviations(graph, variants, FEEDS)]
    assert shares[0] == 0 and shares == sorted(shares)
    monkeypatch.undo()
    assert [one.relative for one in deviations(graph, variants, FEEDS)] == shares


def test_a_model_that_does_not_run_itself_raises(tmp_path: Path) -> None:
    graph = source(tmp_path)
    with pytest.raises(RunError, match=r"model\.onnx"):
        deviations(graph, (graph,), [{"x": np.ones((1, 3), np.float32)}], limits=Limits(seconds=60))
