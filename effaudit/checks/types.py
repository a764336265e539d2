"""What a check finds."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from effaudit.quantity import Quantity

Status: TypeAlias = Literal["pass", "warn", "fail", "unknown", "skipped", "waived"]


class Result(msgspec.Struct, frozen=True):
    """One thing held against one limit. `measured` is None where it is not exact; `bounds` then are what is known of it
    (an end that nothing bounds is None). `where` is a memory, an engine or a node."""

    check: str
    status: Status
    measured: int | float | None
    bounds: tuple[int | float | None, int | float | None]
    limit: int | float | None
    unit: str
    where: str
    message: str

    @property
    def margin(self) -> int | float | None:
        """What is left below the limit at the most that is needed; negative where it is passed."""
        top = self.bounds[1]
        return None if self.limit is None or top is None else self.limit - top


def at_most(low: float, high: float | None, limit: float) -> Status:
    """A verdict from bounds: below the limit at the most passes, above it at the least fails, anything else is not
    known."""
    if low > limit:
        return "fail"
    return "pass" if high is not None and high <= limit else "unknown"


def at_least(low: float, high: float | None, limit: float) -> Status:
    """The same of something that has to reach a limit."""
    if low >= limit:
        return "pass"
    return "fail" if high is not None and high < limit else "unknown"


def worst(*statuses: Status) -> Status:
    """The gravest of several statuses."""
    order: tuple[Status, ...] = ("fail", "unknown", "warn", "pass", "waived", "skipped")
    return min(statuses, key=order.index, default="skipped")


def of_bytes(check: str, status: Status, need: Quantity, limit: int | None, where: str, message: str) -> Result:
    """A result in bytes."""
    return Result(check, status, need.value, (need.low, need.high), limit, "bytes", where, message)
