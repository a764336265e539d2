"""Most conflicts first (as TVM's unified static memory planner had it, "greedy by conflicts")."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from effaudit.plan.offsets._greedy import BOTH, sort
from effaudit.plan.offsets._instance import Instance

FITS = BOTH


def order(compiled: Instance) -> list[int]:
    """By the number of buffers alive at some time with a buffer, then by size."""
    starts, ends = sorted(compiled.starts), sorted(compiled.ends)
    met = [
        bisect_left(starts, end) - bisect_right(ends, start)
        for start, end in zip(compiled.starts, compiled.ends, strict=True)
    ]
    return sort(compiled, met, compiled.sizes)
