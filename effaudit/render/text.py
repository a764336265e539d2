"""Text for a terminal: the first screen of a model, or a row for each of several, and the tables that are asked for."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from effaudit.printable import printable
from effaudit.render.chart import chart
from effaudit.render.plain import table
from effaudit.render.screen import head, screen, wrapped
from effaudit.report import ModelReport, Report
from effaudit.tables import of
from effaudit.tables.groups import BRIEF as GROUPS
from effaudit.tables.nodes import BRIEF as NODES
from effaudit.tables.summary import BRIEF as SUMMARY
from effaudit.tables.summary import summary
from effaudit.tables.table import Shown


def render(document: Report, shown: Shown) -> Iterator[str]:
    """Raises UsageError for a column that does not exist."""
    more = bool(shown.tables or shown.chart)
    if len(document.models) == 1 and not document.baselines:
        (model,) = document.models
        yield "\n".join(screen(model, document.counting, more)) + "\n"
        yield from _details(model, shown)
        return
    yield from _side_by_side(document, shown)
    for model in document.models if more else ():
        yield "\n" + "\n".join(head(model, document.counting)) + "\n"
        yield from _details(model, shown)


def _side_by_side(document: Report, shown: Shown) -> Iterator[str]:
    brief = Shown(columns=SUMMARY, width=shown.width)
    made = "".join(table(summary(document), brief))
    yield f"{document.counting}   {len(document.models)} models{made}"
    for model in document.models:
        if model.findings:
            rules = ", ".join(finding.rule for finding in model.findings)
            yield f"note   {printable(model.path, 30)}: {rules}\n"


def _details(model: ModelReport, shown: Shown) -> Iterator[str]:
    for name in shown.tables:
        for made in of(model, name):
            yield from table(made, _chosen(model, name, shown))
            if made.note:
                yield "\n".join(wrapped("", printable(made.note, None))) + "\n"
    if shown.chart:
        yield from chart(model, shown.chart)


def _chosen(model: ModelReport, name: str, shown: Shown) -> Shown:
    """The columns and order of a table: `--columns` and `--sort` are about nodes where there are any, else groups."""
    brief = {"nodes": NODES, "groups": (*(model.groups.by if model.groups else ()), *GROUPS)}.get(name, ())
    if name == ("nodes" if "nodes" in shown.tables else "groups"):
        return msgspec.structs.replace(shown, columns=shown.columns or brief)
    top = None if name == "hot" else shown.top
    return Shown(top=top, columns=brief, width=shown.width)
