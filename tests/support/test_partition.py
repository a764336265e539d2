"""Partitions: the laws they keep, on drawn graphs, and what crosses between the sides."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from effaudit.dataflow import flow
from effaudit.dims import symbol
from effaudit.graph import FLOAT, SEQUENCE, UINT8, Constant, Encoding, Graph, Node, Value
from effaudit.support import Placement, partition

Group = frozenset[int]


def graph_of(
    nodes: Sequence[tuple[str, Sequence[str], Sequence[str]]], inputs: Sequence[str], outputs: Sequence[str]
) -> Graph:
    """A graph of (operator, what it reads, what it makes); `w` is a constant. Tensors have 1, 2, 4, ... bytes."""
    made = tuple(Node(f"n{i}", "", op, tuple(read), tuple(out), {}) for i, (op, read, out) in enumerate(nodes))
    names = ["w", *inputs, *(name for node in made for name in node.outputs)]
    return Graph(
        name="g",
        nodes=made,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        constants={"w": Constant("w", UINT8, (1,), "initializer", 1, 1)},
        declared={},
        opsets={"": 17},
        values={name: Value(UINT8, (1 << i,)) for i, name in enumerate(names)},
    )


def takes(node: Node) -> str:
    return "" if node.op == "Yes" else "No: not supported"


def placed(graph: Graph, most: int | None = None) -> Placement:
    return partition(graph, flow(graph), takes, most=most)


@st.composite
def graphs(draw: st.DrawFn, most: int = 12) -> Graph:
    """Dead nodes, nodes no input feeds, several outputs, tensors nobody reads."""
    inputs = ["x0", "x1"][: draw(st.integers(1, 2))]
    names, nodes = ["w", *inputs], []
    for i in range(draw(st.integers(min(4, most), most))):
        near = draw(st.sampled_from((2, 3, 6)))
        read = draw(st.lists(st.sampled_from(names[-near:]), min_size=1, max_size=3, unique=True))
        out = [f"t{i}_{k}" for k in range(draw(st.sampled_from((1, 1, 2))))]
        nodes.append((draw(st.sampled_from(("Yes", "No"))), read, out))
        names += out
    outputs = draw(st.lists(st.sampled_from(names[-4:]), min_size=1, max_size=3, unique=True))
    return graph_of(nodes, inputs, outputs)


def edges(graph: Graph, nodes: Sequence[int]) -> set[tuple[int, int]]:
    maker = {name: i for i in nodes for name in graph.nodes[i].outputs}
    return {(maker[name], i) for i in nodes for name in graph.nodes[i].inputs if name in maker}


def acyclic(graph: Graph, nodes: Sequence[int], groups: Sequence[Group]) -> bool:
    """Whether the graph has no cycle once each group is one node."""
    place = {i: -1 - g for g, group in enumerate(groups) for i in group}
    arcs = {(place.get(a, a), place.get(b, b)) for a, b in edges(graph, nodes)}
    arcs = {(a, b) for a, b in arcs if a != b}
    left = {place.get(i, i) for i in nodes}
    while left:
        ready = left - {b for a, b in arcs if a in left}
        if not ready:
            return False
        left -= ready
    return True


def kahn(graph: Graph, why: dict[int, str]) -> list[Group]:
    """ONNX Runtime's algorithm as it is written: two queues and the border of the open group."""
    after: dict[int, set[int]] = {i: set() for i in why}
    waiting = dict.fromkeys(why, 0)
    for a, b in edges(graph, list(why)):
        after[a].add(b)
        waiting[b] += 1
    ready, later = deque(i for i, n in waiting.items() if n == 0), deque[int]()
    groups, group, border = [], set[int](), set[int]()
    while ready or later:
        if not ready:
            groups += [frozenset(group)] if group else []
            group, border, ready, later = set(), set(), later, deque()
            continue
        i = ready.popleft()
        if why[i] and i in border:
            later.append(i)
            continue
        if not why[i]:
            group.add(i)
            border |= after[i]
        for j in after[i]:
            waiting[j] -= 1
            if waiting[j] == 0:
                ready.append(j)
    return groups + ([frozenset(group)] if group else [])


def splits(nodes: list[int]) -> Iterator[list[Group]]:
    """Every way to put nodes in groups."""
    if not nodes:
        yield []
        return
    for rest in splits(nodes[1:]):
        yield [frozenset((nodes[0],)), *rest]
        for i, group in enumerate(rest):
            yield [*rest[:i], group | {nodes[0]}, *rest[i + 1 :]]


@given(graphs())
def test_every_running_node_is_on_one_side(graph: Graph) -> None:
    known, found = flow(graph), placed(graph)
    runs = [i for i, n in enumerate(graph.nodes) if known.live[i] and not known.varying.isdisjoint(n.outputs)]
    idle = [i for i, n in enumerate(graph.nodes) if known.live[i] and known.varying.isdisjoint(n.outputs)]
    inside = [i for group in found.partitions for i in group]
    assert list(found.why) == runs and list(found.folded) == idle
    assert sorted(inside) == [i for i in runs if graph.nodes[i].op == "Yes"]
    assert found.taken == len(inside) and found.left == len(runs) - len(inside)
    assert all((found.why[i] == "") == (i in inside) for i in runs)


@given(graphs())
def test_contracted_partitions_leave_no_cycle_and_none_can_be_merged(graph: Graph) -> None:
    found = placed(graph)
    groups = [frozenset(group) for group in found.partitions]
    assert acyclic(graph, list(found.why), groups)
    for a, b in combinations(groups, 2):
        rest = [group for group in groups if group not in (a, b)]
        assert not acyclic(graph, list(found.why), [*rest, a | b])


