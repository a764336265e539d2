"""One unit per column: a table of several models reads best when all of its cells count in the same unit."""

from __future__ import annotations

from collections.abc import Iterator
from math import floor, log10

import msgspec

from effaudit.tables.table import BYTES, COUNT, Cell, Column, Span, Table

_DECIMAL = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"), (1, ""))
_BINARY = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))


def scaled(table: Table) -> Table:
    """The table with counts and bytes as text of four digits, in a unit per column that its heading names.

    The median decides the unit, or a smaller one where the smallest cell would lose its digits; where no unit fits all
    cells, each keeps its own.
    """
    rows = list(table.rows())
    columns, units = [], []
    for i, column in enumerate(table.columns):
        unit = _unit(column, [_size(row[i]) for row in rows])
        units.append(unit)
        named = f"{column.title} ({unit[1]})" if unit and unit[1] else column.title
        columns.append(msgspec.structs.replace(column, title=named))

    def made() -> Iterator[tuple[Cell, ...]]:
        for row in rows:
            yield tuple(_scaled(cell, unit) for cell, unit in zip(row, units, strict=True))

    return msgspec.structs.replace(table, columns=tuple(columns), rows=made)


def _unit(column: Column, sizes: list[int]) -> tuple[int, str] | None:
    """(factor, name); None where cells keep their own."""
    if column.kind not in (COUNT, BYTES):
        return None
    found = sorted(size for size in sizes if size)
    if not found:
        return None
    units = _DECIMAL if column.kind == COUNT else _BINARY
    typical = found[len(found) // 2]
    fitting = [(factor, name) for factor, name in units if factor <= max(typical, 1)]
    unit = next((u for u in fitting if found[0] >= u[0] * SMALLEST), fitting[-1])
    return unit if found[-1] < unit[0] * LARGEST else None


SMALLEST = 0.01  # of a unit: four digits of it are readable
LARGEST = 10**6


def _size(cell: Cell) -> int:
    if isinstance(cell, Span):
        return int(cell.low)
    return cell if isinstance(cell, int) else 0


def _scaled(cell: Cell, unit: tuple[int, str] | None) -> Cell:
    if unit is None or cell is None or isinstance(cell, str):
        return cell
    factor = unit[0]
    if isinstance(cell, Span):
        high = "" if cell.high is None else _digits(int(cell.high), factor)
        return f"{_digits(int(cell.low), factor)}..{high}"
    return _digits(int(cell), factor)


def _digits(value: int, factor: int) -> str:
    """Four significant digits, and all of them before the point; a whole number in the unit 1."""
    if factor == 1 or value == 0:
        return f"{value:,}"
    scale = value / factor
    places = 3 - floor(log10(abs(scale)))
    return f"{scale:,.{max(places, 0)}f}"
