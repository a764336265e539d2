"""The order of nodes: against every order of small graphs, a plain dynamic program, and figures from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto

from effaudit.audited import examine
from effaudit.dataflow import flow, reads
from effaudit.errors import UsageError
from effaudit.graph import UINT8, Constant, Graph, Node, Value
from effaudit.plan.lifetimes import lifetimes, low
from effaudit.plan.liveness import analyse
from effaudit.plan.order import apply_order, best_order, expand
from effaudit.plan.order import best as module
from effaudit.plan.order.cuts import cuts, forced, touched
from effaudit.plan.order.task import profile, task_of
from tests.laws.dags import dags
from tests.laws.models import written


def graph_of(nodes: list[tuple[list[str], dict[str, int]]], inputs: dict[str, int], outputs: list[str]) -> Graph:
    """A graph of nodes (what they read, bytes of what they make); the tensor `w` is a constant."""
    sizes = dict(inputs) | {name: size for _, made in nodes for name, size in made.items()} | {"w": 1}
    made = tuple(Node(f"n{i}", "", "Any", tuple(r), tuple(m), {}) for i, (r, m) in enumerate(nodes))
    return Graph(
        name="g",
        nodes=made,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        constants={"w": Constant("w", UINT8, (1,), "initializer", 1, 1)},
        declared={},
        opsets={"": 17},
        values={name: Value(UINT8, (size,)) for name, size in sizes.items()},
    )


@st.composite
def graphs(draw: st.DrawFn, most: int) -> Graph:
    """Graphs with tensors of 0 to 9 bytes: dead nodes, nodes no input feeds, tensors nobody reads, several outputs."""
    inputs = {f"x{i}": draw(st.integers(0, 9)) for i in range(draw(st.integers(1, 2)))}
    names = [*inputs, "w"]
    nodes = []
    near = draw(st.integers(1, 8))
    for i in range(draw(st.integers(1, most))):
        recent = draw(st.sampled_from((names[-near:], names[-near:], names[-near:], names)))
        read = draw(st.lists(st.sampled_from(recent), min_size=1, max_size=3, unique=True))
        made = {f"t{i}_{k}": draw(st.integers(0, 9)) for k in range(draw(st.sampled_from((1, 1, 1, 2))))}
        nodes.append((read, made))
        names.extend(made)
    outputs = draw(st.lists(st.sampled_from(sorted({*names} - {"w"})), min_size=1, max_size=3, unique=True))
    return graph_of(nodes, inputs, sorted({*outputs, names[-1]} if draw(st.booleans()) else outputs))


def orders(graph: Graph, done: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """Every topological order of all nodes."""
    if len(done) == len(graph.nodes):
        yield done
    made = {name for i, node in enumerate(graph.nodes) if i not in done for name in node.outputs}
    for i, node in enumerate(graph.nodes):
        if i not in done and not made.intersection(node.inputs):
            yield from orders(graph, (*done, i))


def live(graph: Graph) -> int:
    value = analyse(graph).live_bytes.value
    assert value is not None
    return value


def least(graph: Graph) -> int:
    """The least peak, by a dynamic program over sets of executed nodes without any short cut."""
    known = flow(graph)
    running = [i for i, runs in enumerate(known.live) if runs]
    size = {name: graph.values[name].shape[0] for name in known.varying if name in graph.values}  # type: ignore[index]
    readers = {name: {i for i in running if name in known.reads[i]} for name in size}
    maker = {name: i for i in running for name in graph.nodes[i].outputs}

    def alive(done: frozenset[int], step: int) -> int:
        """Bytes at a step that runs after `done`."""
        total = 0
        for name, bytes_ in size.items():
            begun = name in maker and (maker[name] in done or maker[name] == step)
            begun = begun or (name in graph.inputs and (bool(readers[name]) or name in graph.outputs))
            over = name not in graph.outputs and maker.get(name) != step and readers[name] <= done
            total += bytes_ if begun and not over else 0
        return total

    @cache
    def after(done: frozenset[int]) -> int:
        if len(done) == len(running):
            return 0
        return min(
            max(alive(done, i), after(done | {i}))
            for i in running
            if i not in done and all(maker.get(name, i) in done or name not in maker for name in known.reads[i])
        )

    return after(frozenset()) if running else alive(frozenset(), -1)


@settings(max_examples=150, deadline=None)
@given(graphs(6))
def test_no_order_is_better(graph: Graph) -> None:
    found = best_order(graph)
    every = [live(apply_order(graph, order)) for order in orders(graph)]
    assert found.proven
    assert found.peak == found.floor == min(every) == least(graph)
    assert live(apply_order(graph, found.order)) == found.peak


@settings(max_examples=120, deadline=None)
@given(graphs(12))
def test_the_plain_program_agrees(graph: Graph) -> None:
    found = best_order(graph)
    assert found.proven
    assert found.peak == least(graph)
    assert live(apply_order(graph, found.order)) == found.peak
    assert (found.method == "given") == (found.order == tuple(range(len(graph.nodes))))
    assert (found.method == "given") == (found.peak == live(graph))


@settings(max_examples=120, deadline=None)
@given(graphs(12), st.integers(0, 40), st.integers(0, 90))
def test_a_budget_that_ends_keeps_the_promises(graph: Graph, exact: int, beam: int) -> None:
    """Between floor and given, proven only where it is the least, and the figure is that of the order."""
    before = dict(module.BUDGETS)
    module.BUDGETS["low"] = module.Budget(exact, beam)  # type: ignore[index]
    try:
        found = best_order(graph, effort="low")
    finally:
        module.BUDGETS.update(before)  # type: ignore[attr-defined]
    best = least(graph)
    assert found.peak is not None
    assert found.floor <= best <= found.peak <= live(graph)
    assert live(apply_order(graph, found.order)) == found.peak


@settings(max_examples=60, deadline=None)
@given(dags())
def test_of_models(model: ModelProto) -> None:
    with written(model) as path:
        audited = examine(path)
    found = best_order(audited.graph, audited.flow)
    assert found.proven
    assert found.peak == least_of_bytes(audited.graph) == live(apply_order(audited.graph, found.order))


def least_of_bytes(graph: Graph) -> int:
    """`least` where the shapes are not bytes yet."""
    values = {name: Value(UINT8, (value.nbytes,)) for name, value in graph.values.items()}
    return least(Graph("g", graph.nodes, graph.inputs, graph.outputs, {}, {}, {}, values=values))


@settings(max_examples=100, deadline=None)
@given(graphs(6))
def test_cuts_and_floors_hold_in_every_order(graph: Graph) -> None:
    known = flow(graph)
    task = task_of(graph, known, {b.name: low(b) for b in lifetimes(graph, known)})
    places = cuts(task)
    least_of_all = max(touched(task), forced(task))
    for order in orders(graph):
        ran = [task.names.index(i) for i in order if i in task.names]
        assert all(set(ran[:place]) == set(range(place)) for place in places)
        assert max(profile(task, ran)[0], default=task.start) >= least_of_all


# ---- worked out by hand
def test_the_branch_that_shrinks_goes_first() -> None:
    """x (1) feeds a (9, then b of 1) and c (5, then d of 1). As given, x, a and c (15) are alive at c. One branch after
    the other: x, a, b are 11 at b, then x, b, c are 7."""
    nodes: list[tuple[list[str], dict[str, int]]] = [
        (["x"], {"a": 9}),
        (["x"], {"c": 5}),
        (["a"], {"b": 1}),
        (["c"], {"d": 1}),
        (["b", "d"], {"y": 1}),
    ]
    graph = graph_of(nodes, {"x": 1}, ["y"])
    found = best_order(graph)
    assert (live(graph), found.peak, found.floor, found.method) == (15, 11, 11, "exact")


def test_a_low_place_behind_a_high_step() -> None:
    """The best order climbs to 35 for t6 and goes back to what t7 leaves, before t2: to run t8 at once, since it too
    leaves less than there was at first, would cost 37."""
    nodes: list[tuple[list[str], dict[str, int]]] = [
        (["x"], {"t0": 7}),
        (["t0"], {"t1": 2}),
        (["t1", "t0"], {"t2": 3}),
        (["t1", "t2"], {"t3": 2}),
        (["t0", "t3", "t2"], {"t4": 6}),
        (["t3", "t4"], {"t5": 4, "nothing": 9}),
        (["x", "t1"], {"t6": 7, "u6": 1}),
        (["t6", "u6"], {"t7": 0}),
        (["t7"], {"t8": 6}),
        (["t8", "t7"], {"t9": 7}),
        (["t9", "t5", "u6"], {"t10": 6}),
        (["t10"], {"t11": 6}),
    ]
    graph = graph_of(nodes, {"kept": 9, "x": 9}, ["t10", "t11", "t3", "t5", "kept"])
    found = best_order(graph)
    assert (found.peak, found.floor, least(graph), live(graph)) == (35, 35, 35, 41)


def test_what_takes_memory_waits_for_its_reader() -> None:
    """Twelve branches of two nodes, the first only takes: 12! orders of the branches, and two sets to look at."""
    nodes: list[tuple[list[str], dict[str, int]]] = []
    for i in range(12):
        nodes.append((["x"], {f"a{i}": 5}))
    for i in range(12):
        nodes.append(([f"a{i}", f"s{i - 1}"] if i else ["a0"], {f"s{i}": 5}))
    found = best_order(graph_of(nodes, {"x": 5}, ["s11"]))
    assert (found.peak, found.floor, found.proven) == (20, 20, True)
    assert found.states < 50


def test_shufflenet_of_onnx() -> None:
    """3,110,912 bytes as given; 2,885,120 are the least, as a search over all orders found."""
    path = Path(onnx.__file__).parent / "backend/test/data/light/light_shufflenet.onnx"
    audited = examine(path)
    found = best_order(audited.graph, audited.flow)
    assert (audited.memory.live_bytes.value, found.peak, found.proven) == (3_110_912, 2_885_120, True)
    assert live(apply_order(audited.graph, found.order)) == 2_885_120


def test_a_chain_of_many_nodes_needs_no_search() -> None:
    nodes = [([f"t{i}"], {f"t{i + 1}": 5 + i % 7}) for i in range(20_000)]
    found = best_order(graph_of(nodes, {"t0": 3}, ["t20000"]))  # type: ignore[arg-type]
    assert (found.peak, found.method, found.states, found.proven) == (21, "given", 0, True)


def test_a_graph_without_nodes() -> None:
    found = best_order(graph_of([], {"x": 4}, ["x"]))
    assert (found.order, found.peak, found.floor, found.proven) == ((), 4, 4, True)


# ---- what never has a place of its own
def test_nodes_that_never_run_come_last() -> None:
    nodes: list[tuple[list[str], dict[str, int]]] = [
        (["x"], {"dead": 9}),
        (["w"], {"k": 7}),
        (["x"], {"a": 9}),
        (["x"], {"c": 5}),
        (["a", "k"], {"b": 1}),
        (["c"], {"d": 1}),
        (["b", "d"], {"y": 1}),
    ]
    found = best_order(graph_of(nodes, {"x": 1}, ["y"]))
    assert found.order == (2, 1, 4, 3, 5, 6, 0) or found.order == (3, 5, 2, 1, 4, 6, 0)


def test_open_sizes_keep_the_order() -> None:
    graph = graph_of([(["x"], {"a": 1}), (["a"], {"y": 1})], {"x": 1}, ["y"])
    graph.values["a"] = Value(UINT8, None, why="a depends on the data")  # type: ignore[index]
    found = best_order(graph)
    assert (found.order, found.peak, found.floor, found.proven) == ((0, 1), None, 1, False)
    assert found.why == "a: a depends on the data"


def test_an_unknown_effort() -> None:
    with pytest.raises(UsageError, match="expected one of low, normal, high"):
        best_order(graph_of([], {"x": 4}, ["x"]), effort="huge")


# ---- rewriting
def test_an_order_must_be_one() -> None:
    graph = graph_of([(["x"], {"a": 1}), (["a"], {"y": 1})], {"x": 1}, ["y"])
    for order, reason in (((0,), "no permutation"), ((0, 0), "no permutation"), ((1, 0), "placed before the node")):
        with pytest.raises(UsageError, match=reason):
            apply_order(graph, order)


def test_the_history_tells() -> None:
    graph = graph_of([(["x"], {"a": 1}), (["x"], {"b": 1}), (["a", "b"], {"y": 1})], {"x": 1}, ["y"])
    assert apply_order(graph, (0, 1, 2)) is graph
    assert apply_order(graph, (1, 0, 2)).history == ("reorder",)
    assert [node.name for node in apply_order(graph, (1, 0, 2)).nodes] == ["n1", "n0", "n2"]


@settings(max_examples=150, deadline=None)
@given(graphs(10), st.data())
def test_an_order_of_a_lowered_graph_expands(graph: Graph, data: st.DataObject) -> None:
    """Some nodes are fused into their only reader; what is left keeps its order in the original."""
    lowered = graph
    for i in range(len(graph.nodes) - 1, -1, -1):
        if data.draw(st.booleans()):
            lowered = fused(lowered, graph.nodes[i])
    order = data.draw(st.sampled_from(list(some_orders(lowered))))
    found = expand(graph, lowered, order)
    reordered = apply_order(graph, found)  # refuses an order that is not topological
    first = {name: at for at, node in enumerate(reordered.nodes) for name in node.outputs}
    places = [max(first[name] for name in lowered.nodes[i].outputs) for i in order]
    assert places == sorted(places)


def fused(graph: Graph, node: Node) -> Graph:
    """The graph with the node inside the only one that reads it, or the graph itself."""
    users = [n for n in graph.nodes if set(node.outputs) & set(reads(n))]
    if node not in graph.nodes or len(users) != 1 or set(node.outputs) & set(graph.outputs):
        return graph
    user = users[0]
    inputs = dict.fromkeys((*node.inputs, *(n for n in user.inputs if n not in node.outputs)))
    whole = Node(user.name, "", "Fused", tuple(inputs), user.outputs, {})
    nodes = tuple(whole if n is user else n for n in graph.nodes if n is not node)
    return Graph("g", nodes, graph.inputs, graph.outputs, graph.constants, {}, {}, values=graph.values)


def some_orders(graph: Graph) -> Iterator[tuple[int, ...]]:
    for _, order in zip(range(20), orders(graph), strict=False):
        yield order
