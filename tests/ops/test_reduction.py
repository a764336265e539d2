"""Reductions, arg-extremes, running sums and TopK against runs; known values against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effaudit import dims
from effaudit.graph import FLOAT, INT64, Encoding, Value
from effaudit.ops._folding import fold_axes, greatest, least, mean, product, scan_axis, total

from . import oracle
from .oracle import ALWAYS, SYMBOLIC, check, ints, random, scalar

X = random(2, 3, 4, 5)
SIMPLE = ["ReduceSum", "ReduceProd", "ReduceMax", "ReduceMin", "ReduceMean"]
COMPOSITE = ["ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"]
OPS = SIMPLE + COMPOSITE


def moved_at(op: str) -> int:
    """The version that made `axes` an input."""
    return 13 if op == "ReduceSum" else 18


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("keepdims", [0, 1])
def test_axes_as_attribute(op: str, keepdims: int) -> None:
    for opset in (7, 11) if op == "ReduceSum" else (7, 11, 13):
        check(op, [X], {"axes": [-1, 1], "keepdims": keepdims}, opset=opset)
    check(op, [X], {"keepdims": keepdims}, opset=11)


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("keepdims", [0, 1])
def test_axes_as_input(op: str, keepdims: int) -> None:
    for opset in {moved_at(op), 18, 20}:
        check(op, [X, ints(2, -4)], {"keepdims": keepdims}, opset=opset, constant=[1])
        check(op, [X, ints(2, -4)], {"keepdims": keepdims}, opset=opset, unknown=ALWAYS)
        check(op, [X, ints(0, 1, 2, 3)], {"keepdims": keepdims}, opset=opset, unknown=SYMBOLIC)  # all, in any order
        check(op, [X, ints(1, -3, 1)], {"keepdims": keepdims}, opset=opset, constant=[1])  # twice is once
        check(op, [X, ints()], {"keepdims": keepdims}, opset=opset, constant=[1])
        check(op, [X, ints()], {"keepdims": keepdims, "noop_with_empty_axes": 1}, opset=opset, constant=[1])
        check(op, [X], {"keepdims": keepdims, "noop_with_empty_axes": 1}, opset=opset)
        check(op, [X], opset=opset)


@pytest.mark.parametrize("op", OPS)
def test_counts(op: str) -> None:
    graph = check(op, [X, ints(1)], opset=18, constant=[1])
    per_output = 0 if op in ("ReduceSum", "ReduceProd", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceSumSquare") else 1
    per_input = 2 if op in COMPOSITE and op != "ReduceLogSum" else 1
    assert oracle.cost(graph).ops == per_input * 120 + per_output * 40
    graph = check(op, [X], {"noop_with_empty_axes": 1}, opset=18)
    assert oracle.cost(graph).ops == {"ReduceL2": 240, "ReduceLogSumExp": 240}.get(op, 0 if op in SIMPLE else 120)


def test_unsettled_axes_are_bounded() -> None:
    graph = check("ReduceSum", [X, ints(1)], opset=18, unknown=ALWAYS)
    assert [dims.bounds(d) for d in oracle.value(graph).shape or ()] == [(1, 2), (1, 3), (1, 4), (1, 5)]
    graph = check("ReduceSum", [X, ints(1, 2)], {"keepdims": 0}, opset=18, unknown=ALWAYS)
    assert [dims.bounds(d) for d in oracle.value(graph).shape or ()] == [(2, 4), (3, 5)]


@pytest.mark.parametrize("op", SIMPLE)
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.float32])
@pytest.mark.parametrize("axes", [[0], [-1], [0, 1], []])
@pytest.mark.parametrize("opset", [18, 11])
def test_known_values(op: str, dtype: Any, axes: list[int], opset: int) -> None:
    data = np.array([[3, -4, 1], [6, 0, -7]], dtype)
    if opset == 18:
        graph = check(op, [data, ints(*axes)], {"keepdims": 0}, opset=18, constant=True)
    else:
        graph = check(op, [data], {"keepdims": 1} | ({"axes": axes} if axes else {}), opset=11, constant=True)
    known = oracle.value(graph).data
    assert known is not None or op == "ReduceMean"
    assert known is None or dtype is np.float32 or all(type(x) is int for x in known)


@pytest.mark.parametrize("op", ["ReduceMax", "ReduceMin"])
def test_extremes_of_any_floats_are_known(op: str) -> None:
    graph = check(op, [np.array([0.1, 2.7, -3.3], np.float32)], {"keepdims": 0}, opset=18, constant=True)
    assert oracle.value(graph).data is not None


def test_sums_that_are_rounded_are_not_known() -> None:
    for data in ([0.1, 0.2], [2.0**24, 1.0], [3e38, 3e38]):
        graph = check("ReduceSum", [np.array(data, np.float32)], opset=18, constant=True)
        assert oracle.value(graph).data is None
    wide = np.array([2**62, 2**62], np.int64)
    assert oracle.value(check("ReduceSum", [wide], opset=18, constant=True)).data is None
    assert oracle.value(check("ReduceProd", [wide], opset=18, constant=True)).data is None


def test_reductions_of_booleans() -> None:
    for op in ("ReduceMax", "ReduceMin"):
        check(op, [np.array([True, False])], {"keepdims": 0}, opset=20, constant=True)


def test_reductions_of_expressions() -> None:
    n, m = dims.symbol("n"), dims.symbol("m")
    value = Value(INT64, (2, 2), (n, 2, m, 3))
    every, first = frozenset((0, 1)), frozenset((0,))
    assert fold_axes(total, value, first, INT64) == (n + m, 5)
    assert fold_axes(product, value, every, INT64) == (n * m * 6,)
    assert fold_axes(greatest, value, first, INT64) == (dims.maximum(n, m), 3)
    assert fold_axes(least, value, first, INT64) == (dims.minimum(n, m), 2)
    assert fold_axes(mean, Value(INT64, (2,), (n * 4, 6)), first, INT64) == (n * 2 + 3,)
    assert fold_axes(mean, Value(INT64, (2,), (n, 6)), first, INT64) is None
    assert fold_axes(product, Value(FLOAT, (2,), (n, 2.0)), first, FLOAT) == (n * 2,)
    assert fold_axes(total, Value(INT64, (2, 2), (1, None, 2, 3)), first, INT64) == (3, None)
    assert scan_axis(lambda a, b: a + b, 0, Value(INT64, (3,), (n, 1, None)), 0, False, False) == (n, n + 1, None)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_random_reductions(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 4), min_size=0, max_size=4))
    axes = data.draw(st.lists(st.integers(-len(shape), len(shape) - 1), max_size=3)) if shape else []
    axes = list({axis % len(shape): axis for axis in axes}.values())
    attrs = {"keepdims": data.draw(st.integers(0, 1)), "noop_with_empty_axes": data.draw(st.integers(0, 1))}
    op = data.draw(st.sampled_from(OPS))
    x = random(*shape, dtype=np.int64 if op in SIMPLE else np.float32)
    constant = data.draw(st.sampled_from([[0, 1], [1]]))
    check(op, [x, ints(*axes)], attrs, opset=18, constant=constant, tie=data.draw(st.booleans()))
    check(op, [x, ints(*axes)], attrs, opset=18, unknown=ALWAYS)


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize(
    ("opset", "attrs"),
    [
        (7, {}),
        (11, {"axis": -1}),
        (12, {"axis": 1, "keepdims": 0, "select_last_index": 1}),
        (13, {"keepdims": 0}),
    ],
)
def test_arg_extremes(op: str, opset: int, attrs: dict[str, Any]) -> None:
    graph = check(op, [X], attrs, opset=opset)
    assert oracle.cost(graph).ops == X.size
    ties = np.array([[3, 7, 7], [7, 1, 1], [3, 1, 7]], np.float32)
    known = oracle.value(check(op, [ties], attrs, opset=opset, constant=True)).data
    assert known is not None and None not in known


@pytest.mark.parametrize(("op", "opset"), [("CumSum", 11), ("CumSum", 14), ("CumProd", 26)])
@pytest.mark.parametrize("exclusive", [0, 1])
@pytest.mark.parametrize("reverse", [0, 1])
@pytest.mark.parametrize("axis", [0, -1])
def test_running(op: str, opset: int, exclusive: int, reverse: int, axis: int) -> None:
    attrs = {"exclusive": exclusive, "reverse": reverse}
    for dtype in (np.int64, np.float32):
        data = np.array([[3, -4, 1], [6, 2, -7]], dtype)
        wanted = _running(data, np.cumsum if op == "CumSum" else np.cumprod, axis, exclusive, reverse)
        graph = check(op, [data, scalar(axis)], attrs, opset=opset, constant=True, expected=[wanted])
        assert oracle.value(graph).data == tuple(wanted.flat)
        if opset < 26:
            check(op, [data, scalar(axis)], attrs, opset=opset)
            check(op, [data, scalar(axis)], attrs, opset=opset, constant=True)
    assert oracle.cost(graph).ops == 6


def _running(data: Any, function: Any, axis: int, exclusive: int, reverse: int) -> Any:
    """As the specification's examples have it."""
    start = 0 if function is np.cumsum else 1
    flipped = np.flip(data, axis) if reverse else data
    if exclusive:
        head = np.full_like(np.take(flipped, [0], axis), start)
        flipped = np.concatenate([head, np.delete(flipped, -1, axis)], axis)
    made = function(flipped, axis=axis).astype(data.dtype)
    return np.flip(made, axis) if reverse else made


