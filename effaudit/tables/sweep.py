"""The table of a sweep: a row per point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from effaudit.search.sweep.types import Point, SweepDocument
from effaudit.tables.before_after import FIGURES, figures_of, flops_of
from effaudit.tables.table import COUNT, JOULES, NONE, RATIO, SECONDS, TEXT, Cell, Column, Table

_MORE: Final = (
    Column("flops", "FLOPs", COUNT),
    Column("loss", "loss", RATIO),
    Column("retrain", "re-train", TEXT),
    Column("runtime", "rules", TEXT),
    Column("status", "verdict", TEXT, 13),
    Column("bottleneck", "decides", TEXT),
    Column("latency_s", "time", SECONDS),
    Column("low_s", "least", SECONDS),
    Column("high_s", "most", SECONDS),
    Column("energy_j", "energy", JOULES),
    Column("error", "error", TEXT),
)
KEYS: Final = tuple(column.key for column in (*FIGURES, *_MORE))


def points(document: SweepDocument) -> Table:
    """A row per point with exact numbers: the model, a value of each axis, the figures, and why there are none."""
    names = [axis.name for axis in document.axes]
    columns = (
        Column("model", "model", width=16),
        *(Column(name, name.removeprefix("dim ").removeprefix("set "), width=8) for name in names),
        *FIGURES,
        *_MORE,
    )

    def rows() -> Iterator[tuple[Cell, ...]]:
        for point in document.points:
            yield (point.model, *(point.values[name] for name in names), *_figures(point))

    return Table("points", "", columns, rows)


def _figures(point: Point) -> Sequence[Cell]:
    if point.totals is None or point.executed is None or point.memory is None:
        return (*[NONE] * (len(KEYS) - 1), point.error or NONE)
    placed = point.device
    time = None if placed is None else placed.latency_s
    energy = None if placed is None else placed.energy_j
    return (
        *figures_of(point.totals, point.executed, point.memory),
        flops_of(point.executed),
        point.loss,
        "yes" if point.retrain else "no",
        point.memory.runtime,
        NONE if placed is None else placed.status,
        NONE if placed is None else placed.bottleneck.text,
        NONE if time is None else time.value,
        NONE if time is None else time.low or None,
        NONE if time is None else time.high,
        NONE if placed is None else None if energy is None else energy.value,
        NONE,
    )
