"""The tables of a fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from effaudit.energy.operations import AGAIN, WIDER
from effaudit.estimate.demand import SCALES, WEIGHTS
from effaudit.fit.types import FitDocument, FitReport, KernelRow, MemoryRow
from effaudit.tables.roofline import points
from effaudit.tables.table import (
    BYTES,
    COUNT,
    EXACT,
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
    of_quantity,
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
        Column("margin_memory", "of", width=4),
        Column("latency_s", "time", SECONDS),
        Column("low_s", "least", SECONDS, spare=True),
        Column("high_s", "most", SECONDS, spare=True),
        Column("energy_j", "energy", JOULES, spare=True),
        Column("need_bytes", "need", BYTES, spare=True),
        Column("arena_bytes", "arena", BYTES, spare=True),
        Column("regime", "roof", width=7, spare=True),
        Column("bound", "bound", width=7, spare=True),
        Column("weight_bytes", "weights", BYTES, spare=True),
        Column("tokens_per_s", "tokens/s", RATIO, spare=True),
        Column("longest_context", "context", EXACT, spare=True),
        Column("times", "runs", EXACT, spare=True),
    )

    def rows() -> Iterator[tuple[Cell, ...]]:
        yield from map(_summed, document.verdicts)

    return Table("totals", "", columns, rows)


def _summed(one: FitReport) -> tuple[Cell, ...]:
    low, high = one.memory.arena_bounds
    margin, memory = of_margin(one)
    return (
        one.model,
        one.device,
        one.quantize or AS_WRITTEN,
        one.runtime,
        one.status,
        one.exit_code,
        one.bottleneck.text,
        margin,
        memory or NONE,
        one.latency_s.value,
        one.latency_s.low or None,
        one.latency_s.high,
        None if one.energy_j is None else one.energy_j.value,
        _need(one.memory.rows),
        number(one.memory.arena_bytes, [low, high]),
        one.roofline.regime,
        one.roofline.bound,
        weights(one),
        *_served(one),
        one.times,
    )


def of_margin(report: FitReport) -> tuple[int | None, str]:
    """(bytes, the memory that they are left of): that which decides, else that of the least margin, one whose margin is
    not known first. Of a model that is served, of all its memories together."""
    for result in report.findings:
        if result.check == "context":
            return None if result.margin is None else int(result.margin), result.where
    row = decided_by(report) or min(report.memory.rows, key=_margin, default=None)
    return (None, "") if row is None else (row.margin_bytes, row.memory)


def _margin(row: MemoryRow) -> float:
    return float("-inf") if row.margin_bytes is None else row.margin_bytes


def decided_by(report: FitReport) -> MemoryRow | None:
    """The memory that the bottleneck is of; None where it is something else."""
    named = report.bottleneck
    if named.check not in ("ram", "flash"):
        return None
    return next((row for row in report.memory.rows if row.memory == named.where), None)


def weights(report: FitReport) -> Cell:
    """Weights with their scales, of all memories, as they are stored."""
    if report.serving is not None:
        return of_quantity(report.serving.memory.weights)
    return _sum([i.bounds for row in report.memory.rows for i in row.items if i.what in (WEIGHTS, SCALES)])


def _served(report: FitReport) -> tuple[Cell, Cell]:
    """(tokens per second of all sequences, the longest context that fits for sure); "-" of a model that is not
    served."""
    found = report.serving
    if found is None:
        return NONE, NONE
    return None if found.decode is None else found.decode.tokens_per_s.value, found.longest_context.sure


def _need(rows: tuple[MemoryRow, ...]) -> Cell:
    """Of all memories together."""
    return _sum([row.need_bounds for row in rows])


def _sum(bounds: Sequence[tuple[int, int | None]]) -> Cell:
    low, highs = sum(low for low, _ in bounds), [high for _, high in bounds if high is not None]
    high = sum(highs) if len(highs) == len(bounds) else None
    return low if low == high else Span(low, high)


_NODES: Final = (
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
    Column("memory", "bytes in", width=4),
)


def nodes(report: FitReport) -> Table:
    """Every kernel of the graph that the runtime executes."""

    def rows() -> Iterator[tuple[Cell, ...]]:
        yield from (_node(row, report.latency_s.value) for row in report.rows)

    return Table("nodes", "kernels", _NODES, rows)


def _node(row: KernelRow, total: float | None) -> tuple[Cell, ...]:
    return (
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
        row.memory or NONE,
    )


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


def energy(report: FitReport) -> Table:
    """Every basis that an energy may have, and what the table of operations is made of."""
    columns = (
        Column("basis", "basis", width=10),
        Column("part", "part", width=12),
        Column("value_j", "value", JOULES),
        Column("low_j", "low", JOULES),
        Column("high_j", "high", JOULES),
        Column("how", "how", width=24),
    )
    chosen = report.energy.chosen
    note = "No basis has a figure that stands alone." if chosen is None else f"The figures of the screen are {chosen}."

    def rows() -> Iterator[tuple[Cell, ...]]:
        for one in report.energy.joules:
            why = f"not known: {one.why}" if one.why else ""
            yield one.basis, "in all", one.value, one.low, one.high, "; ".join(filter(None, (one.how, why)))
            for part, joules in one.parts.items():
                name = "weights again" if part == AGAIN else part
                value: Cell = NONE if part == AGAIN else joules
                low: Cell = NONE if part in (AGAIN, WIDER) else joules
                yield one.basis, name, value, low, joules, _PARTS.get(part, "")

    return Table("energy", "energy of one run", columns, rows, note)


# What a part of the table of operations counts.
_PARTS: Final = {
    "multiply-accumulates": "MACs x energy of one",
    "other operations": "operations x energy of an addition",
    WIDER: "energy of a wider type: not in low",
    "weights": "bytes, each read once",
    "activations": "bytes read and written",
    AGAIN: "a weight for every MAC: in high alone",
}

LISTS: Final[Mapping[str, Callable[[FitReport], Table]]] = {
    "nodes": nodes,
    "left": left,
    "memories": memories,
    "roofline": roofline,
    "energy": energy,
}