@pytest.mark.parametrize("opset", [7, 9])
def test_top_k_by_attribute(opset: int) -> None:
    graph = check("TopK", [X], {"k": 2, "axis": 1}, opset=opset, outputs=2, symbolic=False)
    assert oracle.cost(graph).ops == X.size
    check("TopK", [X], {"k": 5}, opset=opset, outputs=2)


@pytest.mark.parametrize("opset", [10, 11, 24])
def test_top_k_by_input(opset: int) -> None:
    check("TopK", [X, ints(3)], {"axis": 2}, opset=opset, outputs=2, constant=[1])
    check("TopK", [X, ints(3)], opset=opset, outputs=2, unknown=ALWAYS)


def test_top_k_of_fed_k_is_bounded_by_the_axis() -> None:
    shape = oracle.value(check("TopK", [X, ints(3)], opset=11, outputs=2, unknown=ALWAYS)).shape
    assert shape is not None and shape[:3] == (2, 3, 4) and dims.bounds(shape[3]) == (0, 5)


@pytest.mark.parametrize(
    ("op", "inputs", "attrs"),
    [
        ("ReduceSum", [X, ints(4)], {}),
        ("ArgMax", [X], {"axis": 4}),
        ("TopK", [X, ints(6)], {}),
        ("CumSum", [X, scalar(4)], {}),
    ],
)
def test_invalid_nodes_are_unknown_with_the_reason(op: str, inputs: list[Any], attrs: dict[str, Any]) -> None:
    graph = oracle.infer(oracle.single_node(op, inputs, attrs, opset=18, constant=[1] if len(inputs) > 1 else []))
    assert oracle.value(graph).shape is None
    assert oracle.value(graph).why.startswith(f"invalid {op}")


def test_encodings_hold_results_exactly() -> None:
    half = Encoding("float16", 16)
    assert fold_axes(total, Value(half, (2,), (2000.0, 48.0)), frozenset((0,)), half) == (2048.0,)
    assert fold_axes(total, Value(half, (2,), (2000.0, 49.0)), frozenset((0,)), half) is None
    byte = Encoding("uint8", 8)
    assert fold_axes(total, Value(byte, (2,), (200, 55)), frozenset((0,)), byte) == (255,)
    assert fold_axes(total, Value(byte, (2,), (200, 56)), frozenset((0,)), byte) is None
