"""Kernels of a profile -> nodes of the optimized graph."""

from __future__ import annotations

from effaudit.graph import FLOAT, Graph, Node, Value
from effaudit.run.timed_types import KernelRun
from effaudit.timing.attribute.kernels import Place, inner_calls, located, measured


def node(name: str, op: str, out: str, bodies: dict[str, Graph] | None = None) -> Node:
    return Node(name, "", op, ("x",), (out,), {}, bodies or {})


def graph(*nodes: Node, shapes: dict[str, tuple[int, ...]] | None = None) -> Graph:
    values = {name: Value(FLOAT, shape) for name, shape in (shapes or {}).items()}
    return Graph("g", nodes, ("x",), (), {}, {}, {}, values=values)


def kernel(name: str, op: str, *shapes: tuple[int, ...], calls: float = 1.0, index: int | None = None) -> KernelRun:
    return KernelRun(name, op, "CPU", 1.0, calls, (), shapes, index)


def names(found: tuple[Place | None, ...]) -> list[str | None]:
    return [place and place.node.outputs[0] for place in found]


def test_by_name() -> None:
    made = graph(node("a", "Relu", "1"), node("b", "Relu", "2"))
    assert names(located(made, [kernel("b", "Relu"), kernel("a", "Relu"), kernel("c", "Relu")])) == ["2", "1", None]


def test_another_operator_of_the_name_is_another_node() -> None:
    assert names(located(graph(node("a", "Relu", "1")), [kernel("a", "Tanh")])) == [None]


def test_without_a_name_by_operator_and_index() -> None:
    made = graph(node("", "Relu", "1"), node("", "Tanh", "2"), node("", "Relu", "3"))
    kernels = [kernel("Relu_11", "Relu"), kernel("Relu_7", "Relu"), kernel("Tanh_9", "Tanh")]
    assert names(located(made, kernels)) == ["3", "1", "2"]


def test_shapes_tell_nodes_of_one_name_apart() -> None:
    made = graph(node("a", "Relu", "1"), node("a", "Relu", "2"), shapes={"1": (2, 3), "2": (4,)})
    assert names(located(made, [kernel("a", "Relu", (4,)), kernel("a", "Relu", (2, 3))])) == ["2", "1"]


def test_inside_bodies() -> None:
    deep = graph(node("d", "Relu", "5"))
    body = graph(node("b", "Relu", "3"), node("i", "If", "4", {"then_branch": deep}))
    made = graph(node("a", "Relu", "1"), node("l", "Loop", "2", {"body": body}))
    kernels = [
        kernel("l", "Loop"),
        kernel("a", "Relu"),
        kernel("i", "If", calls=4.0),
        kernel("b", "Relu", (7,), calls=4.0),
        kernel("d", "Relu", calls=2.0),
    ]
    found = located(made, kernels)
    assert names(found) == ["2", "1", "4", "3", "5"]
    assert [place and place.top for place in found] == [1, 0, 1, 1, 1]
    assert found[4] is not None and found[4].inner == (("body", 1), ("then_branch", 0))
    assert inner_calls(kernels, found) == (10.0, 0.0, 2.0, 0.0, 0.0)
    assert measured(kernels, found) == {"3": (7,)}
