"""A measurement beside the estimate that did not see its board."""

from __future__ import annotations

import msgspec

from benchmarks.latency.rows import Row


class Scored(msgspec.Struct, frozen=True):
    """`predicted`, `low` and `high` in seconds, from the rows of every other board. `known`: a sister board (the same
    core or chip) was measured with this runtime. `group` is the line of the table that the row belongs to."""

    row: Row
    predicted: float
    low: float
    high: float
    known: bool
    group: str

    @property
    def error(self) -> float:
        """Relative to the measurement: 0.1 is an estimate 10 % too long."""
        return self.predicted / self.row.seconds - 1

    @property
    def inside(self) -> bool:
        return self.low <= self.row.seconds <= self.high
