"""The exact search: sets of nodes that ran, by the worst step on the best way to them.

Bytes behind a set S are the tensors made in S and not all read in S; that function is submodular, and two rules follow.
From a base, a way of steps up to `level` to a set that holds no more than the base may be taken at once, where `level`
is a lower bound of the whole problem: whatever else could run between holds no more after it than before (`Walk.run`
is the case of one node). And where only one set is left to look at, every order worth having passes through it. So the
search goes from base to base, and only what lies between two of them grows with the number of orders.
"""

from __future__ import annotations

from heapq import heappop, heappush

import msgspec

from effaudit.plan.order.walk import State, Walk


class Outcome(msgspec.Struct, frozen=True):
    """`level`: no order has a lower peak. `done`: the walk is complete and reaches `level`, or, where it is not
    complete, no order is below the bound. Not `done`: the budget ended."""

    level: int
    done: bool


def search(walk: Walk, level: int, bound: int, budget: int) -> Outcome:
    """Settles the nodes of the walk in an order of the least peak, if it is below `bound`.

    `level` is a lower bound that is known; `budget` limits `walk.work`.
    """
    frontier = _Frontier(walk)
    while walk.left:
        state = frontier.pop()
        if state is None:
            return Outcome(bound, True)
        level = max(level, state.peak)
        if frontier.alone or state.count == walk.left or state.memory <= walk.memory:
            state = frontier.settle(state)
        while state.parent is None and (step := walk.at_no_price(level)) is not None:
            state = frontier.settle(step)
        for v in walk.next(state):
            reached = walk.run(state, v, level)
            if reached.peak <= level and (reached.memory <= walk.memory or reached.count == walk.left):
                frontier.push(frontier.settle(reached))
                break
            if reached.peak < bound:
                frontier.push(reached)
            if walk.work > budget:
                return Outcome(level, False)
    return Outcome(level, True)


class _Frontier:
    """States to go on from: the lowest peak first, then the most nodes, then the least memory."""

    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self.heap: list[tuple[int, int, int, int, State]] = []
        self.best: dict[int, int] = {}
        self.serial = 0
        self.push(walk.root())

    @property
    def alone(self) -> bool:
        """True where nothing is left beside what was just taken."""
        return not self.heap

    def settle(self, state: State) -> State:
        """Makes a state the base, and forgets all the others; the base as a state."""
        self.walk.settle(state)
        self.heap.clear()
        self.best.clear()
        return self.walk.root()

    def push(self, state: State) -> None:
        known = self.best.get(state.mask)
        if known is None or state.peak < known:
            self.best[state.mask] = state.peak
            self.serial += 1
            heappush(self.heap, (state.peak, -state.count, state.memory, self.serial, state))

    def pop(self) -> State | None:
        while self.heap:
            peak, _, _, _, state = heappop(self.heap)
            if self.best[state.mask] == peak:
                return state
        return None
