"""One unit per column: a table of several models reads best when all of its cells count in the same unit."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from effaudit.tables.table import BYTES, COUNT, Cell, Column, Span, Table

_DECIMAL = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"), (1, ""))
_BINARY = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))


def scaled(table: Table) -> Table:
    """The table with counts and bytes as text in the unit that its heading names; the median decides the unit."""
    rows = list(table.rows())
    columns, units = [], []
    for i, column in enumerate(table.columns):
        factor, unit = _unit(column, [row[i] for row in rows])
        units.append(factor)
        named = f"{column.title} ({unit})" if unit else column.title
        columns.append(msgspec.structs.replace(column, title=named))

    def made() -> Iterator[tuple[Cell, ...]]:
        for row in rows:
            yield tuple(_scaled(cell, factor) for cell, factor in zip(row, units, strict=True))

    return msgspec.structs.replace(table, columns=tuple(columns), rows=made)


def _unit(column: Column, cells: list[Cell]) -> tuple[int, str]:
    if column.kind not in (COUNT, BYTES):
        return 0, ""
    sizes = sorted(_size(cell) for cell in cells if cell is not None and _size(cell))
    typical = sizes[len(sizes) // 2] if sizes else 0
    units = _DECIMAL if column.kind == COUNT else _BINARY
    return next(((factor, name) for factor, name in units if typical >= factor), units[-1])


def _size(cell: Cell) -> float:
    if isinstance(cell, Span):
        return cell.low
    return 0.0 if isinstance(cell, str) or cell is None else cell


def _scaled(cell: Cell, factor: int) -> Cell:
    if not factor or cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, Span):
        high = "" if cell.high is None else _digits(cell.high / factor, factor)
        return f"{_digits(cell.low / factor, factor)}..{high}"
    return _digits(cell / factor, factor)


def _digits(value: float, factor: int) -> str:
    """Four significant digits, all of them before the point."""
    if factor == 1:
        return f"{value:,.0f}"
    whole = len(str(int(abs(value))))
    return f"{value:,.{max(4 - whole, 0)}f}"
