"""What a check finds."""

from __future__ import annotations

import msgspec

from effaudit.estimate.status import Status, at_least, at_most, worst
from effaudit.quantity import Quantity

__all__ = ["Result", "Status", "at_least", "at_most", "of_bytes", "worst"]


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


def of_bytes(check: str, status: Status, need: Quantity, limit: int | None, where: str, message: str) -> Result:
    """A result in bytes."""
    return Result(check, status, need.value, (need.low, need.high), limit, "bytes", where, message)
