"""Beam search: of the states after as many decisions, only the most promising are kept. It proves nothing."""

from __future__ import annotations

from typing import Final

from effaudit.plan.order.walk import State, Walk

NARROW: Final = 8  # the width of the first try; each further one is WIDER times as wide
WIDER: Final = 4


def beam(walk: Walk, level: int, bound: int, budget: int) -> int | None:
    """Settles the units of the walk that are left, in an order whose peak is below `bound`, and gives that peak; None
    where none is found. `level` is a lower bound of the whole problem, `budget` limits `walk.work`.

    Wider and wider beams are tried, as long as the budget lasts.
    """
    best: State | None = None
    width = NARROW
    whole = False
    while walk.work <= budget and bound > level and not whole:
        found, whole = _one(walk, level, bound, width, budget)
        if found is not None:
            best, bound = found, found.peak
        width *= WIDER
    if best is None:
        return None
    walk.settle(best)
    return max(level, best.peak)


def _one(walk: Walk, level: int, bound: int, width: int, budget: int) -> tuple[State | None, bool]:
    """The best complete state that a beam of this width finds below `bound`, and whether it dropped no state."""
    best: State | None = None
    kept = [walk.root()]
    whole = True
    while kept and bound > level:
        reached: dict[int, State] = {}
        for state in kept:
            for v in walk.next(state):
                after = walk.run(state, v, max(level, state.peak))
                if walk.work > budget:
                    return best, False
                if after.peak >= bound:
                    continue
                if after.count == walk.left:
                    best, bound = after, after.peak
                    continue
                known = reached.get(after.mask)
                if known is None or _rank(after) < _rank(known):
                    reached[after.mask] = after
        kept = sorted((s for s in reached.values() if s.peak < bound), key=_rank)
        whole = whole and len(kept) <= width
        del kept[width:]
    return best, whole


def _rank(state: State) -> tuple[int, int, int]:
    return (state.peak, state.memory, -state.count)
