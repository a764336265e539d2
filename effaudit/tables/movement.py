"""Nodes that compute nothing and move bytes."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.report import ModelReport
from effaudit.tables.table import BYTES, COUNT, SHARE, Cell, Column, Table, number

_ROWS = (
    Column("node", "node", width=20),
    Column("op", "op", width=10),
    Column("read_bytes", "read", BYTES, 9),
    Column("write_bytes", "written", BYTES, 9),
    Column("bytes", "moved", BYTES, 9),
    Column("share", "share", SHARE, 7),
)
_BY_OP = (Column("op", "op", width=24), Column("nodes", "nodes", COUNT, 6), Column("bytes", "moved", BYTES, 9))


def movement(model: ModelReport) -> tuple[Table, ...]:
    """The nodes, most bytes first, and their sum by operator."""
    found = model.movement
    if found is None:
        return ()

    def rows() -> Iterator[tuple[Cell, ...]]:
        for row in found.rows:
            moved = number(row.bytes, row.bytes_bounds)
            yield row.label, row.op, row.read_bytes, row.write_bytes, moved, row.share

    def by_op() -> Iterator[tuple[Cell, ...]]:
        for op in found.by_op:
            yield op.op, op.nodes, number(op.bytes, op.bytes_bounds)

    share = "" if found.share is None else f", {100 * found.share:.1f} % of all bytes moved"
    note = f"{len(found.rows):,} nodes compute nothing and move bytes{share}; {found.views:,} views move none."
    if found.unknown:
        note += f" Of {len(found.unknown):,} nodes it is not known."
    return (
        Table("movement", "nodes that only move", _ROWS, rows, note, "nodes"),
        Table("movement", "by operator", _BY_OP, by_op, part="by_op"),
    )
