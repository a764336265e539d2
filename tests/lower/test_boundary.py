"""Integers at the boundary of a quantized model."""

from __future__ import annotations

from effaudit.lower import boundary, qdq
from tests.lower.graphs import assert_sound, dq, dtypes, graph, n, only, ops, q

BODY = (dq("xq", "xd"), n("Relu", "xd", "r"), q("r", "yq"))


def test_input_and_output_are_stored_as_they_are_quantized() -> None:
    found = boundary.integers(qdq.fold(graph(q("x", "xq"), *BODY, dq("yq", "y"))))
    assert_sound(found)
    assert ops(found) == ["Relu"]
    assert (found.inputs, found.outputs) == (("x",), ("yq",))
    assert dtypes(found, ("x", "yq")) == ["int8", "int8"]
    assert found.declared["x"].encoding.dtype == "int8"
    assert only(found, "Relu").inputs == ("x",)


def test_an_input_that_something_else_reads_stays_floating() -> None:
    found = boundary.integers(qdq.fold(graph(q("x", "xq"), *BODY, dq("yq", "o"), n("Add", "o x", "y"))))
    assert dtypes(found, found.inputs) == ["float32"]
    assert ops(found)[0] == "QuantizeLinear"


def test_an_input_quantized_in_two_ways_stays_floating() -> None:
    nodes = (q("x", "xq"), dq("xq", "a"), q("x", "x2", "s2 z"), dq("x2", "a2", "s2 z"), n("Add", "a a2", "c"))
    found = boundary.integers(qdq.fold(graph(*nodes, q("c", "yq"), dq("yq", "y"))))
    assert dtypes(found, found.inputs) == ["float32"]


def test_an_input_quantized_twice_alike_is_quantized_once() -> None:
    nodes = (q("x", "xq"), dq("xq", "a"), q("x", "x2"), dq("x2", "a2"), n("Add", "a a2", "c"))
    found = boundary.integers(qdq.fold(graph(*nodes, q("c", "yq"), dq("yq", "y"))))
    assert only(found, "Add").inputs == ("x", "x")


def test_an_output_that_is_also_read_stays_floating() -> None:
    found = boundary.integers(qdq.fold(graph(q("x", "xq"), *BODY, dq("yq", "y"), n("Sqrt", "y", "z2"), outputs="y z2")))
    assert found.outputs == ("y", "z2")
    assert_sound(found)


def test_two_outputs_of_one_quantized_tensor_stay() -> None:
    found = boundary.integers(graph(q("x", "xq"), dq("xq", "a"), dq("xq", "a2"), outputs="a a2"))
    assert found.outputs == ("a", "a2")


def test_a_model_that_only_converts_keeps_its_floating_output() -> None:
    """x -> Q -> DQ -> y: the integers are the input; an output under the same name would be no output."""
    found = boundary.integers(graph(q("x", "xq"), dq("xq", "y")))
    assert_sound(found)
    assert len(found.outputs) == 1


def test_nothing_to_do_returns_the_graph() -> None:
    given = graph(n("Relu", "x", "y"))
    assert boundary.integers(given) is given


def test_10_000_outputs_of_one_tensor() -> None:
    names = [f"y{i}" for i in range(10000)]
    found = boundary.integers(graph(q("x", "xq"), *(dq("xq", name) for name in names), outputs=" ".join(names)))
    assert found.outputs == tuple(names)
