"""Linear scan: memory handed out and given back as time goes, in O(n log n) however many buffers live together.

As register allocation by linear scan does it: the buffers in the order they start, each into the smallest free block
that holds it, else on top.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from heapq import heappop, heappush

from effaudit.plan.offsets._instance import Instance, instance
from effaudit.plan.problem import Plan, Problem


def solve(problem: Problem, effort: str = "normal") -> Plan:
    """The plan; `effort` changes nothing."""
    compiled = instance(problem)
    return compiled.plan(problem, scan(compiled), "linear")


def scan(compiled: Instance) -> list[int]:
    """Offsets by position."""
    offsets = [0] * compiled.count
    free = _Free()
    ending: list[tuple[int, int]] = []
    order = sorted(range(compiled.count), key=lambda i: (compiled.starts[i], -compiled.ends[i], -compiled.sizes[i]))
    for i in order:
        while ending and ending[0][0] <= compiled.starts[i]:
            _, done = heappop(ending)
            free.release(offsets[done], compiled.sizes[done])
        offsets[i] = free.take(compiled.sizes[i])
        heappush(ending, (compiled.ends[i], i))
    return offsets


class _Free:
    """The free blocks under `top`, never two side by side."""

    def __init__(self) -> None:
        self.top = 0
        self.by_size: list[tuple[int, int]] = []  # (size, offset), sorted
        self.starting: dict[int, int] = {}  # offset -> size
        self.stopping: dict[int, int] = {}  # end -> size

    def take(self, size: int) -> int:
        at = bisect_left(self.by_size, (size, 0))
        if at < len(self.by_size):
            block, offset = self.by_size[at]
            self._remove(offset, block)
            if block > size:
                self._add(offset + size, block - size)
            return offset
        under = self.stopping.get(self.top, 0)  # the last block grows
        offset = self.top - under
        if under:
            self._remove(offset, under)
        self.top = offset + size
        return offset

    def release(self, offset: int, size: int) -> None:
        before = self.stopping.get(offset, 0)
        if before:
            self._remove(offset - before, before)
        after = self.starting.get(offset + size, 0)
        if after:
            self._remove(offset + size, after)
        self._add(offset - before, before + size + after)

    def _add(self, offset: int, size: int) -> None:
        insort(self.by_size, (size, offset))
        self.starting[offset] = size
        self.stopping[offset + size] = size

    def _remove(self, offset: int, size: int) -> None:
        del self.by_size[bisect_left(self.by_size, (size, offset))]
        del self.starting[offset]
        del self.stopping[offset + size]
