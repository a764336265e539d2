"""Depth-first search for offsets within a capacity, by branch and bound.

Follows MiniMalloc (Moffitt, "MiniMalloc: A Lightweight Memory Allocator for Hardware-Accelerated Machine Learning",
ASPLOS 2023): buffers are placed from the bottom up, each on what lies below it, so that every packing is met once
(offsets never fall, equals follow the order of the buffers); a place that leaves a hole under it that another buffer
could fill is skipped; a section whose floor and whose unplaced bytes together pass the capacity ends a branch; what is
left is searched part by part wherever no unplaced buffer joins the parts. If a part fails, the search goes back to
the choice that made the parts.

Beyond the paper: the search says how high the lowest branch it cut would have been, a lower bound of every packing
where nothing is left to try, and it counts which buffers stood in the sections that failed, so that the next search
can take those first.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec

from effaudit.plan.offsets._instance import Instance

PLACED = 1 << 200  # above every offset
RECENT = 3  # sections that failed last and are looked at first


class Outcome(msgspec.Struct, frozen=True):
    """`offsets` by position, None where none were found. `bound`: no packing is lower, 0 where steps ran out (or
    offsets were found). `steps` taken. `blame[i]`: how often buffer i stood in a section that failed."""

    offsets: list[int] | None
    bound: int
    steps: int
    blame: list[int]


def branch(
    compiled: Instance,
    neighbours: Sequence[Sequence[int]],
    members: Sequence[Sequence[int]],
    order: Sequence[int],
    capacity: int,
    steps: int,
) -> Outcome:
    """Searches with the buffers in this order. `members[k]`: the buffers of section k. A step is about one look at one
    buffer or section."""
    return _Search(compiled, neighbours, members, order, capacity).run(steps)


# A part of the problem left to do: its buffers and sections, the frame to go back to if it fails, the offset and the
# rank that what is placed in it must reach, and the parts after it.
_Part = tuple[list[int], int, int, int, int, int, Any]


class _Frame:
    """A choice: the candidates of a part, the one that is placed, and what placing it changed."""

    __slots__ = ("at", "back", "candidates", "first", "last", "live", "moved", "placed", "rest")

    def __init__(self, candidates: list[tuple[int, int, int]], part: _Part) -> None:
        self.live, self.first, self.last, self.back, _, _, self.rest = part
        self.candidates = candidates
        self.at = 0
        self.placed = -1
        self.moved: list[tuple[int, int]] = []


class _Search:
    def __init__(
        self,
        compiled: Instance,
        neighbours: Sequence[Sequence[int]],
        members: Sequence[Sequence[int]],
        order: Sequence[int],
        capacity: int,
    ) -> None:
        n = compiled.count
        self.sizes, self.first, self.last = compiled.sizes, compiled.first, compiled.last
        self.neighbours, self.members, self.capacity = neighbours, members, capacity
        self.rank = [0] * n
        for rank, i in enumerate(order):
            self.rank[i] = rank
        self.order = order
        self.low = [0] * n  # the lowest offset that is left, PLACED once it is placed
        self.offsets = [0] * n
        self.totals = list(compiled.totals)  # unplaced bytes of each section
        self.watched = [m[0] for m in members]  # an unplaced buffer of each section, if any is left
        self.joins = _joins(compiled)
        self.blame = [0] * n
        self.cut = PLACED
        self.looks = 0
        self.failed: list[int] = []  # the sections that failed last, the latest first
        self.stack: list[_Frame] = []

    def run(self, steps: int) -> Outcome:
        left = steps
        parts = self._parts(list(self.order), 0, len(self.members), -1, 0, -1, None)
        if parts is None:
            return Outcome([], 0, 0, self.blame)
        stack = self.stack
        self._enter(parts)
        while stack:
            frame = stack[-1]
            if frame.placed >= 0:
                alone = not frame.moved and not self._roofed(frame.placed)
                self._undo(frame)
                if alone:  # nothing lies above: any other choice only puts it elsewhere
                    frame.at = len(frame.candidates)
            if frame.at == len(frame.candidates):
                stack.pop()
                while len(stack) - 1 > frame.back:  # what was done apart from this part does not help it
                    self._undo(stack.pop())
                continue
            offset, rank, i = frame.candidates[frame.at]
            frame.at += 1
            left -= len(frame.live) + len(self.neighbours[i])
            if left < 0:
                return Outcome(None, 0, steps - left, self.blame)
            self._place(frame, i, offset)
            high = self._too_high(frame, offset)
            left, self.looks = left - self.looks, 0
            if high:
                continue
            if self._descend(frame, i, offset, rank):
                return Outcome(self.offsets, 0, steps - left, self.blame)
        return Outcome(None, self.cut, steps - left, self.blame)

    def _descend(self, frame: _Frame, i: int, offset: int, rank: int) -> bool:
        """Goes on with what is left; True where that is nothing."""
        live = frame.live.copy()
        live.remove(i)
        rest = frame.rest
        if live:
            if 0 in self.joins[self.first[i] : self.last[i] - 1]:
                rest = self._parts(live, frame.first, frame.last, len(self.stack) - 1, offset, rank, rest)
            else:
                rest = (live, frame.first, frame.last, len(self.stack) - 1, offset, rank, rest)
        if rest is None:
            return True
        self._enter(rest)
        return False

    def _enter(self, part: _Part) -> None:
        live, _, _, _, least, after, _ = part
        low, sizes, ranks = self.low, self.sizes, self.rank
        # Above this a hole would be left in which a buffer fits.
        roof = min([low[i] + sizes[i] for i in live])
        found = [(low[i], ranks[i], i) for i in live if least <= low[i] < roof]
        found.sort()
        if found and found[0][0] == least:
            found = [c for c in found if c[0] > least or c[1] > after]
        self.stack.append(_Frame(found, part))

    def _parts(self, live: list[int], first: int, last: int, back: int, least: int, after: int, rest: Any) -> Any:
        """The parts that no unplaced buffer joins, ahead of the rest."""
        edges = [k + 1 for k in range(first, last - 1) if not self.joins[k]]
        if not edges:
            return (live, first, last, back, least, after, rest) if live else rest
        inside: list[list[int]] = [[] for _ in range(len(edges) + 1)]
        for i in live:
            inside[bisect_right(edges, self.first[i])].append(i)
        for part, (a, b) in zip(reversed(inside), reversed(list(pairwise([first, *edges, last]))), strict=True):
            if part:
                rest = (part, a, b, back, least, after, rest)
        return rest

    def _place(self, frame: _Frame, i: int, offset: int) -> None:
        low, totals, size = self.low, self.totals, self.sizes[i]
        top = offset + size
        frame.placed = i
        self.offsets[i] = offset
        low[i] = PLACED
        frame.moved = moved = [(j, low[j]) for j in self.neighbours[i] if low[j] < top]
        for j, _ in moved:
            low[j] = top
        first, last = self.first[i], self.last[i]
        for k in range(first, last):
            totals[k] -= size
        joins = self.joins
        for k in range(first, last - 1):
            joins[k] -= 1

    def _undo(self, frame: _Frame) -> None:
        i = frame.placed
        low, totals, size, joins = self.low, self.totals, self.sizes[i], self.joins
        low[i] = self.offsets[i]
        for j, before in frame.moved:
            low[j] = before
        first, last = self.first[i], self.last[i]
        for k in range(first, last):
            totals[k] += size
        for k in range(first, last - 1):
            joins[k] += 1
        frame.placed = -1

    def _too_high(self, frame: _Frame, offset: int) -> bool:
        """Some section cannot hold what it still must, above the lowest offset left in it."""
        low, watched, totals, members, capacity = self.low, self.watched, self.totals, self.members, self.capacity
        for k in self.failed:  # what failed last is likely to fail again
            if frame.first <= k < frame.last and totals[k]:
                self.looks += len(members[k])
                if min([low[j] for j in members[k]]) + totals[k] > capacity:
                    self._fail(k, min([low[j] for j in members[k]]) + totals[k])
                    return True
        self.looks += frame.last - frame.first
        worst = offset + max(totals[frame.first : frame.last])
        fullest, failing = 0, -1
        for k in range(frame.first, frame.last):
            total = totals[k]
            if not total or low[watched[k]] + total <= capacity:
                continue  # the lowest offset is no higher than that of any buffer
            lows = [low[j] for j in members[k]]
            floor = min(lows)
            watched[k] = members[k][lows.index(floor)]
            self.looks += len(lows)
            if floor + total > fullest:
                fullest, failing = floor + total, k
        worst = max(worst, fullest)
        if worst <= capacity:
            return False
        if fullest > capacity:
            self._fail(failing, worst)
        else:
            self.cut = min(self.cut, worst)
        return True

    def _fail(self, k: int, height: int) -> None:
        """Section k cannot hold what it must below `height`."""
        low = self.low
        self.cut = min(self.cut, height)
        for j in self.members[k]:
            if low[j] != PLACED:
                self.blame[j] += 1
        if k in self.failed:
            self.failed.remove(k)
        self.failed.insert(0, k)
        del self.failed[RECENT:]

    def _roofed(self, i: int) -> bool:
        """Something unplaced lives beside this buffer."""
        return any(self.totals[self.first[i] : self.last[i]])


def _joins(compiled: Instance) -> list[int]:
    """How many unplaced buffers are alive in both of two sections that follow each other."""
    change = [0] * (len(compiled.totals) + 1)
    for a, b in zip(compiled.first, compiled.last, strict=True):
        change[a] += 1
        change[b - 1] -= 1
    found, count = [], 0
    for step in change:
        count += step
        found.append(count)
    return found
