"""The problem of memory planning, and its solution: where in one arena every buffer lies while it is alive.

Lifetimes are half open, as in google/minimalloc (https://github.com/google/minimalloc): a buffer that ends at 5 and one
that starts at 5 may share bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

import msgspec


class Buffer(msgspec.Struct, frozen=True, gc=False):
    """Bytes that exist in the steps [start, end). Several tensors may share them; `name` is that of the first."""

    name: str
    start: int
    end: int
    size: int


class Problem(msgspec.Struct, frozen=True):
    """Buffers to place. Sizes are multiples of `align`, and so shall be the offsets."""

    buffers: tuple[Buffer, ...]
    align: int = 1

    @property
    def floor(self) -> int:
        """The most that is alive at one step, in bytes: no plan can be smaller."""
        return max((alive for _, alive in profile(self.buffers)), default=0)


class Plan(msgspec.Struct, frozen=True):
    """`offsets[i]` is where `problem.buffers[i]` begins. `floor` is the best lower bound known of any plan of this
    problem (at least `problem.floor`); `planner` names what made it."""

    problem: Problem
    offsets: tuple[int, ...]
    planner: str
    floor: int

    @property
    def arena(self) -> int:
        """Bytes of the arena: the highest end of a buffer."""
        ends = (offset + b.size for offset, b in zip(self.offsets, self.problem.buffers, strict=True))
        return max(ends, default=0)

    @property
    def proven(self) -> bool:
        """True where no plan can be smaller."""
        return self.arena == self.floor

    @property
    def gap(self) -> float:
        """How far the arena is above the floor, as a share of the floor; 0.0 where both are."""
        return (self.arena - self.floor) / self.floor if self.floor else 0.0


def aligned(size: int, align: int) -> int:
    """The size rounded up to a multiple of `align`."""
    return -(-size // align) * align


def profile(buffers: Iterable[Buffer]) -> list[tuple[int, int]]:
    """(step, bytes alive from it until the next of them), by step."""
    change: dict[int, int] = {}
    for b in buffers:
        if b.size and b.start < b.end:
            change[b.start] = change.get(b.start, 0) + b.size
            change[b.end] = change.get(b.end, 0) - b.size
    steps = sorted(change)
    return list(zip(steps, accumulate(change[s] for s in steps), strict=True))
