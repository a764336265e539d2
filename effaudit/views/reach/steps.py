"""Which interval of an input axis each position of an output axis sees: periodic steps and tables, composed exactly.

A convolution, a pool, a slice or a resize makes position `o` of its output from positions `taps(o)` of its input, and
`taps(o + period) = taps(o) + shift`. Both sides of the interval seen follow the same law, so a handful of integers
describes them at every position. Where no period exists (a join along the axis, an index list), a table does.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import gcd, inf, lcm
from typing import Final

import msgspec

from effaudit.errors import Undecided

MAX_TABLE: Final = 65_536
MAX_PERIOD: Final = 4_096  # of a composition; past it, the positions that exist are listed instead
MAX_WORK: Final = 4_000_000
WORK_PER_NODE: Final = 32
Interval = tuple[float, float]  # ints, or (inf, -inf) for nothing
NOTHING: Final[Interval] = (inf, -inf)


class Budget:
    """What one analysis may still spend, in table entries: graphs that ask for more get "unknown", not a long wait."""

    def __init__(self, nodes: int = 0) -> None:
        self.left = MAX_WORK + WORK_PER_NODE * nodes

    def spend(self, entries: int) -> None:
        """Raises Undecided where nothing is left."""
        self.left -= entries
        if self.left < 0:
            raise Undecided("the graph takes more work than this view spends")


class Taps(msgspec.Struct, frozen=True):
    """The positions read by output positions 0, 1, ...; those repeat every `len(ranges)`, moved by `shift`.

    `shift` None: there are no other output positions.
    """

    ranges: tuple[range, ...]
    shift: int | None


class Steps(msgspec.Struct, frozen=True, gc=False):
    """The interval low..high (inclusive) at positions 0, 1, ...; it repeats every `len(low)`, moved by `shift`.

    `shift` None: positions outside the table see nothing (they are padding).
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    shift: int | None

    @property
    def rate(self) -> Fraction | None:
        """Input positions per output position, None for a table."""
        return None if self.shift is None else Fraction(self.shift, len(self.low))

    def at(self, i: int) -> Interval:
        """The interval at one position, which may lie outside the output."""
        period = len(self.low)
        if self.shift is None:
            return (self.low[i], self.high[i]) if 0 <= i < period else NOTHING
        turns, phase = divmod(i, period)
        moved = turns * self.shift
        return self.low[phase] + moved, self.high[phase] + moved


IDENTITY: Final = Steps((0,), (0,), 1)


def make(low: Sequence[float], high: Sequence[float], shift: int | None) -> Steps:
    """Steps with the period 1 where every position moves alike. Raises Undecided past MAX_TABLE entries."""
    period = len(low)
    if period > MAX_TABLE:
        raise Undecided(f"its positions follow a pattern of more than {MAX_TABLE:,}")
    if period > 1 and shift is not None and shift % period == 0:
        each = shift // period
        if all(low[i] - low[0] == each * i and high[i] - high[0] == each * i for i in range(1, period)):
            return Steps((low[0],), (high[0],), each)
    return Steps(tuple(low), tuple(high), shift)


def hull(steps: Steps, taps: range) -> Interval:
    """The least interval that holds those of all `taps`."""
    if not taps:
        return NOTHING
    if steps.shift is None:
        return _hull_of_table(steps, taps)
    # Positions that differ by whole periods move alike, so that the first and last of each kind decide.
    kinds = len(steps.low) // gcd(len(steps.low), taps.step)
    ends = taps if len(taps) <= 2 * kinds else (*taps[:kinds], *taps[-kinds:])
    found = [steps.at(i) for i in ends]
    return min(low for low, _ in found), max(high for _, high in found)


def _hull_of_table(steps: Steps, taps: range) -> Interval:
    size = len(steps.low)
    if taps.step < 0:
        taps = taps[::-1]
    first = taps.start if taps.start >= 0 else taps.start % taps.step
    inside = slice(first, min(taps[-1] + 1, size), taps.step)
    low = steps.low[inside] if inside.stop > first else ()
    return (min(low), max(steps.high[inside])) if low else NOTHING


