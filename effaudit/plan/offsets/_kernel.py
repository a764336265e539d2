"""The hard part of a problem: without the buffers that find a place however the others lie.

A buffer of s units can be at capacity - s + 1 offsets, and one of t units beside it takes at most s + t - 1 of them.
Where its neighbours together cannot take all, it is placed last. What is left is asked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

from effaudit.plan.offsets._instance import Instance, instance
from effaudit.plan.problem import Buffer, Problem


def split(compiled: Instance, neighbours: Sequence[Sequence[int]], capacity: int) -> tuple[list[int], list[int]]:
    """The buffers of the hard part, and the others in the order to place them, for an arena of `capacity` bytes."""
    unit = gcd(*compiled.sizes) or 1
    sizes = [size // unit for size in compiled.sizes]
    # What is left of its offsets if all of its neighbours take as many as they can.
    spare = [
        capacity // unit - size + 1 - sum([size + sizes[j] - 1 for j in beside])
        for size, beside in zip(sizes, neighbours, strict=True)
    ]
    easy = [i for i, left in enumerate(spare) if left > 0]
    gone = set(easy)
    for i in easy:
        for j in neighbours[i]:
            spare[j] += sizes[i] + sizes[j] - 1
            if spare[j] > 0 and j not in gone:
                gone.add(j)
                easy.append(j)
    return [i for i in range(compiled.count) if i not in gone], easy[::-1]


def subset(compiled: Instance, kept: Sequence[int]) -> Instance:
    """The instance of some of its buffers, by their place in `kept`."""
    c = compiled
    return instance(Problem(tuple(Buffer("", c.starts[i], c.ends[i], c.sizes[i]) for i in kept)))
