"""CSV: one table over all models, with exact numbers: the nodes, the groups, or the one view that is asked for."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from effaudit.printable import printable
from effaudit.report import Report
from effaudit.tables import joined, listed
from effaudit.tables.models import of_models
from effaudit.tables.table import NONE, Cell, Shown, Span


def render(document: Report, shown: Shown) -> Iterator[str]:
    """Every row begins with its model. Unknown numbers are empty cells, ranges two numbers "LOW..HIGH"."""
    name = shown.tables[0] if shown.tables else "nodes"
    if name == "totals" or document.pareto is not None:
        (made,) = of_models(document, shown)  # the command asks for one
        yield line([column.key for column in made.columns])
        yield from map(line, made.rows())
        return
    header = False
    for model in document.models:
        found = joined(listed(model, name, shown))
        if found is None:
            continue
        if not header:
            yield line(["model", *(column.key for column in found.columns)])
            header = True
        yield from (line([model.path, *row]) for row in found.rows())


def line(cells: Iterable[Cell]) -> str:
    """One row of CSV."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(map(_safe, cells))
    return out.getvalue()


def _safe(cell: Cell) -> object:
    """Text that a spreadsheet would take for a formula gets a leading quote."""
    if cell is None or cell == NONE:
        return ""
    if isinstance(cell, Span):
        return f"{cell.low}..{'' if cell.high is None else cell.high}"
    if not isinstance(cell, str):
        return cell
    text = printable(cell, None)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") and len(text) > 1 else text
