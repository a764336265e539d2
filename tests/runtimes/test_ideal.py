"""The ideal runtime, and the workspaces that follow from how a kernel computes."""

from __future__ import annotations

import numpy as np
import pytest

from effaudit.plan.liveness import analyse
from effaudit.runtimes import find
from effaudit.runtimes._workspaces import attention_scores, im2col
from tests.lower.graphs import graph, n, ops
from tests.runtimes.planning import lowered, problem

IDEAL = find("ideal")


def test_everything_that_costs_no_arithmetic_is_gone() -> None:
    amounts = {"p": np.asarray([0, 0, 1, 1, 0, 0, 1, 1], np.int64)}
    nodes = (
        n("Identity", "x", "i"),
        n("Pad", "i p", "a"),
        n("Conv", "a w", "c"),
        n("BatchNormalization", "c b b b b", "m"),
    )
    found = IDEAL.lower(graph(*nodes, n("HardSwish", "m", "h"), n("Softmax", "h", "y"), weights=amounts))
    assert ops(found) == ["Conv", "Softmax"]


@pytest.mark.parametrize("name", ["ad-int8", "kws-int8", "ic-int8", "vww-int8", "mobilenetv2", "bert-base", "unet"])
def test_no_runtime_that_keeps_tensors_whole_needs_less(name: str) -> None:
    ideal = problem(lowered(name, "ideal"), IDEAL).floor
    for other in ("tflm", "st", "as-written"):
        assert ideal <= problem(lowered(name, other), find(other)).floor


def test_views_and_elementwise_operators_take_no_bytes() -> None:
    nodes = (n("Conv", "x w", "c"), n("Reshape", "c flat", "r"), n("Sigmoid", "r", "s1"), n("Mul", "s1 one", "t"))
    found = IDEAL.lower(graph(*nodes, n("MatMul", "t k", "y"), weights={"k": np.ones((64, 2), np.float32)}))
    sizes = {b.name: b.size for b in problem(found, IDEAL).buffers}
    assert sizes == {"x": 576, "c": 256, "y": 8}
    assert analyse(found).live_bytes.value == 576 + 256


def test_columns_of_a_convolution() -> None:
    given = graph(n("Conv", "x w", "c"), n("Conv", "c k", "y"), weights={"k": np.ones((2, 4, 1, 1), np.float32)})
    assert [im2col(given, node).value for node in given.nodes] == [4 * 9 * 4 * 4 * 4, 0]
    grouped = graph(n("Conv", "x d", "y", group=4), weights={"d": np.ones((4, 1, 3, 3), np.float32)})
    assert im2col(grouped, grouped.nodes[0]).value == 9 * 4 * 4 * 4


def test_columns_where_shapes_are_open() -> None:
    given = graph(n("Conv", "x k", "y"), inputs={"x": (1, 4, 5, 5, 5)}, weights={"k": np.ones((4, 4, 3, 3, 3))})
    assert im2col(given, given.nodes[0]).high is None


def test_scores_of_attention() -> None:
    """2 x 8 heads x 16 queries x 32 keys of float32, or nothing where the kernel goes by blocks."""
    shapes = {"x": (2, 8, 16, 64), "k": (2, 8, 32, 64), "v": (2, 8, 32, 64)}
    given = graph(n("Attention", "x k v", "y"), inputs=shapes, opset=23)
    size = attention_scores(given, given.nodes[0])
    assert (size.low, size.high) == (0, 2 * 8 * 16 * 32 * 4)
    shapes = {"x": (2, 16, 64), "k": (2, 32, 64), "v": (2, 32, 64)}
    node = n("MultiHeadAttention", "x k v", "y", domain="com.microsoft", num_heads=4)
    given = graph(node, inputs=shapes)
    assert attention_scores(given, given.nodes[0]).high == 2 * 4 * 16 * 32 * 4
    other = graph(n("Softmax", "x", "y"))
    assert attention_scores(other, other.nodes[0]).value == 0


def test_past_keys_are_unknown_not_zero() -> None:
    shapes = {"x": (2, 8, 16, 64), "k": (2, 8, 32, 64), "v": (2, 8, 32, 64), "pk": (2, 8, 5, 64), "pv": (2, 8, 5, 64)}
    given = graph(n("Attention", "x k v - pk pv", "y q1 q2"), inputs=shapes, opset=23)
    assert attention_scores(given, given.nodes[0]).high is None
