"""Sets of units that ran: what each holds, and what may run next.

The base is a set that is settled; a state adds units to it, as a mask whose bits are given out when a unit is first
met, so that masks stay short however long the problem is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from effaudit.plan.order.units import Units


class State:
    """The base with the units of `mask`: `memory` is alive behind them, `peak` was at the worst of the steps from the
    base. `fresh` are units that may run now and could not at the base; `run` led here from `parent`."""

    __slots__ = ("count", "fresh", "mask", "memory", "parent", "peak", "run")

    def __init__(
        self,
        mask: int,
        count: int,
        memory: int,
        peak: int,
        fresh: tuple[int, ...],
        parent: State | None,
        run: Sequence[int],
    ) -> None:
        self.mask = mask
        self.count = count
        self.memory = memory
        self.peak = peak
        self.fresh = fresh
        self.parent = parent
        self.run = run


class Walk:
    """A problem with the units settled so far; `work` counts the states made, a long mask as several."""

    def __init__(self, units: Units) -> None:
        self.units = units
        self.order: list[int] = []
        self.memory = units.start
        self.work = 0
        self.waiting: list[set[int]] = list(map(set, units.readers))
        self.missing: list[set[int]] = list(map(set, units.before))
        self.ready = {v: None for v, before in enumerate(units.before) if not before}
        self._forget()

    def _forget(self) -> None:
        self._bits: dict[int, int] = {}
        self._unit: list[int] = []
        self._needs: dict[int, int] = {}
        self._last: dict[int, int] = {}

    @property
    def left(self) -> int:
        """The units that are not settled."""
        return len(self.units.names) - len(self.order)

    @property
    def nodes(self) -> list[int]:
        """The nodes of the units that are settled, in order."""
        return [node for v in self.order for node in self.units.names[v]]

    def root(self) -> State:
        return State(0, 0, self.memory, 0, (), None, ())

    def settle(self, state: State) -> None:
        """Makes a state the base."""
        for v in path(state):
            self.order.append(v)
            self.ready.pop(v, None)
            for w in self.units.after[v]:
                self.missing[w].discard(v)
                if not self.missing[w]:
                    self.ready[w] = None
            for _, _, tensors in self.units.steps[v]:
                for t in tensors:
                    self.waiting[t].discard(v)
        self.memory = state.memory
        self._forget()

    def next(self, state: State) -> list[int]:
        """The units that may run in a state."""
        mask, bits = state.mask, self._bits
        return [*state.fresh, *(v for v in self.ready if not mask & bits.get(v, 0))]

    def run(self, state: State, unit: int, level: int) -> State:
        """The state behind `unit`, and behind what then may run at no price: a unit that leaves no more alive than it
        found, at steps of at most `level` bytes, is best run at once. For what it frees is freed earlier and what it
        makes takes no more, whatever runs until its place in another order."""
        mask = state.mask | self._bit(unit)
        count = state.count + 1
        top, memory = self._effect(unit, state.memory, mask, count)
        peak = max(state.peak, top)
        fresh = [v for v in state.fresh if v != unit]
        run = [unit]
        changed = self._behind(unit, mask, count, fresh)
        while changed:
            v = changed.pop()
            with_it = mask | self._bit(v)
            if with_it == mask:
                continue
            top, behind = self._effect(v, memory, with_it, count + 1)
            if top > level or behind > memory:
                continue
            mask, memory, count = with_it, behind, count + 1
            peak = max(peak, top)
            run.append(v)
            changed.extend(self._behind(v, mask, count, fresh))
        self.work += 1 + (len(run) >> 2) + (mask.bit_length() >> 9)
        left = tuple(v for v in fresh if not mask & self._bits[v])
        return State(mask, count, memory, peak, left, state, tuple(run))

    def at_no_price(self, level: int) -> State | None:
        """The base with a unit that may run at no price, as in `run`."""
        self.work += len(self.ready) >> 2
        for v in self.ready:
            top, memory = self._effect(v, self.memory, 0, 1)
            if top <= level and memory <= self.memory:
                return self.run(self.root(), v, level)
        return None

    def _effect(self, unit: int, memory: int, mask: int, count: int) -> tuple[int, int]:
        """(the most that is alive at the steps of a unit, what is alive behind it); `mask` of `count` units holds it,
        or is 0 where it is the first."""
        peak = 0
        for made, gone, tensors in self.units.steps[unit]:
            memory += made
            peak = max(peak, memory)
            memory -= gone
            for t in tensors:
                if len(self.waiting[t]) <= count and (count == 1 or not self._readers(t) & ~mask):
                    memory -= self.units.sizes[t]
        return peak, memory

    def _bit(self, v: int) -> int:
        bit = self._bits.get(v)
        if bit is None:
            bit = self._bits[v] = 1 << len(self._unit)
            self._unit.append(v)
        return bit

    def _mask(self, units: Iterable[int]) -> int:
        mask = 0
        for v in units:
            mask |= self._bit(v)
        return mask

    def _readers(self, t: int) -> int:
        mask = self._last.get(t)
        if mask is None:
            mask = self._last[t] = self._mask(self.waiting[t])
        return mask

    def _may(self, v: int, mask: int) -> bool:
        needs = self._needs.get(v)
        if needs is None:
            needs = self._needs[v] = self._mask(self.missing[v])
        return not needs & ~mask

    def _behind(self, unit: int, mask: int, count: int, fresh: list[int]) -> list[int]:
        """The units whose price may have changed as `unit` ran: those that may run now (they join `fresh`), and one
        that is left as the last reader of a tensor."""
        found = []
        for w in self.units.after[unit]:
            if len(self.missing[w]) <= count and self._may(w, mask):
                self._bit(w)
                fresh.append(w)
                found.append(w)
        for _, _, tensors in self.units.steps[unit]:
            for t in tensors:
                if len(self.waiting[t]) <= count + 1:
                    rest = self._readers(t) & ~mask
                    if rest and not rest & (rest - 1):
                        v = self._unit[rest.bit_length() - 1]
                        if self._may(v, mask):
                            found.append(v)
        return found


def path(state: State) -> list[int]:
    """The units from the base to a state."""
    runs = []
    here: State | None = state
    while here is not None:
        runs.append(here.run)
        here = here.parent
    return [v for run in reversed(runs) for v in run]
