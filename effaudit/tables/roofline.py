"""The roofline as a table: a point per kernel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from effaudit.fit.types import KernelRow
from effaudit.fit.view import OnDevice
from effaudit.report import ModelReport
from effaudit.tables.table import BYTES, COUNT, FLOP_RATE, NONE, RATIO, SECONDS, SHARE, Cell, Column, Table

COLUMNS = (
    Column("node", "node", width=20),
    Column("op", "op", width=8, spare=True),
    Column("dtype", "type", width=7, spare=True),
    Column("engine", "engine", width=6, spare=True),
    Column("macs", "MACs", COUNT, spare=True),
    Column("bytes", "moved", BYTES),
    Column("intensity", "FLOP/B", RATIO),
    Column("regime", "roof", width=7),
    Column("attainable_flop_per_s", "attainable", FLOP_RATE),
    Column("seconds", "time", SECONDS),
    Column("share", "share", SHARE),
    Column("limiter", "time by", width=8, spare=True),
    Column("memory", "bytes in", width=4),
)


def roofline(model: ModelReport) -> Table | tuple[Table, ...]:
    """Of a report with a device; nothing of one without."""
    if not isinstance(model, OnDevice):
        return ()
    return points(model.device.kernels, model.device.latency_s.value, f"roofline of {model.path}")


def points(kernels: Sequence[KernelRow], total_s: float | None, title: str) -> Table:
    """A row per kernel; `share` is of the time `total_s`."""

    def rows() -> Iterator[tuple[Cell, ...]]:
        for row in kernels:
            share = None if row.seconds is None or not total_s else row.seconds / total_s
            yield (
                row.node,
                row.op,
                row.dtype,
                row.engine,
                row.macs,
                row.bytes,
                NONE if row.intensity is None else row.intensity,
                row.regime,
                row.attainable_flop_per_s,
                row.seconds,
                share,
                row.limiter,
                row.memory or NONE,
            )

    return Table("roofline", title, COLUMNS, rows)
