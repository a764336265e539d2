"""Hot spots of one model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from effaudit.report import ModelReport
from effaudit.tables.table import COUNT, SHARE, Cell, Column, Table

TITLES: Final = {
    "macs": "MACs",
    "params": "params",
    "bytes": "bytes moved",
    "activations": "activation bytes",
    "ops": "other ops",
}
COLUMNS = (
    Column("figure", "cost", width=16),
    Column("share", "share", SHARE, 7),
    Column("cumulative", "sum", SHARE, 7),
    Column("value", "value", COUNT, 9),
    Column("kind", "kind", width=10),
    Column("node", "node", width=20),
)


def hot(model: ModelReport) -> Table:
    """The hottest nodes of each cost, with their share and the share of them together."""

    def rows() -> Iterator[tuple[Cell, ...]]:
        for found in model.hot:
            for node in found.nodes:
                yield TITLES[found.figure], node.share, node.cumulative, node.value, node.kind, node.name

    ranges = [TITLES[found.figure] for found in model.hot if found.least]
    least = f" Ranges count with their lower end: {', '.join(ranges)}." if ranges else ""
    aims = "; ".join(f"{TITLES[h.figure]}: {h.aim}" for h in model.hot if h.aim)
    return Table("hot", "hot spots", COLUMNS, rows, f"What lowers each: {aims}.{least}" if aims else least.strip())
