"""Hot spots of one model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from effaudit.report import ModelReport
from effaudit.tables.table import BYTES, COUNT, SHARE, Cell, Column, Table
from effaudit.views.hot import IN_BYTES, Hot

TITLES: Final = {
    "macs": "MACs",
    "params": "params",
    "bytes": "bytes moved",
    "activation_bytes": "activation bytes",
    "ops": "other ops",
}


def hot(model: ModelReport) -> tuple[Table, ...]:
    """The hottest nodes of each cost, with their share and the share of them together; a table per cost."""
    return tuple(_of(found) for found in model.hot if found.nodes)


def _of(found: Hot) -> Table:
    unit = BYTES if found.figure in IN_BYTES else COUNT
    columns = (
        Column("figure", "cost", width=16),
        Column("value", "value", unit, 9),
        Column("share", "share", SHARE, 7),
        Column("cumulative", "sum", SHARE, 7),
        Column("kind", "kind", width=10),
        Column("node", "node", width=20),
    )

    def rows() -> Iterator[tuple[Cell, ...]]:
        for node in found.nodes:
            yield TITLES[found.figure], node.value, node.share, node.cumulative, node.kind, node.name

    notes = [f"What lowers it: {found.aim}."] if found.aim else []
    notes += ["Ranges count with their lower end."] if found.least else []
    return Table("hot", f"hot spots: {TITLES[found.figure]}", columns, rows, " ".join(notes))
