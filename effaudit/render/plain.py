"""Tables as text: fixed columns, printed as they are made, so that a table of any length costs no memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from textwrap import wrap

from effaudit.printable import printable
from effaudit.render.cells import RIGHT, text
from effaudit.tables.table import TEXT, Cell, Column, Shown, Table, arranged

GAP = " "
LOOK_AHEAD = 200  # rows that decide how wide a column is
NARROW = 8  # what is left of a text column at least


def table(found: Table, width: int) -> Iterator[str]:
    """A table under its title; a cell wider than its column is cut in the middle (text) or widens its row (numbers)."""
    rows = iter(found.rows())
    first = list(islice(rows, LOOK_AHEAD))
    kept = _kept(found.columns, first, width)
    if len(kept) < len(found.columns):
        keys = tuple(found.columns[i].key for i in kept)
        yield from table(arranged(found, Shown(columns=keys)), width)
        return
    widths = _widths(found.columns, first, width)
    yield f"\n{printable(found.title, width)}\n" if found.title else "\n"
    if not first:
        yield "  none\n"
        return
    yield _line([c.title for c in found.columns], found.columns, widths)
    yield GAP.join("-" * width for width in widths) + "\n"
    for row in chain(first, rows):
        cells = [text(cell, column) for cell, column in zip(row, found.columns, strict=True)]
        tail = _tail(cells, found.columns, widths)
        short = [
            printable(c, w) if column.kind == TEXT else c
            for c, column, w in zip(cells, found.columns, widths, strict=True)
        ]
        yield _line([*short[:-1], tail[0] if tail else short[-1]], found.columns, widths)
        for more in tail[1:]:
            yield _line([*[""] * (len(cells) - 1), more], found.columns, widths)


def _tail(cells: list[str], columns: tuple[Column, ...], widths: list[int]) -> list[str]:
    """The last cell on as many lines as it takes, where it is a text of several words."""
    last = cells[-1]
    if columns[-1].kind != TEXT or len(last) <= widths[-1] or " " not in last:
        return []
    return wrap(last, widths[-1], break_on_hyphens=False)


def _line(cells: list[str], columns: tuple[Column, ...], widths: list[int]) -> str:
    made = [
        f"{cell:>{width}}" if column.kind in RIGHT else f"{cell:<{width}}"
        for cell, column, width in zip(cells, columns, widths, strict=True)
    ]
    return GAP.join(made).rstrip() + "\n"


def _kept(columns: tuple[Column, ...], rows: list[tuple[Cell, ...]], total: int) -> list[int]:
    """The places of the columns that fit: spare ones go, the last one first, until the others have what they need."""
    wanted, kept = _wanted(columns, rows), list(range(len(columns)))
    for spare in [i for i in reversed(kept) if columns[i].spare]:
        needed = sum(_least(columns[i], wanted[i]) for i in kept) + len(GAP) * (len(kept) - 1)
        if needed <= total:
            break
        kept.remove(spare)
    return kept


def _wanted(columns: tuple[Column, ...], rows: list[tuple[Cell, ...]]) -> list[int]:
    """The width of the widest cell or heading of each column; where more rows are to come, what its table expects."""
    more = len(rows) == LOOK_AHEAD
    return [
        max(len(column.title), column.width if more else 0, *(len(text(row[i], column)) for row in rows))
        for i, column in enumerate(columns)
    ]


def _least(column: Column, wanted: int) -> int:
    return min(wanted, max(len(column.title), column.width)) if column.kind == TEXT else wanted


def _widths(columns: tuple[Column, ...], rows: list[tuple[Cell, ...]], total: int) -> list[int]:
    """As wide as the first rows need; the widest text column gives way, again and again, until a line fits; none gets
    narrower than its table says, unless that is not enough."""
    wanted = _wanted(columns, rows)
    least = [_least(column, width) for column, width in zip(columns, wanted, strict=True)]
    narrow = [NARROW if column.kind == TEXT else width for column, width in zip(columns, wanted, strict=True)]
    excess = sum(wanted) + len(GAP) * (len(wanted) - 1) - total
    if excess < 0 and len(rows) == LOOK_AHEAD:  # rows to come may be wider
        wanted[0] -= excess
    for limits in (least, narrow):
        excess -= _give_way(wanted, limits, excess)
    return wanted


def _give_way(widths: list[int], limits: list[int], excess: int) -> int:
    """Narrows the widest column by one, the first of several, until `excess` is gone or all are at their limits; how
    much that was. In strides: a name may be a megabyte long."""
    left = excess
    while left > 0 and (above := [i for i, width in enumerate(widths) if width > limits[i]]):
        top = max(widths[i] for i in above)
        widest = [i for i in above if widths[i] == top]
        stop = max(*(limits[i] for i in widest), *(widths[i] for i in above if widths[i] < top), 0)
        stride = min(top - stop, left // len(widest))
        for i in widest if stride else widest[:left]:
            widths[i] -= stride or 1
        left -= stride * len(widest) or left
    return excess - left
