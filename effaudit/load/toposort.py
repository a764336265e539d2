"""Stable topological order of a node list."""

from __future__ import annotations

import heapq
from collections.abc import Container, Sequence

from effaudit.dataflow import reads
from effaudit.errors import LoadError
from effaudit.graph import Node


def sort_nodes(
    nodes: Sequence[Node], given: set[str], outer: Sequence[Container[str]], path: str
) -> tuple[tuple[Node, ...], bool, tuple[str, ...]]:
    """The nodes in topological order (file order where it is one), whether they were, and the outer names they read.

    Raises LoadError on a cycle, a tensor made twice, or one that nothing makes.
    """
    known = set(given)
    captured: dict[str, None] = {}
    for node in nodes:
        for name in reads(node) if node.bodies else node.inputs:
            if name and name not in known:
                if not any(name in scope for scope in outer):
                    return _reorder(nodes, given, outer, path)
                captured[name] = None
        for name in node.outputs:
            if name:
                if name in known:
                    raise LoadError(
                        f"{path}: tensor {name!r} is made twice, the second time by {node.op} {node.label!r}"
                    )
                known.add(name)
    return tuple(nodes), True, tuple(captured)


def _reorder(
    nodes: Sequence[Node], given: set[str], outer: Sequence[Container[str]], path: str
) -> tuple[tuple[Node, ...], bool, tuple[str, ...]]:
    maker: dict[str, int] = {}
    for i, node in enumerate(nodes):
        for name in node.outputs:
            if name:
                if name in maker or name in given:
                    raise LoadError(
                        f"{path}: tensor {name!r} is made twice, the second time by {node.op} {node.label!r}"
                    )
                maker[name] = i
    captured: dict[str, None] = {}
    waiting = [0] * len(nodes)
    readers: list[list[int]] = [[] for _ in nodes]
    for i, node in enumerate(nodes):
        for name in reads(node):
            if name in maker:
                readers[maker[name]].append(i)
                waiting[i] += 1
            elif name not in given:
                if not any(name in scope for scope in outer):
                    raise LoadError(f"{path}: {node.op} {node.label!r} reads {name!r}, which nothing makes")
                captured[name] = None
    ready = [i for i, count in enumerate(waiting) if not count]
    heapq.heapify(ready)
    order = []
    while ready:
        i = heapq.heappop(ready)
        order.append(nodes[i])
        for reader in readers[i]:
            waiting[reader] -= 1
            if not waiting[reader]:
                heapq.heappush(ready, reader)
    if len(order) < len(nodes):
        stuck = next(nodes[i] for i, count in enumerate(waiting) if count)
        raise LoadError(f"{path}: the graph has a cycle through {stuck.op} {stuck.label!r}")
    return tuple(order), False, tuple(captured)
