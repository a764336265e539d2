"""HTML for a notebook cell: the totals, the hot spots and what was asked for. All names are escaped."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from effaudit.printable import printable
from effaudit.render.cells import RIGHT, text
from effaudit.render.units import scaled
from effaudit.report import Report
from effaudit.tables import listed, lists
from effaudit.tables.summary import summary
from effaudit.tables.table import Shown, Table


def render(document: Report, shown: Shown) -> Iterator[str]:
    """A fragment: no scripts, no styles of its own."""
    yield '<div class="effaudit">\n'
    yield from _table(scaled(summary(document)))
    for model in document.models:
        for finding in model.findings:
            yield f"<p>{_safe(finding.message)}: {_safe(finding.remedy)}</p>\n"
        for name in lists(shown):
            for made in listed(model, name, shown):
                yield f"<h4>{_safe(made.title)}</h4>\n"
                yield from _table(made)
                if made.note:
                    yield f"<p>{_safe(made.note)}</p>\n"
    yield f"<p>counted under {_safe(document.counting)}: FLOPs = 2 MACs + other ops</p>\n</div>\n"


def _table(made: Table) -> Iterator[str]:
    yield "<table>\n<tr>" + "".join(f"<th>{_safe(column.title)}</th>" for column in made.columns) + "</tr>\n"
    for row in made.rows():
        cells = []
        for cell, column in zip(row, made.columns, strict=True):
            side = ' style="text-align:right"' if column.kind in RIGHT else ""
            cells.append(f"<td{side}>{_safe(text(cell, column))}</td>")
        yield f"<tr>{''.join(cells)}</tr>\n"
    yield "</table>\n"


def _safe(words: str) -> str:
    return escape(printable(words, None))
