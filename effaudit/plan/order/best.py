"""The order of a graph's nodes in which the least memory is alive at the worst step."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, Literal, TypeAlias

import msgspec

from effaudit.dataflow import Flow, flow
from effaudit.errors import UsageError
from effaudit.graph import Graph
from effaudit.plan.lifetimes import high, lifetimes, low, reason
from effaudit.plan.order.beam import beam
from effaudit.plan.order.cuts import cuts, forced, touched
from effaudit.plan.order.search import search
from effaudit.plan.order.task import Task, part, profile, task_of
from effaudit.plan.order.units import units_of
from effaudit.plan.order.walk import Walk

Method: TypeAlias = Literal["given", "exact", "beam"]


class Budget(msgspec.Struct, frozen=True):
    """States of the exact search and of the beam search, in one graph."""

    exact: int
    beam: int


BUDGETS: Final[dict[str, Budget]] = {
    "low": Budget(20_000, 20_000),
    "normal": Budget(300_000, 200_000),
    "high": Budget(3_000_000, 2_000_000),
}


class Ordered(msgspec.Struct, frozen=True):
    """An order of all nodes of a graph, by index, and what is known of it.

    `peak`: its `live_bytes`, None where open sizes make it a range (`why` says which). `floor`: no order has less.
    `method`: "given", the order is the graph's own; "exact", it is another, found by the exact search; "beam", part of
    it was found by beam search. `states`: what the exact search looked at, a large state counted as several.
    """

    order: tuple[int, ...]
    peak: int | None
    floor: int
    method: Method
    states: int
    why: str = ""

    @property
    def proven(self) -> bool:
        """True where no order has less."""
        return self.peak == self.floor


def best_order(graph: Graph, known: Flow | None = None, *, effort: str = "normal") -> Ordered:
    """The topological order of least `live_bytes`, as far as `effort` ("low", "normal", "high") allows: never a worse
    one than the graph's own, and the graph's own where none is better, or where a size is not a number. `known` is the
    data flow, where the caller has it. Nodes that never run come last.

    Dynamic programming over sets of executed nodes, as in SERENITY (https://arxiv.org/abs/2003.02369), part by part,
    with the rules of `units` and `search`; where the budget ends first, beam search. Raises UsageError for an unknown
    effort.
    """
    if effort not in BUDGETS:
        raise UsageError(f"effort {effort!r}: expected one of {', '.join(BUDGETS)}")
    known = known or flow(graph)
    given = tuple(range(len(graph.nodes)))
    found = lifetimes(graph, known)
    task = task_of(graph, known, {b.name: low(b) for b in found})
    parts = _Parts(task, BUDGETS[effort])
    if any(type(b.size) is not int for b in found):
        parts.bound()
        most = {b.name: high(b) for b in found}
        exact = None not in most.values() and parts.given == _peak(task_of(graph, known, most))  # type: ignore[arg-type]
        return Ordered(given, parts.given if exact else None, parts.floor, "given", 0, reason(found))
    if not parts.improve():
        return Ordered(given, parts.given, parts.floor, "given", parts.states)
    order = tuple(_whole(graph, known, [task.names[v] for v in parts.order]))
    return Ordered(order, parts.peak, parts.floor, "exact" if parts.exact else "beam", parts.states)


def _peak(task: Task) -> int:
    return max(profile(task, range(len(task.names)))[0], default=task.start)


class _Parts:
    """The parts between two cuts, each ordered on its own: a peak is the worst of theirs."""

    def __init__(self, task: Task, budget: Budget) -> None:
        self.task = task
        self.budget = budget
        self.order = list(range(len(task.names)))
        self.exact = True
        self.states = 0
        self.guessed = 0  # states of the beam search
        at, left = profile(task, self.order)
        self.given = self.peak = max(at, default=task.start)
        places = cuts(task)
        spans = list(pairwise(places))
        self.peaks = {begin: max(at[begin:end]) for begin, end in spans}
        self.spans = [(begin, end, left[begin - 1] if begin else task.start) for begin, end in spans]
        single = [self.peaks[begin] for begin, end in spans if end == begin + 1]
        between = [left[place - 1] for place in places if place]  # alive at the step behind a cut, or at the last
        self.floor = max([task.start, touched(task), *single, *between])

    def bound(self) -> list[tuple[int, Task]]:
        """Raises `floor` as far as no search is needed, and gives the parts that it leaves open with where they begin,
        those of the highest peak first."""
        spans = [span for span in self.spans if self.peaks[span[0]] > self.floor]
        spans.sort(key=lambda span: (-self.peaks[span[0]], span[0]))
        tasks = [(begin, part(self.task, begin, end, start)) for begin, end, start in spans]
        self.floor = max([self.floor, *(forced(own) for _, own in tasks)])
        return tasks

    def improve(self) -> bool:
        """Whether the peak was lowered. `floor` is then what no order can be below."""
        tasks = self.bound()
        level = self.floor  # no part need be better than the worst of those before it
        for begin, own in tasks:
            if self.peaks[begin] > level:
                self._order(begin, own, level)
                level = max(level, self.peaks[begin])
        self.peak = max(self.peaks.values(), default=self.peak)
        return self.peak < self.given

    def _order(self, begin: int, own: Task, level: int) -> None:
        """Orders one part, if that lowers its peak below what it is, with no effort to bring it below `level`."""
        walk = Walk(units_of(own))
        bound = self.peaks[begin]
        # half of what is left, so that a hard part leaves something for those behind it
        outcome = search(walk, level, bound, (self.budget.exact - self.states) // 2)
        self.states += walk.work
        peak: int | None = outcome.level
        if outcome.level > level:
            self.floor = max(self.floor, outcome.level)
        if not outcome.done:
            spent = walk.work
            peak = beam(walk, outcome.level, bound, spent + (self.budget.beam - self.guessed) // 2)
            self.guessed += walk.work - spent
        if not walk.left and peak is not None and peak < bound:
            self.exact = self.exact and outcome.done
            self.peaks[begin] = peak
            self.order[begin : begin + len(own.names)] = [own.names[v] for v in walk.nodes]


def _whole(graph: Graph, known: Flow, order: Sequence[int]) -> list[int]:
    """An order of the nodes with a cost as one of all: the others just before the first that reads what they make, in
    their own order, and last of all those that no node of the order waits for."""
    maker = {name: i for i, node in enumerate(graph.nodes) for name in node.outputs if name}
    placed = [False] * len(graph.nodes)
    costly = set(order)
    whole: list[int] = []
    for i in order:
        ahead: set[int] = set()
        waiting = [i]
        while waiting:
            for name in known.reads[waiting.pop()]:
                j = maker.get(name)
                if j is not None and not placed[j] and j not in costly and j not in ahead:
                    ahead.add(j)
                    waiting.append(j)
        for j in (*sorted(ahead), i):
            placed[j] = True
            whole.append(j)
    idle = [i for i, done in enumerate(placed) if not done]
    return [*whole, *(i for i in idle if known.live[i]), *(i for i in idle if not known.live[i])]
