"""Rows summed by what they have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from effaudit.report import ModelReport
from effaudit.tables.table import BYTES, COUNT, SHARE, Cell, Column, Table, number, part_of, plus

_NUMBERS = (
    Column("nodes", "nodes", COUNT, 6),
    Column("params", "params", COUNT, 7),
    Column("macs", "MACs", COUNT, 7),
    Column("share", "share", SHARE, 7),
    Column("ops", "ops", COUNT, 7),
    Column("weight_bytes", "weights", BYTES, 9),
    Column("read_bytes", "read", BYTES, 9),
    Column("write_bytes", "written", BYTES, 9),
    Column("bytes", "moved", BYTES, 9),
)
BRIEF = ("nodes", "params", "macs", "share", "ops", "bytes")  # beside the keys


def keys(by: Sequence[str]) -> tuple[str, ...]:
    """The columns of groups by these keys."""
    return (*by, *(column.key for column in _NUMBERS))


def groups(model: ModelReport) -> Table:
    """One row per group. Raises ValueError where the report has none."""
    found = model.groups
    if found is None:
        raise ValueError("no groups were asked for")
    total = number(model.totals.macs, model.totals.macs_bounds)
    keys = tuple(Column(key, key, width=10) for key in found.by)

    def rows() -> Iterator[tuple[Cell, ...]]:
        for g in found.groups:
            read, written = number(g.read_bytes, g.read_bounds), number(g.write_bytes, g.write_bounds)
            macs = number(g.macs, g.macs_bounds)
            yield (
                *g.key,
                g.nodes,
                g.params,
                macs,
                part_of(macs, total),
                number(g.ops, g.ops_bounds),
                g.weight_bytes,
                read,
                written,
                plus(read, written),
            )

    return Table("groups", f"by {', '.join(found.by)}", (*keys, *_NUMBERS), rows, brief=(*found.by, *BRIEF))
