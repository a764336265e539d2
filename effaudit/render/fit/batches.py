"""A model at several batch sizes, in lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from effaudit.fit.batches import MOST
from effaudit.fit.types import BatchRow, FitReport
from effaudit.render.fit.missing import of_roofline
from effaudit.units import human_measure, rounded
from effaudit.wrapping import wrapped

HEADS: Final = ("batch", "time", "1/s", "FLOP/B", "ridge", "time goes to")
BOUNDS: Final = {"compute": "arithmetic", "memory": "bytes", "overhead": "launches"}
SIDES: Final = {"compute": "above", "memory": "below"}


def batches(report: FitReport) -> Iterator[str]:
    """A table, and the batch from which on operations take longer than bytes."""
    if not report.batches:
        return
    rows = [*map(cells, report.batches)]
    widths = [max(len(row[i]) for row in (HEADS, *rows)) for i in range(len(HEADS) - 1)]
    yield ""
    for row in (HEADS, *rows):
        numbers = "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=False))
        yield f"  {numbers}  {row[-1]}"
    yield from wrapped("", turn(report))


def cells(row: BatchRow) -> tuple[str, ...]:
    """A batch: estimated time and rate, intensity, on which side of the ridge, and what most of the time goes to."""
    return (
        f"{row.batch:,}",
        "not known" if row.latency_s.value is None else human_measure(row.latency_s.value, "s"),
        "not known" if row.throughput_per_s is None else rounded(row.throughput_per_s, 4),
        "" if row.intensity is None else rounded(row.intensity, 3),
        SIDES.get(row.regime or "", "not known"),
        BOUNDS.get(row.bound or "", "not known"),
    )


def turn(report: FitReport) -> str:
    """From which batch on operations take longer than bytes at the peaks."""
    if report.compute_bound_from is not None:
        return f"at the peaks operations take longer than bytes from batch {report.compute_bound_from:,} on"
    if all(row.regime is None for row in report.batches):
        return "; ".join([*of_roofline(report), "no roofline"])
    return f"at the peaks bytes take longer than operations at every batch up to {MOST:,}"
