"""What single elements depend on, against ONNX Runtime: one pixel of the input changed at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, numpy_helper

from effaudit.audited import examine
from effaudit.errors import Undecided
from effaudit.ops._registry import registered
from effaudit.views.reach.reach import Reach
from effaudit.views.reach.steps import Budget, Steps, hull, merged, parted, union
from effaudit.views.reach.walk import Walk, sources

from ..examples.graphs import Net

HEIGHT, WIDTH = 6, 8
Maker = Callable[[Net, str], str]


def weighted(model: ModelProto) -> ModelProto:
    """The model with random weights in place of the absent ones."""
    rng = np.random.default_rng(1)
    for tensor in model.graph.initializer:
        if tensor.external_data:
            values = rng.uniform(0.5, 1.5, tuple(tensor.dims)).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return model


def dependencies(model: ModelProto, name: str) -> np.ndarray[Any, Any]:
    """output element x pixel: whether a change of the pixel, alone, changes the element."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    base = np.random.default_rng(2).uniform(1, 2, (1, 1, HEIGHT, WIDTH)).astype(np.float32)
    before = session.run(None, {name: base})[0]
    changed = np.zeros((*before.shape, HEIGHT, WIDTH), bool)
    for i, j in np.ndindex(HEIGHT, WIDTH):
        for bump in (0.75, -0.5, 3.0):  # a maximum, or a rank, moves only with some of them
            x = base.copy()
            x[0, 0, i, j] += bump
            changed[..., i, j] |= session.run(None, {name: x})[0] != before
    return changed


def interval(one: Reach, place: tuple[int, ...]) -> tuple[float, float]:
    """What the analysis says of one element."""
    if one.whole:
        assert one.extent is not None
        return 0, one.extent - 1
    low, high = one.low, one.high
    for axis, term in one.terms:
        a, b = term.at(place[axis])
        low, high = low + a, high + b
    assert one.extent is not None
    return max(low, 0), min(high, one.extent - 1)


def unary(op: str, **attrs: Any) -> Maker:
    return lambda net, x: net.unary(op, x, **attrs)


def rows_by(net: Net, x: str) -> str:
    """A product from the right: mixes the last axis."""
    return net.node("MatMul", [x, net.weight(WIDTH, 3)], (1, 2, HEIGHT, 3))


def columns_by(net: Net, x: str) -> str:
    return net.node("MatMul", [net.weight(5, HEIGHT), x], (1, 2, 5, WIDTH))


def by_vector(net: Net, x: str) -> str:
    return net.node("MatMul", [x, net.weight(WIDTH)], (1, 2, HEIGHT))


def vector_by(net: Net, x: str) -> str:
    return net.node("MatMul", [net.weight(HEIGHT), x], (1, 2, WIDTH))


def batched(net: Net, x: str) -> str:
    """An axis of length 1 that broadcasts over five matrices."""
    flat = net.node("Unsqueeze", [x, net.constant([2])], (1, 2, 1, HEIGHT, WIDTH))
    return net.node("MatMul", [flat, net.weight(5, WIDTH, 3)], (1, 2, 5, HEIGHT, 3))


def turned_product(net: Net, x: str) -> str:
    """Gemm of the transposed map: columns become rows."""
    matrix = net.reshape(net.slice(x, 1, 0, 1), HEIGHT, WIDTH)
    return net.node("Gemm", [matrix, net.weight(4, HEIGHT), net.weight(4)], (WIDTH, 4), transA=1, transB=1)


def einsum(net: Net, x: str) -> str:
    return net.node("Einsum", [x, net.weight(WIDTH, 3)], (3, HEIGHT, 2), equation="bchw,wk->khc")


def layer_norm(net: Net, x: str) -> str:
    return net.layer_norm(x, affine=False)


def batch_norm(net: Net, x: str) -> str:
    return net.batch_norm(x)


def instance_norm(net: Net, x: str) -> str:
    return net.node("InstanceNormalization", [x, net.weight(2), net.weight(2)], net.shape[x])


def group_norm(net: Net, x: str) -> str:
    return net.node("GroupNormalization", [x, net.weight(2), net.weight(2)], net.shape[x], num_groups=2)


