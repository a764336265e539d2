"""Beam search: of the states after as many decisions, only the most promising are kept. It proves nothing."""

from __future__ import annotations

from effaudit.plan.order.walk import State, Walk


def beam(walk: Walk, level: int, bound: int, width: int, budget: int) -> int | None:
    """Settles the nodes of the walk that are left, in an order whose peak is below `bound`, and gives that peak; None
    where none is found. `level` is a lower bound of the whole problem, `budget` limits `walk.work`.
    """
    kept = [walk.root()]
    best: State | None = None
    while kept:
        reached: dict[int, State] = {}
        for state in kept:
            for v in walk.next(state):
                after = walk.run(state, v, max(level, state.peak))
                if after.peak >= bound:
                    continue
                known = reached.get(after.mask)
                if after.count == walk.left:
                    best, bound = after, after.peak
                elif known is None or _rank(after) < _rank(known):
                    reached[after.mask] = after
                if walk.work > budget:
                    return _finish(walk, best, level)
        if best is not None and best.peak <= level:
            break
        kept = sorted((s for s in reached.values() if s.peak < bound), key=_rank)[:width]
    return _finish(walk, best, level)


def _rank(state: State) -> tuple[int, int, int]:
    return (state.peak, state.memory, -state.count)


def _finish(walk: Walk, best: State | None, level: int) -> int | None:
    if best is None:
        return None
    walk.settle(best)
    return max(level, best.peak)
