"""CSV: one table over all models, with exact numbers: the nodes, the groups, or the one view that is asked for."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from effaudit.printable import printable
from effaudit.report import ModelReport, Report
from effaudit.tables import of
from effaudit.tables.table import Cell, Column, Shown, Span, Table, arranged


def render(document: Report, shown: Shown) -> Iterator[str]:
    """Every row begins with the path of its model. Unknown numbers are empty cells, ranges two numbers "LOW..HIGH"."""
    name = next((name for name in shown.tables if name != "hot"), shown.tables[0] if shown.tables else "nodes")
    header: tuple[Column, ...] | None = None
    for model in document.models:
        for made in _first(model, name):
            found = arranged(made, shown) if name in ("nodes", "groups") else made
            if header is None:
                header = found.columns
                yield line(["model", *(column.key for column in header)])
            for row in found.rows():
                yield line([model.path, *row])


def _first(model: ModelReport, name: str) -> tuple[Table, ...]:
    return of(model, name)[:1]


def line(cells: list[Cell]) -> str:
    """One row of CSV."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(map(_safe, cells))
    return out.getvalue()


def _safe(cell: Cell) -> object:
    """Text that a spreadsheet would take for a formula gets a leading quote."""
    if cell is None:
        return ""
    if isinstance(cell, Span):
        return f"{cell.low}..{'' if cell.high is None else cell.high}"
    if not isinstance(cell, str):
        return cell
    text = printable(cell, None)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") and len(text) > 1 else text
