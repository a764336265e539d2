"""Graphs in another order of their nodes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from effaudit.dataflow import reads
from effaudit.errors import UsageError
from effaudit.graph import Graph


def apply_order(graph: Graph, order: Sequence[int]) -> Graph:
    """The same graph with its nodes in the order given by index; the graph itself where nothing changes.

    Raises UsageError where the order does not have every node once, each behind those it reads from.
    """
    check(graph, order)
    if all(i == at for at, i in enumerate(order)):
        return graph
    nodes = tuple(graph.nodes[i] for i in order)
    return msgspec.structs.replace(graph, nodes=nodes, history=(*graph.history, "reorder"))


def check(graph: Graph, order: Sequence[int]) -> None:
    """Raises UsageError where the order is no topological order of all nodes."""
    nodes = graph.nodes
    if len(order) != len(nodes) or set(order) != set(range(len(nodes))):
        raise UsageError(
            f"{graph.source.path}: an order of {len(order):,} places is no permutation of the {len(nodes):,} nodes; "
            "give every index once"
        )
    missing = {name for node in nodes for name in node.outputs if name}
    for i in order:
        for name in reads(nodes[i]):
            if name in missing:
                raise UsageError(
                    f"{graph.source.path}: {nodes[i].op} {nodes[i].label!r} is placed before the node that makes "
                    f"{name!r}; give a topological order"
                )
        missing.difference_update(nodes[i].outputs)


def expand(original: Graph, lowered: Graph, order: Sequence[int]) -> tuple[int, ...]:
    """An order of `original` under which its lowered form has the nodes of `lowered` in `order`.

    Lowering may fuse nodes away, but the names of the tensors that are left are those of the original. What a tensor of
    `lowered` needs of the original comes just before it, in the original's own order; the rest comes last.
    """
    nodes = original.nodes
    maker = {name: i for i, node in enumerate(nodes) for name in node.outputs if name}
    placed = [False] * len(nodes)
    found: list[int] = []
    for place in order:
        waiting = [maker[name] for name in lowered.nodes[place].outputs if name in maker]
        needed: set[int] = set()
        while waiting:
            i = waiting.pop()
            if not placed[i] and i not in needed:
                needed.add(i)
                waiting.extend(maker[name] for name in reads(nodes[i]) if name in maker)
        for i in sorted(needed):
            placed[i] = True
            found.append(i)
    return (*found, *(i for i, done in enumerate(placed) if not done))
