"""What each feature map sees of the input."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from effaudit.report import ModelReport, size
from effaudit.tables.table import Cell, Column, Table
from effaudit.views.receptive_field import AxisField, FeatureMap

_COLUMNS = (
    Column("node", "node", width=12),
    Column("op", "op", width=8),
    Column("shape", "output", width=9),
    Column("field", "sees", width=15),
    Column("stride", "stride", width=7),
    Column("start", "centre", width=8),
    Column("padding", "padding", width=8),
)


def receptive_field(model: ModelReport) -> tuple[Table, ...]:
    """One row per feature map (and input), then the last maps with a window of their own, and the outputs."""
    found = model.receptive_field
    if found is None:
        return ()
    note = (
        f"{len(found.not_spatial):,} outputs are not spatial. Sizes are in positions of the input, padding included; "
        "`all` sees the whole input; `all/9` does so through gates and norms, and 9 positions without them."
    )
    places = list(dict.fromkeys((*found.last, *found.outputs)))
    return (
        Table("receptive-field", "receptive fields", _COLUMNS, lambda: map(_row, found.rows), note, "maps"),
        Table(
            "receptive-field",
            "last windows and outputs",
            _COLUMNS,
            lambda: (_row(found.rows[i]) for i in places),
            part="last",
        ),
    )


def _row(row: FeatureMap) -> tuple[Cell, ...]:
    return (
        row.label,
        row.op,
        size(row.shape),
        _each(row.axes, _size) or row.why or "unknown",
        _each(row.axes, lambda axis: axis.stride or "-"),
        _each(row.axes, lambda axis: axis.start or "-"),
        _each(row.axes, lambda axis: "-" if axis.padding is None else str(axis.padding)),
    )


def _size(axis: AxisField) -> str:
    if axis.scope == "global":
        return "all" if axis.local is None else f"all/{axis.local}"
    if axis.scope == "unknown":
        return "unknown"
    return "?" if axis.size is None else str(axis.size)


def _each(axes: Iterable[AxisField], text: Callable[[AxisField], str]) -> str:
    """One text per axis, once where all axes agree."""
    made = [text(axis) for axis in axes]
    return made[0] if made and len(set(made)) == 1 else "x".join(made)
