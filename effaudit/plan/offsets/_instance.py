"""A problem as the planners see it: the buffers that take room, who is alive together, and the steps that matter.

Only the greatest sets of buffers alive together matter (the maximal cliques of the interval graph): what fits in them
fits everywhere. They are at most as many as buffers, and each buffer is in a run of consecutive ones.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

import msgspec

from effaudit.plan.problem import Plan, Problem

MAX_PAIRS = 4_000_000  # of buffers alive together; more are neither listed nor searched


class Instance(msgspec.Struct, frozen=True):
    """The buffers that take room, by position: `index[i]` is its place in the problem.

    It is alive in the sections first[i] <= k < last[i]; `totals[k]` bytes are alive in section k. `floor` is the least
    arena that can be hoped for.
    """

    index: tuple[int, ...]
    sizes: tuple[int, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    first: tuple[int, ...]
    last: tuple[int, ...]
    totals: tuple[int, ...]
    pairs: int
    floor: int

    @property
    def count(self) -> int:
        return len(self.sizes)

    @property
    def peaks(self) -> list[int]:
        """The most bytes alive while each buffer is."""
        totals = self.totals
        return [max(totals[a:b]) for a, b in zip(self.first, self.last, strict=True)]

    def neighbours(self) -> list[list[int]]:
        """Who is alive together with each buffer. As large as twice `pairs`."""
        found: list[list[int]] = [[] for _ in self.sizes]
        alive: dict[int, None] = {}
        for _, starts, i in _events(self.starts, self.ends):
            if starts:
                found[i].extend(alive)
                for j in alive:
                    found[j].append(i)
                alive[i] = None
            else:
                del alive[i]
        return found

    def plan(self, problem: Problem, offsets: list[int], planner: str, floor: int = 0) -> Plan:
        """The plan of these offsets (by position); buffers that take no room lie at 0."""
        placed = [0] * len(problem.buffers)
        for i, offset in zip(self.index, offsets, strict=True):
            placed[i] = offset
        return Plan(problem, tuple(placed), planner, max(floor, self.floor))

    def height(self, offsets: list[int]) -> int:
        """The arena of these offsets."""
        return max(map(int.__add__, offsets, self.sizes), default=0)


def instance(problem: Problem) -> Instance:
    """The buffers of a problem that take room, in O(n log n)."""
    kept = [(i, b) for i, b in enumerate(problem.buffers) if b.size > 0 and b.start < b.end]
    starts = tuple(b.start for _, b in kept)
    ends = tuple(b.end for _, b in kept)
    sizes = tuple(b.size for _, b in kept)
    # A section ends where a buffer ends that follows a start.
    closes = _closes(starts, ends)
    first = tuple(bisect_right(closes, s) for s in starts)
    last = tuple(bisect_right(closes, e) for e in ends)
    change = [0] * (len(closes) + 1)
    for a, b, size in zip(first, last, sizes, strict=True):
        change[a] += size
        change[b] -= size
    totals = tuple(accumulate(change[:-1]))
    return Instance(
        index=tuple(i for i, _ in kept),
        sizes=sizes,
        starts=starts,
        ends=ends,
        first=first,
        last=last,
        totals=totals,
        pairs=_pairs(starts, ends),
        # A buffer that is never alive lies somewhere, too.
        floor=max(max(totals, default=0), max((b.size for b in problem.buffers), default=0)),
    )


def _events(starts: tuple[int, ...], ends: tuple[int, ...]) -> list[tuple[int, bool, int]]:
    """(step, whether it starts, buffer): at one step the ends come first."""
    events = [(s, True, i) for i, s in enumerate(starts)]
    events.extend((e, False, i) for i, e in enumerate(ends))
    events.sort()
    return events


def _closes(starts: tuple[int, ...], ends: tuple[int, ...]) -> list[int]:
    closes: list[int] = []
    grew = False
    for step, starting, _ in _events(starts, ends):
        if starting:
            grew = True
        elif grew:
            closes.append(step)
            grew = False
    return closes


def _pairs(starts: tuple[int, ...], ends: tuple[int, ...]) -> int:
    """Pairs alive together: of all pairs, less those where one ends before the other starts."""
    n = len(starts)
    ordered = sorted(ends)
    return n * (n - 1) // 2 - sum(bisect_right(ordered, s) for s in starts)
