"""The tables of a fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from effaudit.fit.types import FitDocument, FitReport, MemoryRow
from effaudit.tables.roofline import points
from effaudit.tables.table import (
    BYTES,
    COUNT,
    FLOP_RATE,
    JOULES,
    NONE,
    RATIO,
    SECONDS,
    SHARE,
    Cell,
    Column,
    Span,
    Table,
    number,
)

AS_WRITTEN: Final = "as written"


def summary(document: FitDocument) -> Table:
    """One row per model, device and element type."""
    columns = (
        Column("model", "model", width=16),
        Column("device", "device", width=14),
        Column("as", "as", width=4),
        Column("runtime", "runtime", width=8, spare=True),
        Column("status", "verdict", width=12),
        Column("exit_code", "exit", COUNT),
        Column("bottleneck", "decides", width=20),
        Column("margin_bytes", "margin", BYTES),
        Column("latency_s", "time", SECONDS),
        Column("low_s", "least", SECONDS, spare=True),
        Column("high_s", "most", SECONDS, spare=True),
        Column("energy_j", "energy", JOULES, spare=True),
        Column("need_bytes", "need", BYTES, spare=True),
        Column("arena_bytes", "arena", BYTES, spare=True),
        Column("regime", "bound", width=7, spare=True),
    )

    def rows() -> Iterator[tuple[Cell, ...]]:
        yield from map(_summed, document.verdicts)

    return Table("totals", "", columns, rows)


def _summed(one: FitReport) -> tuple[Cell, ...]:
    low, high = one.memory.arena_bounds
    return (
        one.model,
        one.device,
        one.quantize or AS_WRITTEN,
        one.runtime,
        one.status,
        one.exit_code,
        one.bottleneck,
        _margin(one.memory.rows),
        one.latency_s.value,
        one.latency_s.low or None,
        one.latency_s.high,
        None if one.energy_j is None else one.energy_j.value,
        _need(one.memory.rows),
        number(one.memory.arena_bytes, [low, high]),
        one.roofline.regime,
    )


def _margin(rows: tuple[MemoryRow, ...]) -> Cell:
    """The least of all memories; unknown where one of them is."""
    margins = [row.margin_bytes for row in rows]
    known = [margin for margin in margins if margin is not None]
    return min(known) if known and len(known) == len(margins) else None


def _need(rows: tuple[MemoryRow, ...]) -> Cell:
    """Of all memories together."""
    low = sum(row.need_bounds[0] for row in rows)
    highs = [row.need_bounds[1] for row in rows]
    high = None if None in highs else sum(size for size in highs if size is not None)
    return low if low == high else Span(low, high)


def nodes(report: FitReport) -> Table:
    """Every kernel of the graph that the runtime executes."""
    columns = (
        Column("node", "node", width=22),
        Column("op", "op", width=6, spare=True),
        Column("op_class", "class", width=8, spare=True),
        Column("dtype", "type", width=6, spare=True),
        Column("engine", "engine", width=4, spare=True),
        Column("macs", "MACs", COUNT),
        Column("bytes", "moved", BYTES),
        Column("intensity", "FLOP/B", RATIO),
        Column("regime", "roof", width=7, spare=True),
        Column("attainable_flop_per_s", "attainable", FLOP_RATE, spare=True),
        Column("compute_s", "compute", SECONDS, spare=True),
        Column("memory_s", "memory", SECONDS, spare=True),
        Column("overhead_s", "launch", SECONDS, spare=True),
        Column("seconds", "time", SECONDS),
        Column("share", "share", SHARE),
        Column("limiter", "bound by", width=8),
    )
    total = report.latency_s.value

    def rows() -> Iterator[tuple[Cell, ...]]:
        for row in report.rows:
            yield (
                row.node,
                row.op,
                row.op_class,
                row.dtype,
                row.engine,
                row.macs,
                row.bytes,
                row.intensity if row.intensity is not None else NONE,
                row.regime,
                row.attainable_flop_per_s,
                row.compute_s,
                row.memory_s,
                row.overhead_s,
                row.seconds,
                None if row.seconds is None or not total else row.seconds / total,
                row.limiter,
            )

    return Table("nodes", "kernels", columns, rows)


def left(report: FitReport) -> Table:
    """The nodes that leave the accelerator."""
    columns = (Column("node", "node", width=20), Column("why", "why", width=40))
    found = () if report.placement is None else report.placement.left
    note = "" if report.placement is not None else "The profile names no operators that the runtime takes."

    def rows() -> Iterator[tuple[Cell, ...]]:
        yield from found

    return Table("left", "nodes on the fallback", columns, rows, note)


def memories(report: FitReport) -> Table:
    """Every item of every memory."""
    columns = (
        Column("memory", "memory", width=8),
        Column("what", "what", width=16),
        Column("bytes", "bytes", BYTES),
        Column("have_bytes", "have", BYTES),
        Column("basis", "basis", width=16),
    )

    def rows() -> Iterator[tuple[Cell, ...]]:
        for row in report.memory.rows:
            for item in row.items:
                low, high = item.bounds
                size = number(item.bytes, [low, high]) if low or high is not None else Span(0, None)
                yield (row.memory, item.what, size, row.have_bytes, item.basis)

    return Table("memories", "memories", columns, rows)


def roofline(report: FitReport) -> Table:
    """A point per kernel."""
    return points(report.rows, report.latency_s.value, "roofline")


LISTS: Final[Mapping[str, Callable[[FitReport], Table]]] = {
    "nodes": nodes,
    "left": left,
    "memories": memories,
    "roofline": roofline,
}