def expanded(net: Net, x: str) -> str:
    mean = net.node("ReduceMean", [x, net.constant([3])], (1, 2, HEIGHT, 1))
    return net.node("Expand", [mean, net.constant([1, 2, HEIGHT, 5])], (1, 2, HEIGHT, 5))


def folded(net: Net, x: str) -> str:
    """Merged and split: 6 x 8 as 48, as 4 x 12 would depend on both; as 12 x 4 it does not."""
    return net.reshape(net.reshape(x, 1, 2, HEIGHT * WIDTH), 1, 2, 12, 4)


def narrow(net: Net, x: str) -> str:
    """A window as wide as the map leaves one column, which every column of a wider map then sees."""
    return net.node("Conv", [x, net.weight(2, 2, 1, WIDTH - 3)], (1, 2, HEIGHT, 4), pads=[0, 0, 0, 0])


def spread(net: Net, x: str) -> str:
    column = net.slice(narrow(net, x), 3, 1, 2)
    return net.node("Add", [column, net.weight(1, 1, HEIGHT, 5)], (1, 2, HEIGHT, 5))


def spread_product(net: Net, x: str) -> str:
    """A batch of one matrix, cut out of a window, that five matrices share."""
    row = net.transpose(net.slice(narrow(net, x), 3, 1, 2), 0, 3, 2, 1)
    return net.node("MatMul", [row, net.weight(5, 2, 3)], (1, 5, HEIGHT, 3))


def flattened(net: Net, x: str) -> str:
    return net.node("Flatten", [x], (1, 2 * HEIGHT * WIDTH))


MAKERS: dict[str, Maker] = {
    "mean over rows": lambda net, x: net.node("ReduceMean", [x, net.constant([2])], (1, 2, 1, WIDTH)),
    "maximum over columns, dropped": lambda net, x: net.node(
        "ReduceMax", [x, net.constant([-1])], (1, 2, HEIGHT), keepdims=0
    ),
    "mean over everything": lambda net, x: net.node("ReduceMean", [x], (1, 1, 1, 1)),
    "global pool": lambda net, x: net.node("GlobalAveragePool", [x], (1, 2, 1, 1)),
    "softmax": unary("Softmax", axis=-1),
    "softmax over rows": unary("LogSoftmax", axis=2),
    "lp norm": unary("LpNormalization", axis=2),
    "rows by": rows_by,
    "columns by": columns_by,
    "by vector": by_vector,
    "vector by": vector_by,
    "batched": batched,
    "turned product": turned_product,
    "einsum": einsum,
    "layer norm": layer_norm,
    "batch norm": batch_norm,
    "instance norm": instance_norm,
    "group norm": group_norm,
    "expanded": expanded,
    "folded": folded,
    "flattened": flattened,
    "spread": spread,
    "spread product": spread_product,
    "transposed": lambda net, x: net.transpose(x, 3, 0, 2, 1),
    "relu": lambda net, x: net.relu(x),
}


@pytest.mark.parametrize("name", MAKERS)
def test_every_element_depends_on_what_it_is_said_to(name: str, tmp_path: Path) -> None:
    """Each element against each pixel, over a convolution of 3 x 3."""
    net = Net()
    x = net.input(1, 1, HEIGHT, WIDTH)
    out = MAKERS[name](net, net.conv(x, 2, 3))
    model = weighted(net.model(out))
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    graph = examine(path).graph
    seen = Walk(registered()).graph(graph, sources(graph))[1][out][x]
    changed = dependencies(model, x)
    places = changed.shape[:-2]
    assert places == tuple(graph.values[out].shape or ())
    for place in np.ndindex(places):
        for axis, other in ((2, 1), (3, 0)):
            pixels = np.flatnonzero(changed[place].any(axis=other))
            assert interval(seen[axis], place) == (pixels[0], pixels[-1]), f"{place}, axis {axis}"


