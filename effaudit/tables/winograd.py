"""Multiplications that Winograd's minimal filtering would take."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.report import ModelReport
from effaudit.tables.table import COUNT, RATIO, Cell, Column, Table, number
from effaudit.views.winograd import Count

_ROWS = (
    Column("node", "node", width=20),
    Column("kernel", "kernel", width=7),
    Column("macs", "MACs", COUNT, 7),
    Column("f2", "F2", COUNT, 7),
    Column("f4", "F4", COUNT, 7),
    Column("f2_additions", "+ F2", COUNT, 7),
    Column("f4_additions", "+ F4", COUNT, 7),
    Column("note", "note", width=10),
)
_TOTALS = (
    Column("what", "of the model", width=24),
    Column("multiplications", "multiplications", COUNT, 16),
    Column("gain", "gain", RATIO, 8),
    Column("additions", "transform additions", COUNT, 20),
)


def winograd(model: ModelReport) -> tuple[Table, ...]:
    """The eligible convolutions, and what the whole model would take."""
    found = model.winograd
    if found is None:
        return ()

    def rows() -> Iterator[tuple[Cell, ...]]:
        for row in found.rows:
            yield (
                row.label,
                "x".join(map(str, row.kernel)),
                number(row.macs, row.macs_bounds),
                *(number(count.multiplications, count.multiplications_bounds) for count in (row.f2, row.f4)),
                *(_additions(count) for count in (row.f2, row.f4)),
                row.note,
            )

    def totals() -> Iterator[tuple[Cell, ...]]:
        yield "direct", number(found.macs, found.macs_bounds), 1.0, 0
        for name, count in (("F2", found.f2), ("F4", found.f4)):
            products = number(count.multiplications, count.multiplications_bounds)
            yield name, products, count.reduction, _additions(count)

    share = "" if found.share is None else f" ({100 * found.share:.1f} % of all MACs)"
    eligible = f"{len(found.rows):,} convolutions are eligible{share}, {len(found.skipped):,} are not"
    names = "F2 is F(2x2, 3x3) and F4 is F(4x4, 3x3), of a convolution along one axis F(2, 3) and F(4, 3)"
    note = f"{eligible}. {names}. Counted are {found.counts}."
    return (
        Table("winograd", "eligible convolutions: 3 taps, stride 1, no dilation", _ROWS, rows, part="nodes"),
        Table("winograd", "the whole model", _TOTALS, totals, note, "totals"),
    )


def _additions(count: Count) -> int | None:
    """Of the transforms of data and outputs."""
    if count.data_additions is None or count.output_additions is None:
        return None
    return count.data_additions + count.output_additions
