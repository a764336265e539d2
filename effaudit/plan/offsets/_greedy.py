"""Greedy placement: buffers one after the other, each into a gap between those placed already that live beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from effaudit.errors import LimitError
from effaudit.plan.offsets._instance import MAX_PAIRS, Instance, instance
from effaudit.plan.problem import Plan, Problem

FIRST = "first"  # the lowest gap that is large enough
BEST = "best"  # the smallest gap that is large enough, the lowest of equals
BOTH = (FIRST, BEST)

Order = Callable[[Instance], list[int]]


def solve(problem: Problem, name: str, order: Order, fit: str) -> Plan:
    """The plan of a greedy planner. Raises LimitError past MAX_PAIRS pairs of buffers alive together."""
    compiled = instance(problem)
    if compiled.pairs > MAX_PAIRS:
        raise LimitError(
            f"planner {name}: {compiled.pairs} pairs of buffers are alive together, at most {MAX_PAIRS} are planned; "
            "use the planner 'best' or 'linear'"
        )
    offsets = place(compiled, compiled.neighbours(), order(compiled), fit)
    return compiled.plan(problem, offsets, name)


def sort(compiled: Instance, *columns: Sequence[int]) -> list[int]:
    """The buffers by these columns, largest first; equals in the order of the problem."""
    keys = list(zip(*columns, strict=True))
    return sorted(range(compiled.count), key=keys.__getitem__, reverse=True)


def place(compiled: Instance, neighbours: Sequence[Sequence[int]], order: Iterable[int], fit: str) -> list[int]:
    """Offsets by position."""
    sizes = compiled.sizes
    offsets = [0] * compiled.count
    ends = [0] * compiled.count  # 0: not placed
    gap = lowest if fit == FIRST else _best
    for i in order:
        spans = [(offsets[j], ends[j]) for j in neighbours[i] if ends[j]]
        spans.sort()
        offsets[i] = at = gap(spans, sizes[i])
        ends[i] = at + sizes[i]
    return offsets


def lowest(spans: list[tuple[int, int]], size: int) -> int:
    at = 0
    for begin, end in spans:
        if begin - at >= size:
            return at
        if end > at:  # noqa: PLR1730 - a call here costs more than all the rest
            at = end
    return at


def _best(spans: list[tuple[int, int]], size: int) -> int:
    at = 0
    chosen, least = -1, 0
    for begin, end in spans:
        gap = begin - at
        if gap >= size and (chosen < 0 or gap < least):
            chosen, least = at, gap
        if end > at:  # noqa: PLR1730 - a call here costs more than all the rest
            at = end
    return at if chosen < 0 else chosen