@pytest.mark.parametrize(("op", "size"), [("CumSum", WIDTH), ("TopK", WIDTH), ("LSTM", HEIGHT)])
def test_the_widest_element_sees_all(op: str, size: int, tmp_path: Path) -> None:
    """Where elements differ (a running sum, a rank, a sequence), the analysis gives the widest to all."""
    net = Net()
    x = net.input(1, 1, HEIGHT, WIDTH)
    y = net.conv(x, 2, 3)
    if op == "CumSum":
        out, axis = net.node(op, [y, net.constant(3)], net.shape[y]), 3
    elif op == "TopK":
        out, axis = net.node(op, [y, net.constant([2])], (1, 2, HEIGHT, 2), axis=3), 3
    else:
        steps = net.reshape(net.transpose(net.slice(y, 1, 0, 1), 2, 0, 1, 3), HEIGHT, 1, WIDTH)
        weights = [net.weight(1, 16, WIDTH), net.weight(1, 16, 4)]
        out, axis = net.node(op, [steps, *weights], (HEIGHT, 1, 1, 4), hidden_size=4), 2
    model = net.model(out)
    if op == "TopK":
        model.graph.node[-1].output.append("places")
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    graph = examine(path).graph
    assert Walk(registered()).graph(graph, sources(graph))[1][out][x][axis].whole
    if op != "LSTM":  # its gates saturate: a distant change is lost in single precision
        changed = dependencies(weighted(model), x)
        assert changed.any(axis=tuple(range(changed.ndim - 1)))[[0, size - 1]].all()
        widest = changed.any(axis=-2).reshape(-1, size).sum(axis=1).max()
        assert widest == size


@st.composite
def patterns(draw: st.DrawFn) -> Steps:
    """Any steps, orderly or not, with positions that see nothing."""
    ends = draw(st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 5)), min_size=1, max_size=6))
    low = [float("inf") if width == 5 else at for at, width in ends]
    high = [float("-inf") if width == 5 else at + width for at, width in ends]
    return Steps(tuple(low), tuple(high), draw(st.none() | st.integers(-7, 7)))


@given(steps=patterns(), start=st.integers(-30, 30), step=st.integers(-4, 4).filter(bool), count=st.integers(1, 40))
def test_hull(steps: Steps, start: int, step: int, count: int) -> None:
    """The least interval that holds those of all taps."""
    taps = range(start, start + step * count, step)
    each = [steps.at(i) for i in taps]
    assert hull(steps, taps) == (min(low for low, _ in each), max(high for _, high in each))


@given(one=patterns(), other=patterns(), count=st.integers(1, 12))
def test_union(one: Steps, other: Steps, count: int) -> None:
    made = union(one, other, count, Budget())
    for i in range(count):
        (a, b), (c, d) = one.at(i), other.at(i)
        assert made.at(i) == (min(a, c), max(b, d))


@given(outer=patterns(), inner=patterns(), size=st.integers(1, 5))
def test_merging_and_parting(outer: Steps, inner: Steps, size: int) -> None:
    """Merged axes see the sum of what each moved; parted again, position by position the same."""
    whole = merged(outer, inner, size, Budget())
    count = 3 * len(outer.low)
    for i, j in np.ndindex(count, size):
        (a, b), (c, d) = outer.at(i), inner.at(j)
        assert whole.at(i * size + j) == (a + c, b + d)
    try:
        first, second = parted(whole, size, Budget())
    except Undecided:
        assert any(not isinstance(low, int) for low in (*outer.low, *inner.low))  # holes do not add up
        return
    for i, j in np.ndindex(count, size):
        (a, b), (c, d) = first.at(i), second.at(j)
        assert whole.at(i * size + j) == (a + c, b + d)


def test_rows_and_columns_are_taken_together(tmp_path: Path) -> None:
    """A map and its transpose side by side: along the rows, all columns count."""
    net = Net()
    x = net.input(1, 1, HEIGHT, HEIGHT)
    square = net.conv(x, 2, 3)
    out = net.concat([square, net.transpose(square, 0, 1, 3, 2)], 1)
    path = tmp_path / "model.onnx"
    path.write_bytes(net.model(out).SerializeToString())
    graph = examine(path).graph
    seen, found = Walk(registered()).graph(graph, sources(graph))
    assert "different axes" in seen[-1].notes[0]
    assert all(interval(found[out][x][axis], (0, 0, 2, 3)) == (0, HEIGHT - 1) for axis in (2, 3))