def composed(steps: Steps, taps: Taps, count: int | None, budget: Budget) -> Steps:
    """What an output sees whose positions read `taps` of an axis that sees `steps`; `count` output positions exist.

    Raises Undecided where that takes a table and `count` is not known, or too large.
    """
    if steps.shift is not None and taps.shift is not None:
        if len(steps.low) == len(taps.ranges) == 1:  # nearly always
            low, high = hull(steps, taps.ranges[0])
            return Steps((low,), (high,), steps.shift * taps.shift)
        if len(taps.ranges) * (len(steps.low) // gcd(len(steps.low), taps.shift)) <= MAX_PERIOD:
            return _periodic(steps, taps, budget)
    size = len(taps.ranges) if taps.shift is None else count
    return _table(steps, taps, size, budget)


def _periodic(steps: Steps, taps: Taps, budget: Budget) -> Steps:
    assert steps.shift is not None and taps.shift is not None
    period = len(steps.low)
    turns = period // gcd(period, taps.shift)
    budget.spend(len(taps.ranges) * turns * min(2 * period, max(map(len, taps.ranges))))
    found = [
        hull(steps, range(taps_.start + move, taps_.stop + move, taps_.step))
        for move in (turn * taps.shift for turn in range(turns))
        for taps_ in taps.ranges
    ]
    low, high = zip(*found, strict=True)
    return make(low, high, steps.shift * (taps.shift * turns // period))


def _table(steps: Steps, taps: Taps, size: int | None, budget: Budget) -> Steps:
    if size is None or size > MAX_TABLE:
        raise Undecided(f"its {'' if size is None else f'{size:,} '}positions differ too much from each other to list")
    budget.spend(size + sum(map(len, taps.ranges)) * (size // len(taps.ranges) + 1))
    found = []
    for i in range(size):
        turns, phase = divmod(i, len(taps.ranges))
        base, move = taps.ranges[phase], turns * (taps.shift or 0)
        found.append(hull(steps, range(base.start + move, base.stop + move, base.step)))
    if not found:
        raise Undecided("it has no positions")
    low, high = zip(*found, strict=True)
    return Steps(low, high, None)


def moved(steps: Steps, low: float, high: float) -> Steps:
    """Steps with `low` and `high` added to the two sides."""
    if not low and not high:
        return steps
    return Steps(tuple(x + low for x in steps.low), tuple(x + high for x in steps.high), steps.shift)


def union(a: Steps, b: Steps, count: int | None, budget: Budget) -> Steps:
    """The least intervals that hold both, over `count` positions. Raises Undecided where they cannot be listed."""
    if a.rate is not None and a.rate == b.rate:
        period = lcm(len(a.low), len(b.low))
        shift = int(a.rate * period)
    else:
        period, shift = count if count is not None else MAX_TABLE + 1, None
    if period > MAX_TABLE or period < 1:
        raise Undecided("its branches move over the input at rates that do not combine")
    budget.spend(period)
    pairs = [(a.at(i), b.at(i)) for i in range(period)]
    low = [min(x[0], y[0]) for x, y in pairs]
    high = [max(x[1], y[1]) for x, y in pairs]
    return Steps(tuple(low), tuple(high), None) if shift is None else make(low, high, shift)


def merged(outer: Steps | None, inner: Steps | None, size: int, budget: Budget) -> Steps:
    """Over one axis made of an outer one and an inner one of `size` positions; None: that one does not matter.

    Raises Undecided where the pattern is too long.
    """
    first = outer or Steps((0,), (0,), 0)
    second = inner or Steps((0,), (0,), 0)
    if len(first.low) * size > MAX_TABLE:
        raise Undecided(f"its merged axes follow a pattern of more than {MAX_TABLE:,}")
    budget.spend(len(first.low) * size)
    within = [second.at(i) for i in range(size)]
    pairs = [(a, b) for a in zip(first.low, first.high, strict=True) for b in within]
    low, high = [a[0] + b[0] for a, b in pairs], [a[1] + b[1] for a, b in pairs]
    return Steps(tuple(low), tuple(high), None) if first.shift is None else make(low, high, first.shift)


def parted(steps: Steps, size: int, budget: Budget) -> tuple[Steps, Steps]:
    """One axis as an outer one and an inner one of `size` positions, whose intervals add up.

    Raises Undecided where they do not: what a position sees then depends on both at once.
    """
    period = lcm(len(steps.low), size) if steps.shift is not None else -(-len(steps.low) // size) * size
    if period > MAX_TABLE:
        raise Undecided(f"its axis parts into a pattern of more than {MAX_TABLE:,}")
    budget.spend(period)
    cells = [steps.at(i) for i in range(period)]
    inner = [(low - cells[0][0], high - cells[0][1]) for low, high in cells[:size]]
    outer = cells[::size]
    for i, (low, high) in enumerate(cells):
        (a, b), (c, d) = outer[i // size], inner[i % size]
        if not (low == a + c and high == b + d):
            raise Undecided("a Reshape parts an axis where what is seen depends on both parts at once")
    shift = None if steps.shift is None else steps.shift * (period // len(steps.low))
    outside = (
        Steps(tuple(a for a, _ in outer), tuple(b for _, b in outer), None)
        if shift is None
        else make([a for a, _ in outer], [b for _, b in outer], shift)
    )
    return outside, _uniform([c for c, _ in inner], [d for _, d in inner])


def _uniform(low: list[float], high: list[float]) -> Steps:
    """Steps over an inner axis: of period 1 where they are even, else a table."""
    each = low[1] - low[0] if len(low) > 1 else 0
    if isinstance(each, int) and all(
        x - low[0] == y - high[0] == each * i for i, (x, y) in enumerate(zip(low, high, strict=True))
    ):
        return Steps((low[0],), (high[0],), each)
    return Steps(tuple(low), tuple(high), None)
