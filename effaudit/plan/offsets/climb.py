"""Hill climbing over the order of placement, from the best greedy plan, as Arm's Vela does it.

The buffers at the top of the arena, and those that hold them up, are what keeps it high: two of the order are swapped,
one of them from there, and the new order is kept where it is no worse.
https://gitlab.arm.com/artificial-intelligence/ethos-u/ethos-u-vela (hillclimb_allocation.py)
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from effaudit.plan.offsets import _greedy, _start
from effaudit.plan.offsets._instance import MAX_PAIRS, Instance, instance
from effaudit.plan.problem import Plan, Problem

# Looks at a neighbour. Fixed, so that a plan never depends on the machine.
STEPS = {"low": 200_000, "normal": 2_000_000, "high": 40_000_000}


def solve(problem: Problem, effort: str = "normal") -> Plan:
    """The plan, the best greedy one where no step is left to climb."""
    compiled = instance(problem)
    found = _start.best(compiled)
    if found.height > compiled.floor and compiled.pairs <= MAX_PAIRS:
        found = climb(compiled, compiled.neighbours(), found, STEPS[effort])
    return compiled.plan(problem, found.offsets, "climb")


def climb(
    compiled: Instance, neighbours: Sequence[Sequence[int]], start: _start.Start, steps: int, target: int = 0
) -> _start.Start:
    """The best plan met from `start`, at most `steps` looks at a neighbour later; stops at `target` or the floor."""
    rng = random.Random(1)
    order = sorted(range(compiled.count), key=lambda i: (start.offsets[i], i))
    best = start
    height = -1
    a = b = 0  # what was swapped last
    target = max(target, compiled.floor)
    cost = 2 * compiled.pairs + compiled.count
    for _ in range(steps // max(cost, 1)):
        offsets = _greedy.place(compiled, neighbours, order, _greedy.FIRST)
        reached = compiled.height(offsets)
        if reached < best.height:
            best = _start.Start(reached, offsets, "climb")
        if best.height <= target:
            break
        if height < 0 or reached <= height:
            height, bottleneck = reached, _bottleneck(compiled, neighbours, offsets, reached)
        else:  # worse: back
            order[a], order[b] = order[b], order[a]
        at = {i: k for k, i in enumerate(order)}
        a, b = at[rng.choice(bottleneck)], rng.randrange(len(order))
        order[a], order[b] = order[b], order[a]
    return best


def _bottleneck(
    compiled: Instance, neighbours: Sequence[Sequence[int]], offsets: Sequence[int], height: int
) -> list[int]:
    """The buffers that end at the top, and those that they rest on, down to the bottom."""
    sizes = compiled.sizes
    found = [i for i, offset in enumerate(offsets) if offset + sizes[i] == height]
    met = set(found)
    for i in found:
        for j in neighbours[i]:
            if j not in met and offsets[j] + sizes[j] == offsets[i]:
                met.add(j)
                found.append(j)
    return found
