"""The tables of a fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from effaudit.fit.types import FitDocument, FitReport, MemoryRow
from effaudit.tables.table import BYTES, COUNT, NONE, RATIO, SHARE, Cell, Column, Span, Table, number


def summary(document: FitDocument) -> Table:
    """One row per model, device and element type."""
    columns = (
        Column("model", "model", width=12),
        Column("device", "device", width=12),
        Column("as", "as", width=6, spare=True),
        Column("runtime", "runtime", width=8, spare=True),
        Column("status", "verdict", width=12),
        Column("bottleneck", "decides", width=14),
        Column("margin_bytes", "least margin", BYTES),
        Column("latency_s", "seconds", RATIO),
        Column("energy_j", "joules", RATIO, spare=True),
    )

    def rows() -> Iterator[tuple[Cell, ...]]:
        for one in document.verdicts:
            yield (
                one.model,
                one.device,
                one.quantize or "as written",
                one.runtime,
                one.status,
                one.bottleneck,
                _margin(one.memory.rows),
                one.latency_s.value,
                None if one.energy_j is None else one.energy_j.value,
            )

    return Table("totals", "", columns, rows)


def _margin(rows: tuple[MemoryRow, ...]) -> Cell:
    margins = [row.margin_bytes for row in rows]
    known = [margin for margin in margins if margin is not None]
    return min(known) if known and len(known) == len(margins) else None


def nodes(report: FitReport) -> Table:
    """Every kernel of the graph that the runtime executes."""
    columns = (
        Column("node", "node", width=16),
        Column("op", "op", width=6),
        Column("op_class", "class", width=8, spare=True),
        Column("dtype", "type", width=6, spare=True),
        Column("engine", "engine", width=4, spare=True),
        Column("macs", "MACs", COUNT),
        Column("bytes", "moved", BYTES),
        Column("intensity", "FLOP/B", RATIO),
        Column("regime", "roof", width=7, spare=True),
        Column("seconds", "seconds", RATIO),
        Column("share", "share", SHARE),
        Column("limiter", "bound by", width=8),
    )
    total = report.latency_s.value

    def rows() -> Iterator[tuple[Cell, ...]]:
        for row in report.rows:
            share = None if row.seconds is None or not total else row.seconds / total
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
                row.seconds,
                share,
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


LISTS: Final[Mapping[str, Callable[[FitReport], Table]]] = {"nodes": nodes, "left": left, "memories": memories}
