"""One row per model: what a paper's table holds, and what it fits into."""

from __future__ import annotations

from typing import TYPE_CHECKING

from effaudit.report import ModelReport, Report
from effaudit.tables.table import BYTES, COUNT, RATIO, SHARE, Cell, Column, Table, number, plus, ratio

if TYPE_CHECKING:
    from effaudit.views.published.architectures import Architecture

COLUMNS = (
    Column("model", "model", width=32),
    Column("params", "params", COUNT),
    Column("weight_bytes", "weights", BYTES, spare=True),
    Column("macs", "MACs", COUNT),
    Column("ops", "other ops", COUNT, spare=True),
    Column("flops", "FLOPs", COUNT),
    Column("activations", "activations", COUNT),
    Column("bytes", "moved", BYTES, spare=True),
    Column("intensity", "FLOP/B", RATIO),
    Column("live_bytes", "live", BYTES),
    Column("coverage", "priced", SHARE),
)
BRIEF = ("model", "params", "macs", "ops", "weight_bytes", "bytes", "live_bytes")


def summary(document: Report) -> Table:
    """A row per model, in the order given, and one per published architecture to compare with."""
    rows = [*map(_row, document.models), *(_published(b) for b in document.baselines)]
    return Table("summary", "models", COLUMNS, lambda: iter(rows), brief=BRIEF)


def _row(model: ModelReport) -> tuple[Cell, ...]:
    t, memory = model.totals, model.memory
    moved = plus(number(t.read_bytes, t.read_bounds), number(t.write_bytes, t.write_bounds))
    running = t.priced + t.unpriced
    return (
        model.path,
        t.params,
        t.weight_bytes,
        number(t.macs, t.macs_bounds),
        number(t.ops, t.ops_bounds),
        number(t.flops, t.flops_bounds),
        t.activations,
        moved,
        ratio(t.intensity, t.intensity_bounds),
        number(memory.live_bytes, memory.live_bounds),
        t.priced / running if running else 1.0,
    )


def _published(baseline: Architecture) -> tuple[Cell, ...]:
    """What a source says of an architecture; "-" is what it does not say."""
    params, macs = baseline.published_params, baseline.published_macs
    return (
        f"{baseline.name} ({baseline.how})",
        "-" if params is None else params.value,
        "-",
        "-" if macs is None else macs.value,
        *["-"] * (len(COLUMNS) - 4),
    )
