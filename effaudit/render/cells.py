"""Cells for people: numbers with a suffix, shares in percent, names made safe."""

from __future__ import annotations

from effaudit.printable import printable
from effaudit.tables.table import BYTES, COUNT, EXACT, MEASURES, PERCENT, RATIO, SHARE, TEXT, Cell, Column, Span
from effaudit.units import human, human_bytes, human_measure

RIGHT = frozenset((COUNT, BYTES, SHARE, PERCENT, RATIO, EXACT, *MEASURES))


def text(cell: Cell, column: Column, limit: int | None = None) -> str:
    """A cell as text; "unknown" where nothing is known."""
    if cell is None:
        return "unknown"
    if isinstance(cell, str):
        return printable(cell, limit)
    if isinstance(cell, Span):
        return _span(cell.low, cell.high, column.kind)
    return _number(cell, column.kind)


def _span(low: float, high: float | None, kind: str) -> str:
    """LOW..HIGH in three digits, the unit once where both have the same."""
    one = _short(low, kind)
    if high is None:
        return f">= {one}"
    other = _short(high, kind)
    (a, *unit), (b, *same) = one.split(" "), other.split(" ")
    return " ".join([f"{a}..{b}", *same]) if unit == same else f"{one}..{other}"


def _short(value: float, kind: str) -> str:
    if kind == EXACT:
        return f"{value:,}"
    if kind == SHARE:
        return f"{100 * value:.1f} %"
    if kind == RATIO:
        return f"{value:.3g}"
    if kind in MEASURES:
        return human_measure(value, kind)
    return human_bytes(int(value), 3) if kind == BYTES else human(int(value), 3)


def _number(value: int | float, kind: str) -> str:
    if kind == EXACT:
        return f"{value:,}"
    if kind == SHARE:
        return f"{100 * value:.1f} %"
    if kind == PERCENT:
        return f"{100 * value:.2f} %"
    if kind == BYTES:
        return human_bytes(int(value))
    if kind in MEASURES:
        return human_measure(value, kind)
    if kind == RATIO or isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return human(int(value)) if kind != TEXT else f"{value:,}"
