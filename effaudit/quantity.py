"""A number that is exact, a range, a formula, or unknown with the reason. Never a silent zero."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from effaudit import dims
from effaudit.dims import Dim
from effaudit.units import MAX_FIGURE

TOO_LARGE = "it is more than 2^900"


class Quantity(msgspec.Struct, frozen=True):
    """`low`..`high`, both inclusive; `high` None where nothing bounds it. `why` says what keeps it from being exact."""

    low: int
    high: int | None
    why: str = ""

    @property
    def value(self) -> int | None:
        """The number where it is exact, else None."""
        return self.low if self.low == self.high else None

    @property
    def bounds(self) -> list[int | None]:
        return [self.low, self.high]


def between(low: Dim, high: Dim | None, why: str = "") -> Quantity:
    """The range of two dims, their symbols taken at their own bounds."""
    bottom = min(max(dims.bounds(low)[0] or 0, 0), MAX_FIGURE)
    top = None if high is None else dims.bounds(high)[1]
    if top is not None:
        top = None if top > MAX_FIGURE else max(top, bottom)
    if top is None and bottom == MAX_FIGURE:
        why = why or TOO_LARGE
    reason = why or _reason(low) or ("" if high is None else _reason(high))
    return Quantity(bottom, top, "" if bottom == top else reason or "nothing bounds it")


def _reason(dim: Dim) -> str:
    return "; ".join(sorted({s.reason or f"dim {s.name} is not given" for s in dims.symbols(dim)})[:3])


def add(quantities: Iterable[Quantity]) -> Quantity:
    """The sum; its reason is the first one met."""
    low, high, why = 0, 0, ""
    unbounded = False
    for q in quantities:
        low += q.low
        if q.high is None:
            unbounded = True
        else:
            high += q.high
        why = why or q.why
    top = None if unbounded else high
    return Quantity(low, top, "" if low == top else why)


def larger(one: Quantity, other: Quantity) -> Quantity:
    """The larger of two numbers, as far as it is known."""
    low = max(one.low, other.low)
    high = None if one.high is None or other.high is None else max(one.high, other.high)
    return Quantity(low, high, "" if low == high else one.why or other.why)
