"""Activations fused into the kernel before them."""

from __future__ import annotations

import numpy as np
import pytest

from effaudit.lower._rewrite import ACTIVATION, FUSED
from effaudit.lower.activations import any_clip, any_unary, clip_bounds, fuse, relu_like
from tests.lower.graphs import assert_sound, graph, n, only, ops

CONV = n("Conv", "x w b", "c")


@pytest.mark.parametrize("inputs", ["c zero six", "c zero", "c"])
def test_a_clip_as_tflite_knows_it_is_fused(inputs: str) -> None:
    op = "Clip" if " " in inputs else "Relu"
    found = fuse(graph(CONV, n(op, inputs, "y")), {"Conv"}, relu_like)
    assert_sound(found)
    conv = only(found, "Conv")
    assert (conv.name, conv.outputs) == ("n_c", ("y",))
    assert (conv.attrs[FUSED], conv.attrs[ACTIVATION]) == (("n_y",), op)


def test_a_clip_at_other_bounds_is_no_relu6() -> None:
    given = graph(CONV, n("Clip", "c zero seven", "y"))
    assert fuse(given, {"Conv"}, relu_like) is given
    assert ops(fuse(given, {"Conv"}, any_clip)) == ["Conv"]


def test_clip_of_old_opsets_has_its_bounds_as_attributes() -> None:
    given = graph(CONV, n("Clip", "c", "y", min=0.0, max=6.0), opset=9)
    assert clip_bounds(given, given.nodes[1]) == (0.0, 6.0)
    assert ops(fuse(given, {"Conv"}, relu_like)) == ["Conv"]


def test_bounds_that_are_fed_are_not_known() -> None:
    given = graph(CONV, n("Clip", "c low", "y"), inputs={"x": (1, 4, 6, 6), "low": ()})
    assert clip_bounds(given, given.nodes[1]) is None
    assert fuse(given, {"Conv"}, any_clip) is given


def test_a_second_reader_keeps_the_activation_apart() -> None:
    given = graph(CONV, n("Relu", "c", "r"), n("Add", "c r", "y"))
    assert fuse(given, {"Conv"}, relu_like) is given


def test_a_graph_output_keeps_the_activation_apart() -> None:
    given = graph(CONV, n("Relu", "c", "y"), outputs="c y")
    assert fuse(given, {"Conv"}, relu_like) is given


def test_one_activation_per_kernel() -> None:
    found = fuse(graph(CONV, n("Relu", "c", "r"), n("Relu", "r", "y")), {"Conv", "Relu"}, relu_like)
    assert ops(found) == ["Conv", "Relu"]
    assert fuse(found, {"Conv"}, relu_like) is found


def test_only_the_operators_asked_for() -> None:
    given = graph(CONV, n("HardSwish", "c", "h"), n("Add", "h one", "a"), n("Relu", "a", "y"))
    assert ops(fuse(given, {"Add"}, relu_like)) == ["Conv", "HardSwish", "Add"]
    assert ops(fuse(given, {"Conv", "Add"}, any_unary)) == ["Conv", "Add"]


def test_a_softmax_and_a_prelu_are_no_elementwise_functions_of_one_tensor() -> None:
    for op, inputs in (("Softmax", "c"), ("PRelu", "c one")):
        given = graph(CONV, n(op, inputs, "y"))
        assert fuse(given, {"Conv"}, any_unary) is given


def test_an_activation_of_a_foreign_domain_is_another_operator() -> None:
    given = graph(CONV, n("Relu", "c", "y", domain="com.example"))
    assert fuse(given, {"Conv"}, any_unary) is given


def test_20_000_convolutions_into_one_concat() -> None:
    """The one reader is no activation: its other inputs are not looked through for each of them."""
    names = [f"conv{i}" for i in range(20000)]
    nodes = [n("Conv", "x w1", name) for name in names]
    given = graph(*nodes, n("Concat", " ".join(names), "y", axis=1), weights={"w1": np.ones((1, 4, 1, 1), np.float32)})
    assert fuse(given, {"Conv"}, any_unary) is given
