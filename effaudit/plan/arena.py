"""Graph -> the problem of laying out its arena: one buffer per storage, bodies and workspaces among them.

What a body needs inside (`If`, `Loop`, `Scan`, a function) is laid out by itself and stands in the arena as one buffer
while its node runs; bodies of one node never run together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from effaudit import dims
from effaudit.dataflow import Flow
from effaudit.dims import Dim
from effaudit.graph import Graph, Node
from effaudit.plan.bodies import varying, within
from effaudit.plan.lifetimes import Lifetime, high, lifetimes, low, reason
from effaudit.plan.problem import Buffer, Problem, aligned
from effaudit.plan.storage import APART, Sharing, shared
from effaudit.quantity import Quantity, larger

Workspace = Callable[[Graph, Node], Quantity]
Planner = Callable[[Problem], int]  # bytes of an arena


class Rules(msgspec.Struct, frozen=True):
    """How a graph is laid out: who shares bytes, sizes and offsets in multiples of `align`, whether the graph's inputs
    lie in the arena (`inputs`), and whether they must stay there until the end (`pinned`)."""

    sharing: Sharing = APART
    align: int = 1
    inputs: bool = True
    pinned: bool = False


class Need(msgspec.Struct, frozen=True):
    """What has to be placed. Sizes may be open: `least` and `most` are the problems at their bounds; `most` is None
    where nothing bounds a size, and `why` then says which. Both have the same buffers in the same order."""

    storages: tuple[Lifetime, ...]
    least: Problem
    most: Problem | None
    why: str = ""

    @property
    def exact(self) -> bool:
        return self.most is self.least


def need(graph: Graph, known: Flow, rules: Rules, planner: Planner, workspace: Workspace | None = None) -> Need:
    """The buffers of a graph. `planner` lays out the bodies; `workspace` are the bytes a node needs while it runs."""
    every = lifetimes(graph, known)
    if rules.pinned:
        every = _pinned(every, graph, max(known.running, 1))
    found = _Bodies(rules, planner).of(graph, known, every)
    if not rules.inputs:  # what only views them lies with them
        found = [one for one in found if one.name not in graph.inputs]
    if workspace is not None:
        found += list(_workspaces(graph, known, workspace))
    least = _problem(found, rules.align, low)
    if all(type(one.size) is int for one in found):
        return Need(tuple(found), least, least)
    unbounded = [one for one in found if high(one) is None]
    most = None if unbounded else _problem(found, rules.align, lambda one: high(one) or 0)
    return Need(tuple(found), least, most, reason(found))


def _pinned(found: list[Lifetime], graph: Graph, end: int) -> list[Lifetime]:
    outside = set(graph.inputs)
    return [msgspec.structs.replace(one, end=end) if one.name in outside else one for one in found]


def _problem(found: Iterable[Lifetime], align: int, size: Callable[[Lifetime], int]) -> Problem:
    return Problem(tuple(Buffer(one.name, one.start, one.end, aligned(size(one), align)) for one in found), align)


def _workspaces(graph: Graph, known: Flow, workspace: Workspace) -> Iterator[Lifetime]:
    for step, node in enumerate(running(graph, known)):
        wanted = workspace(graph, node)
        if wanted.high != 0:
            name = f"workspace of {node.label}"
            yield Lifetime(name, step, step + 1, _open(wanted, name), wanted.why)


def _open(size: Quantity, name: str) -> Dim | None:
    """A quantity as a size: a number, or a symbol between its bounds."""
    if size.value is not None or size.high is None:
        return size.value
    return dims.symbol(name, size.low, size.high, "data", size.why)


def running(graph: Graph, known: Flow) -> list[Node]:
    """The nodes that run, by step."""
    return [node for node, runs in zip(graph.nodes, known.live, strict=True) if runs]


class _Bodies:
    """Storages of a graph with one more for the bodies of each node that has some; equal bodies are laid out once."""

    def __init__(self, rules: Rules, planner: Planner) -> None:
        self.rules = rules
        self.planner = planner
        self.seen: dict[tuple[int, tuple[str, ...]], Quantity] = {}

    def of(self, graph: Graph, known: Flow, found: list[Lifetime]) -> list[Lifetime]:
        storages = shared(graph, known, found, self.rules.sharing)
        for step, node in enumerate(running(graph, known)):
            if node.bodies:
                inner = self._largest(node, known)
                if self.rules.sharing.bodies and inner.high != 0:
                    inner = Quantity(0, inner.high, self.rules.sharing.bodies)
                if inner.high != 0:
                    name = f"bodies of {node.label}"
                    storages.append(Lifetime(name, step, step + 1, _open(inner, name), inner.why))
        return storages

    def _largest(self, node: Node, known: Flow) -> Quantity:
        """The arena of the body that needs most."""
        worst = Quantity(0, 0)
        for body in filter(lambda b: b.runs, node.bodies.values()):
            outside = varying(node, body, known)
            key = (id(body), outside)
            if key not in self.seen:
                self.seen[key] = self._body(body, outside)
            worst = larger(worst, self.seen[key])
        return worst

    def _body(self, body: Graph, outside: tuple[str, ...]) -> Quantity:
        known, own = within(body, outside)
        storages = self.of(body, known, own)
        least = _problem(storages, self.rules.align, low)
        if all(type(one.size) is int for one in storages):
            arena = self.planner(least)
            return Quantity(arena, arena)
        if any(high(one) is None for one in storages):
            return Quantity(least.floor, None, reason(storages))
        most = self.planner(_problem(storages, self.rules.align, lambda one: high(one) or 0))
        return Quantity(least.floor, most, reason(storages))