@given(graphs(7))
def test_no_fewer_partitions_hold_every_taken_node(graph: Graph) -> None:
    found = placed(graph)
    inside = [i for i, why in found.why.items() if not why]
    least = min(len(way) for way in splits(inside) if acyclic(graph, list(found.why), way))
    assert len(found.partitions) == least


@given(graphs(20))
def test_the_partitions_are_those_of_the_algorithm_with_queues(graph: Graph) -> None:
    found = placed(graph)
    assert [frozenset(group) for group in found.partitions] == kahn(graph, dict(found.why))


@given(graphs())
def test_transfers_equal_brute_force(graph: Graph) -> None:
    """Tensor by tensor: who makes it, and who wants it."""
    known, found = flow(graph), placed(graph)
    place = {i: g for g, group in enumerate(found.partitions) for i in group}
    expected = set()
    for name in known.varying:
        makers = [i for i in found.why if name in graph.nodes[i].outputs]
        made = place.get(makers[0]) if makers else None
        readers = [place.get(i) for i in found.why if name in graph.nodes[i].inputs]
        wanted = name in graph.outputs and bool(makers)
        if made is None and any(side is not None for side in readers):
            expected.add((name, "in", not makers))
        if made is not None and (None in readers or wanted):
            expected.add((name, "out", wanted))
        if made is not None and any(side not in (None, made) for side in readers):
            expected.add((name, "across", False))
    assert {(one.tensor, one.way, one.outer) for one in found.transfers} == expected
    assert len(found.transfers) == len(expected)
    size = {name: 1 << i for i, name in enumerate(graph.values)}
    assert found.moved().value == sum(size[name] for name, way, _ in expected if way != "across")
    assert found.moved("in").value == sum(size[name] for name, way, _ in expected if way == "in")
    assert found.crossings("across") == sum(way == "across" for _, way, _ in expected)


@given(graphs(), st.integers(1, 3))
def test_a_limit_keeps_the_first_partitions(graph: Graph, most: int) -> None:
    free, found = placed(graph), placed(graph, most)
    assert found.partitions == free.partitions[:most]
    beyond = {i for group in free.partitions[most:] for i in group}
    assert {i for i, why in found.why.items() if "all there may be" in why} == beyond


def test_a_limit_on_a_chain() -> None:
    graph = graph_of([("Yes", "x", "a"), ("No", "a", "b"), ("Yes", "b", "c")], ["x"], ["c"])
    assert placed(graph).partitions == ((0,), (2,)) and placed(graph, 2) == placed(graph)
    found = placed(graph, 1)
    assert found.partitions == ((0,),)
    assert found.why[2] == "Yes: 1 partition is all there may be, and it comes after"
    assert [one.tensor for one in found.transfers] == ["x", "a"]


def test_a_diamond_with_one_arm_outside() -> None:
    """The arms join again: the join is a second partition, and what passes by goes across."""
    nodes = [("Yes", "x", "a"), ("No", "a", "b"), ("Yes", "a", "c"), ("Yes", "bc", "d")]
    graph = graph_of(nodes, ["x"], ["d"])
    found = placed(graph)
    assert found.partitions == ((0, 2), (3,)) and found.sizes == (2, 1)
    assert [(one.tensor, one.way, one.outer) for one in found.transfers] == [
        ("x", "in", True),
        ("a", "out", False),
        ("b", "in", False),
        ("c", "across", False),
        ("d", "out", True),
    ]
    assert (found.crossings("in"), found.crossings("out"), found.crossings()) == (2, 2, 4)


def test_sizes_that_are_not_known_are_ranges() -> None:
    graph = graph_of([("Yes", "x", "y")], ["x"], ["y"])
    batch = symbol("batch", 1, 8)
    cases = {
        "symbol": (Value(FLOAT, (batch, 4)), (16, 128), "dim batch is not given"),
        "rank": (Value(FLOAT, None, why="nobody says"), (0, None), "x: nobody says"),
        "sequence": (Value(SEQUENCE, None), (0, None), "x is a sequence: its items are not known"),
        "items": (Value(SEQUENCE, None, (Value(FLOAT, (2,)), Value(FLOAT, (3,)))), (20, 20), ""),
        "string": (Value(Encoding("string", 0), (2,)), (0, None), "x: strings have no fixed size"),
    }
    for value, bounds, why in cases.values():
        with_value = replace(graph, values={**graph.values, "x": value})
        size = placed(with_value).moved("in")
        assert (size.low, size.high) == bounds and size.why == why


def test_a_hundred_thousand_nodes_of_huge_tensors() -> None:
    pairs = 50_000
    nodes = [(("Yes", "No")[i % 2], [f"t{i - 1}" if i else "x"], [f"t{i}"]) for i in range(2 * pairs)]
    values = {name: Value(UINT8, (1 << 60,)) for name in ["x", *(f"t{i}" for i in range(2 * pairs))]}
    graph = replace(graph_of([], ["x"], [f"t{2 * pairs - 1}"]), values=values)
    graph = replace(graph, nodes=tuple(Node("", "", op, tuple(r), tuple(m), {}) for op, r, m in nodes))
    found = placed(graph)
    assert len(found.partitions) == pairs and found.moved().value == 2 * pairs << 60


def test_no_nodes() -> None:
    found = placed(graph_of([], ["x"], ["x"]))
    assert (found.taken, found.left, found.partitions, found.transfers) == (0, 0, (), ())
    assert found.moved().value == 0
