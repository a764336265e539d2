"""What a table is: typed columns, and rows of plain cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final, TypeAlias

import msgspec

from effaudit.quantity import Quantity


class Span(msgspec.Struct, frozen=True, order=True):
    """A number between `low` and `high` (None: nothing bounds it)."""

    low: int | float
    high: int | float | None


Cell: TypeAlias = str | int | float | Span | None  # None: unknown

TEXT: Final = "text"
COUNT: Final = "count"  # of elements, operations, things
BYTES: Final = "bytes"
SHARE: Final = "share"  # 0 to 1
PERCENT: Final = "percent"  # 0 to 1, where hundredths of a percent matter
RATIO: Final = "ratio"
EXACT: Final = "exact"  # a count whose every digit matters
SECONDS: Final = "s"
JOULES: Final = "J"
FLOP_RATE: Final = "FLOP/s"
MAC_RATE: Final = "MAC/s"
BYTE_RATE: Final = "B/s"
MEASURES: Final = (SECONDS, JOULES, FLOP_RATE, MAC_RATE, BYTE_RATE)  # kinds that are named by their unit
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
    """`rows()` makes the rows; `note` is a sentence about all of them. `name` is the list it belongs to; `part` tells
    the tables of a list apart for programs: those of one part have the same columns."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: Callable[[], Iterator[tuple[Cell, ...]]]
    note: str = ""
    part: str = ""
    brief: tuple[str, ...] = ()  # the columns that fit a terminal


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
            low, high = low + int(cell.low), high + int(cell.high or 0)
            unbounded = unbounded or cell.high is None
        elif isinstance(cell, int):
            low, high = low + cell, high + cell
        else:
            return None
    return Span(low, None if unbounded else high) if unbounded or low != high else low


def ratio(value: float | None, bounds: list[float | None]) -> Cell:
    """A ratio, or the span that is known of it; "-" where there is nothing to divide by."""
    low, high = bounds
    if value is not None or low is None:
        return NONE if value is None else value
    return Span(low, high) if low or high is not None else None


def part_of(part: Cell, whole: Cell) -> Cell:
    """The share of a part in a whole, both numbers or spans: least where the rest is most, and the other way round."""
    if part == 0 or whole == 0:
        return 0.0
    if part is None or whole is None or isinstance(part, str) or isinstance(whole, str):
        return None
    low, high = (part.low, part.high) if isinstance(part, Span) else (part, part)
    least, most = (whole.low, whole.high) if isinstance(whole, Span) else (whole, whole)
    top = 1.0 if high is None else min(high / (least - low + high), 1.0) if least - low + high else 1.0
    bottom = 0.0 if most is None else low / (most if high is None else most - high + low) if low else 0.0
    return bottom if bottom == top else Span(bottom, top)


def of_quantity(quantity: Quantity) -> Cell:
    """A quantity as a cell."""
    return number(quantity.value, quantity.bounds)


def arranged(table: Table, shown: Shown) -> Table:
    """The table with the columns, the order and the number of rows that are asked for.

    Numbers sort downwards, text upwards; what is unknown or does not apply comes last. The columns are there:
    `effaudit.tables.check` has seen to it.
    """
    keys = [column.key for column in table.columns]
    places = [keys.index(key) for key in shown.columns] or list(range(len(keys)))

    def rows() -> Iterator[tuple[Cell, ...]]:
        made: Iterable[tuple[Cell, ...]] = table.rows()
        if shown.sort:
            at = keys.index(shown.sort)
            made = sorted(made, key=lambda row: _order(row[at]))
        for row in islice(made, shown.top):
            yield tuple(row[place] for place in places)

    note = " ".join(filter(None, (table.note, f"At most {shown.top} rows are listed." if shown.top else "")))
    return msgspec.structs.replace(table, columns=tuple(table.columns[place] for place in places), rows=rows, note=note)


def _order(cell: Cell) -> tuple[Any, ...]:
    if cell is None or cell == NONE:
        return (2, 0)
    if isinstance(cell, str):
        return (0, cell)
    return (1, -(cell.low if isinstance(cell, Span) else cell))
