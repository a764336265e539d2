"""Where every search starts: the best of the greedy plans."""

from __future__ import annotations

import msgspec

from effaudit.plan import offsets as planners
from effaudit.plan.offsets import _greedy
from effaudit.plan.offsets._instance import Instance
from effaudit.plan.offsets.linear import scan

# Pairs alive together up to which every greedy planner is tried, and up to which `size` is.
ALL_GREEDY = 300_000
ONE_GREEDY = 2_000_000


class Start(msgspec.Struct, frozen=True):
    """Offsets by position, the arena they need, and the planner they are from."""

    height: int
    offsets: list[int]
    planner: str


def best(compiled: Instance) -> Start:
    """The first plan that meets the floor, else the lowest: of every planner where few buffers live together, of the
    near-linear one alone where very many do."""
    offsets = scan(compiled)
    found = Start(compiled.height(offsets), offsets, "linear")
    if found.height <= compiled.floor or compiled.pairs > ONE_GREEDY:
        return found
    neighbours = compiled.neighbours()
    for name in planners.greedy() if compiled.pairs <= ALL_GREEDY else ("size",):
        order, fit = planners.greedy_order(name)
        offsets = _greedy.place(compiled, neighbours, order(compiled), fit)
        height = compiled.height(offsets)
        if height < found.height:
            found = Start(height, offsets, name)
        if height <= compiled.floor:
            break
    return found
