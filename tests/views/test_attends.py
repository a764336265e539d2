"""Whether bodies hold what attention is made of: any nesting, any order of asking."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from effaudit.graph import Graph, Node
from effaudit.views.attends import holds


def graph(ops: list[str], bodies: list[Graph]) -> Graph:
    nodes = [Node("", "", op, (), (), {}) for op in ops]
    calls = [Node("", "local", "call", (), (), {}, {"function": body}) for body in bodies]
    return Graph("", (*nodes, *calls), (), (), {}, {}, {})


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Graph], list[bool]]:
    """Graphs that call graphs before them, and whether a softmax can be reached from each."""
    made: list[Graph] = []
    known: list[bool] = []
    for i in range(draw(st.integers(1, 20))):
        inner = draw(st.lists(st.integers(0, i - 1), max_size=3)) if i else []
        op = draw(st.sampled_from(("Relu", "Relu", "Relu", "Softmax")))
        made.append(graph([op], [made[j] for j in inner]))
        known.append(op == "Softmax" or any(known[j] for j in inner))
    return made, known


@given(graphs(), st.data())
def test_any_order_of_asking(made: tuple[list[Graph], list[bool]], data: st.DataObject) -> None:
    every, known = made
    memory: dict[int, bool] = {}
    for i in data.draw(st.permutations(range(len(every)))):
        assert holds(every[i], memory) == known[i]


def test_a_body_first_met_far_down() -> None:
    """What is found of a deep body does not depend on the way that led to it."""
    inner = graph(["Softmax"], [])
    for _ in range(3):
        inner = graph(["Relu"], [inner])
    outer = inner
    for _ in range(8):
        outer = graph(["Relu"], [outer])
    memory: dict[int, bool] = {}
    assert holds(outer, memory) and holds(inner, memory)


def test_shared_bodies_are_looked_at_once() -> None:
    """40 functions that each call the one before 50 times: 50^40 paths; and 3,000 in a row."""
    inner = graph(["Relu"], [])
    for _ in range(40):
        inner = graph(["Relu"], [inner] * 50)
    assert not holds(inner, {})
    for _ in range(3000):
        inner = graph(["Relu"], [inner])
    assert not holds(inner, {})
