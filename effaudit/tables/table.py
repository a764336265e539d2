"""What a table is: typed columns, and rows of plain cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeAlias

import msgspec

from effaudit.errors import UsageError
from effaudit.quantity import Quantity


class Span(msgspec.Struct, frozen=True, order=True):
    """A number between `low` and `high` (None: nothing bounds it)."""

    low: int
    high: int | None


Cell: TypeAlias = str | int | float | Span | None  # None: unknown

TEXT: Final = "text"
COUNT: Final = "count"  # of elements, operations, things
BYTES: Final = "bytes"
SHARE: Final = "share"  # 0 to 1
RATIO: Final = "ratio"
EXACT: Final = "exact"  # a count whose every digit matters
NONE: Final = "-"  # does not apply: no number is missing


class Column(msgspec.Struct, frozen=True):
    """`key` is its name for programs, `title` its heading; `kind` says what its cells measure; `width` is what text
    needs at least. Where a line is too long, a column that is `spare` goes, the last one first."""

    key: str
    title: str
    kind: str = TEXT
    width: int = 10
    spare: bool = False


class Table(msgspec.Struct, frozen=True):
    """`rows()` makes the rows; `note` is a sentence about all of them."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: Callable[[], Iterator[tuple[Cell, ...]]]
    note: str = ""


class Shown(msgspec.Struct, frozen=True):
    """What of a report is shown, and how: which tables, how many rows, sorted by and with which columns."""

    tables: tuple[str, ...] = ()
    top: int | None = None
    sort: str = ""
    columns: tuple[str, ...] = ()
    chart: str = ""
    width: int = 80


def number(value: int | None, bounds: list[int | None] | None) -> Cell:
    """A number, or the span that is known of it."""
    if value is not None or not bounds:
        return value
    low, high = bounds
    return None if not low and high is None else Span(low or 0, high)


def plus(*cells: Cell) -> Cell:
    """The sum of numbers and spans; unknown where one of them is."""
    low, high = 0, 0
    unbounded = False
    for cell in cells:
        if isinstance(cell, Span):
            low, high, unbounded = low + cell.low, high + (cell.high or 0), unbounded or cell.high is None
        elif isinstance(cell, int):
            low, high = low + cell, high + cell
        else:
            return None
    return Span(low, None if unbounded else high) if unbounded or low != high else low


def of_quantity(quantity: Quantity) -> Cell:
    """A quantity as a cell."""
    return number(quantity.value, quantity.bounds)


def select(columns: Iterable[Column], wanted: tuple[str, ...], what: str) -> list[int]:
    """The places of the columns with the keys `wanted`. Raises UsageError for one that does not exist."""
    keys = [column.key for column in columns]
    for key in wanted:
        if key not in keys:
            raise UsageError(f"--columns {key!r}: {what} have {', '.join(keys)}")
    return [keys.index(key) for key in wanted]


def arranged(table: Table, shown: Shown) -> Table:
    """The table with the columns, the order and the number of rows that are asked for.

    Numbers sort downwards, text upwards; what is unknown comes last. Raises UsageError for an unknown column.
    """
    keys = [column.key for column in table.columns]
    if shown.sort and shown.sort not in keys:
        raise UsageError(f"--sort {shown.sort!r}: {table.name} have {', '.join(keys)}")
    places = select(table.columns, shown.columns, table.name) if shown.columns else list(range(len(keys)))

    def rows() -> Iterator[tuple[Cell, ...]]:
        made: Iterable[tuple[Cell, ...]] = table.rows()
        if shown.sort:
            at = keys.index(shown.sort)
            made = sorted(made, key=lambda row: _order(row[at]))
        for i, row in enumerate(made):
            if shown.top is not None and i >= shown.top:
                break
            yield tuple(row[place] for place in places)

    return Table(table.name, table.title, tuple(table.columns[place] for place in places), rows, table.note)


def _order(cell: Cell) -> tuple[Any, ...]:
    if isinstance(cell, str):
        return (0, cell)
    if cell is None:
        return (2, 0)
    return (1, -(cell.low if isinstance(cell, Span) else cell))
