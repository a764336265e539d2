"""An independent check of a plan: no code shared with the planners."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

from effaudit.plan.problem import Buffer, Problem


class PlanFault(ValueError):
    """A plan that would overwrite live bytes, or that is not a plan of the problem: a planner is at fault."""


def verify(problem: Problem, offsets: Sequence[int]) -> None:
    """Checks that offsets (bytes, one per buffer, in the order of the problem) are a plan.

    Raises PlanFault where their count is wrong, one is negative or no multiple of `problem.align`, or two buffers that
    are alive together overlap. O(n log n): a sweep over time with the live buffers sorted by offset.
    """
    if len(offsets) != len(problem.buffers):
        raise PlanFault(f"{len(offsets)} offsets for {len(problem.buffers)} buffers")
    for b, offset in zip(problem.buffers, offsets, strict=True):
        if offset < 0:
            raise PlanFault(f"buffer {b.name}: offset {offset} is negative")
        if offset % problem.align:
            raise PlanFault(f"buffer {b.name}: offset {offset} is no multiple of {problem.align}")
    _sweep(problem.buffers, offsets)


def _sweep(buffers: Sequence[Buffer], offsets: Sequence[int]) -> None:
    events = []
    for i, b in enumerate(buffers):
        if b.size > 0 and b.end > b.start:
            events.append((b.start, 1, i))
            events.append((b.end, 0, i))
    events.sort()  # at one step the ends come first: lifetimes are half open
    live: list[tuple[int, int]] = []  # (offset, buffer); none overlap, so only the nearest two matter
    for _, starts, i in events:
        here = (offsets[i], i)
        if not starts:
            del live[bisect_left(live, here)]
            continue
        at = bisect_left(live, here)
        for _, other in live[max(at - 1, 0) : at + 1]:
            if offsets[other] < offsets[i] + buffers[i].size and offsets[i] < offsets[other] + buffers[other].size:
                raise PlanFault(_overlap(buffers[i], offsets[i], buffers[other], offsets[other]))
        insort(live, here)


def _overlap(one: Buffer, at: int, other: Buffer, there: int) -> str:
    def place(b: Buffer, offset: int) -> str:
        return f"{b.name} (bytes {offset} to {offset + b.size}, steps {b.start} to {b.end})"

    return f"buffers overlap while both are alive: {place(one, at)} and {place(other, there)}"
