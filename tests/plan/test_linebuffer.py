"""Row by row: against counting positions one by one, and the worked examples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from effaudit.audited import Audited, examine
from effaudit.errors import UsageError
from effaudit.graph import FLOAT, INT8, Graph, Node, Value
from effaudit.plan.linebuffer import line_buffer

from ..laws.models import parse, written


def text(body: str, head: str, **weights: tuple[int, ...]) -> Audited:
    with written(parse(head + body, **weights)) as path:
        return examine(path)


def layer(op: str, x: tuple[int, ...], y: tuple[int, ...], w: tuple[int, ...], **attrs: object) -> tuple[Graph, Node]:
    """A graph of one int8 layer."""
    values = {"x": Value(INT8, x), "w": Value(INT8, w), "y": Value(INT8, y)}
    node = Node(op, "", op, ("x", "w") if op == "Conv" else ("x",), ("y",), attrs)
    return Graph("one", (node,), ("x",), ("y",), {}, {}, {"": 17}, values=values), node


def test_im2col_of_32_channels_at_14x14() -> None:
    """9 * 32 * 14 * 14 = 56,448 values, 9 times the input."""
    found = text(
        "{ y = Conv <pads = [1, 1, 1, 1]> (x, w) }",
        "net (float[1,32,14,14] x) => (float[1,64,14,14] y)",
        w=(64, 32, 3, 3),
    )
    one = line_buffer(found.graph, found.graph.nodes[0])
    assert one.im2col_elements == 56_448 == 9 * 32 * 14 * 14
    assert one.im2col_elements == 9 * found.graph.values["x"].numel
    assert one.im2col_row_elements == 9 * 32 * 14 and one.im2col_pixel_elements == 9 * 32
    assert one.im2col_element_bits == 32


def test_im2col_is_what_numpy_unrolls() -> None:
    data = np.zeros((1, 5, 11, 9), np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(data, (3, 2), axis=(2, 3))[:, :, ::2]
    found = text("{ y = Conv <strides = [2, 1]> (x, w) }", "net (float[1,5,11,9] x) => (float[] y)", w=(4, 5, 3, 2))
    assert line_buffer(found.graph, found.graph.nodes[0]).im2col_elements == windows.size


def test_rows_of_a_56x56_layer_of_64_channels() -> None:
    """Its whole output is 56 * 56 * 64 bytes = 196 KiB in int8; one row of it 3,584 bytes."""
    graph, node = layer("Conv", (1, 64, 56, 56), (1, 64, 56, 56), (64, 64, 3, 3), pads=(1, 1, 1, 1))
    one = line_buffer(graph, node)
    assert one.whole_bytes == 2 * 196 * 1024
    assert (one.input_rows, one.input_bytes, one.output_bytes) == (3, 3 * 3_584, 3_584)
    assert one.bytes == 14_336
    eight = line_buffer(graph, node, rows=8)
    assert (eight.input_rows, eight.bytes) == (10, 18 * 3_584)
    everything = line_buffer(graph, node, rows=1000)
    assert (everything.rows, everything.bytes) == (56, everything.whole_bytes)


def test_depthwise_and_pooling() -> None:
    graph, node = layer(
        "Conv", (1, 8, 20, 10), (1, 8, 8, 5), (8, 1, 3, 3), group=8, strides=(2, 2), dilations=(2, 1), pads=(0, 1, 0, 0)
    )
    one = line_buffer(graph, node)
    assert (one.input_rows, one.input_bytes, one.output_bytes) == (5, 5 * 80, 40)
    assert one.im2col_elements == 9 * 8 * 8 * 5
    graph, node = layer("MaxPool", (1, 8, 20, 10), (1, 8, 10, 5), (), kernel_shape=(2, 2), strides=(2, 2))
    assert line_buffer(graph, node, rows=3).input_rows == 6


@given(
    st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(0, 3), st.integers(0, 3)),
    st.integers(1, 20),
    st.integers(1, 8),
)
def test_never_fewer_rows_than_any_output_rows_read(
    window: tuple[int, int, int, int, int], size: int, rows: int
) -> None:
    """And as many, where some rows are read in full inside the input."""
    kernel, stride, dilation, begin, end = window
    extent = (kernel - 1) * dilation + 1
    span = size + begin + end - extent
    assume(span >= 0)
    count = span // stride + 1
    graph, node = layer(
        "Conv",
        (1, 1, size, 4),
        (1, 1, count, 4),
        (1, 1, kernel, 1),
        strides=(stride, 1),
        dilations=(dilation, 1),
        pads=(begin, 0, end, 0),
    )
    one = line_buffer(graph, node, rows=rows)
    spans = []
    for first in range(count - one.rows + 1):
        low, high = first * stride - begin, (first + one.rows - 1) * stride - begin + extent
        spans.append((max(low, 0), min(high, size), low >= 0 and high <= size))
    assert all(high - low <= one.input_rows for low, high, _ in spans)
    if any(inside for *_, inside in spans):
        assert one.input_rows == max(high - low for low, high, _ in spans)


def test_what_is_no_sliding_layer_is_refused() -> None:
    found = text("{ y = Relu(x) }", "net (float[1,2,4,4] x) => (float[] y)")
    with pytest.raises(UsageError, match="not a Relu"):
        line_buffer(found.graph, found.graph.nodes[0])
    graph, node = layer("Conv", (1, 1, 4, 4), (1, 1, 4, 4), (1, 1, 1, 1))
    with pytest.raises(UsageError, match="not 0 rows"):
        line_buffer(graph, node, rows=0)
    values = {**graph.values, "x": Value(FLOAT, None, why="its rank is not known")}
    with pytest.raises(UsageError, match="not known in numbers"):
        line_buffer(Graph("one", (node,), ("x",), ("y",), {}, {}, {"": 17}, values=values), node)
