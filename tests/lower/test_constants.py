"""What is computed ahead, and copies."""

from __future__ import annotations

import numpy as np
from onnx import helper

from effaudit.lower.constants import computed_ahead, without_copies
from tests.lower.graphs import WEIGHTS, assert_sound, graph, n, ops


def test_a_constant_subgraph_becomes_its_result() -> None:
    nodes = (n("Transpose", "w", "t"), n("Mul", "t one", "m"), n("Conv", "x m", "y"))
    found = computed_ahead(graph(*nodes))
    assert_sound(found)
    assert ops(found) == ["Conv"]
    made = found.constants["m"]
    assert (made.shape, made.numel, made.nbytes, made.missing) == ((3, 3, 4, 4), 144, 576, "computed ahead")
    assert "t" not in found.constants


def test_constant_nodes_are_constants() -> None:
    node = helper.make_node("Constant", [], ["k"], value_floats=[1.0, 2.0])
    tensor = helper.make_node("Constant", [], ["k2"], value=helper.make_tensor("inner", 1, [2], [1.0, 2.0]))
    found = computed_ahead(graph(node, tensor, n("Add", "x k", "a"), n("Add", "a k2", "y"), inputs={"x": (2,)}))
    assert_sound(found)
    assert ops(found) == ["Add", "Add"]
    assert found.constants["k"].nbytes == 8
    assert found.constants["k2"].name == "k2"
    assert found.constants["k2"].raw is not None or found.constants["k2"].payload is not None


def test_dequantized_weights_and_what_is_made_of_them_stay() -> None:
    given = graph(WEIGHTS[0], n("Transpose", "wd", "t"), n("Conv", "x t", "y"), weights={
        "wq": np.ones((3, 3, 4, 4), np.int8), "ws": np.ones(3, np.float32), "wz": np.zeros(3, np.int8)
    })  # fmt: skip
    assert computed_ahead(given) is given


def test_what_is_drawn_at_random_is_not_constant() -> None:
    given = graph(n("RandomNormal", "", "r", shape=[1, 4, 6, 6]), n("Add", "x r", "y"))
    assert computed_ahead(given) is given


def test_a_constant_that_is_a_graph_output_stays_one() -> None:
    found = computed_ahead(graph(n("Neg", "b", "k"), n("Relu", "x", "y"), outputs="k y"))
    assert_sound(found)
    assert ops(found) == ["Relu"]
    assert found.outputs == ("k", "y")


def test_a_huge_constant_is_never_made() -> None:
    """ConstantOfShape of 2^40 elements: its size is a number, nothing is materialised."""
    shape = {"n": np.asarray([2**40], np.int64)}
    found = computed_ahead(graph(n("ConstantOfShape", "n", "k"), n("Add", "x k", "y"), inputs={"x": ()}, weights=shape))
    assert ops(found) == ["Add"]
    assert found.constants["k"].nbytes == 2**42


def test_copies_are_their_input() -> None:
    nodes = (n("Identity", "x", "a"), n("Dropout", "a", "d"), n("Relu", "d", "r"), n("Identity", "r", "y"))
    found = without_copies(graph(*nodes))
    assert_sound(found)
    assert ops(found) == ["Relu", "Identity"]  # the last makes the graph's output
    assert found.nodes[0].inputs == ("x",)


def test_dropout_in_training_is_no_copy() -> None:
    given = graph(n("Dropout", "x half yes", "d"), n("Relu", "d", "y"), weights={
        "half": np.asarray(0.5, np.float32), "yes": np.asarray(True)
    })  # fmt: skip
    assert without_copies(given) is given


def test_a_dropout_whose_mask_is_used_stays() -> None:
    given = graph(n("Dropout", "x", "d m"), n("Relu", "d", "y"), outputs="y m")
    assert without_copies(given) is given


def test_a_copy_that_a_body_captures_stays() -> None:
    then = helper.make_graph([n("Sqrt", "a", "t")], "then", [], [helper.make_empty_tensor_value_info("t")])
    other = helper.make_graph([n("Neg", "a", "e")], "else", [], [helper.make_empty_tensor_value_info("e")])
    nodes = (n("Identity", "x", "a"), n("If", "cond", "y", then_branch=then, else_branch=other))
    given = graph(*nodes, weights={"cond": np.asarray(True)})
    assert without_copies(given) is given
