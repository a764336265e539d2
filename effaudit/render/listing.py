"""The tables of a text report: several models side by side, and the lists of one model."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from effaudit.printable import printable
from effaudit.render.chart import chart
from effaudit.render.plain import table
from effaudit.render.screen import wrapped
from effaudit.report import ModelReport, Report
from effaudit.tables import of
from effaudit.tables.groups import BRIEF as GROUPS
from effaudit.tables.nodes import BRIEF as NODES
from effaudit.tables.summary import BRIEF as SUMMARY
from effaudit.tables.summary import summary
from effaudit.tables.table import Shown


def side_by_side(document: Report, shown: Shown) -> Iterator[str]:
    """A row per model, and the names of its notes."""
    brief = Shown(columns=SUMMARY, width=shown.width)
    made = "".join(table(summary(document), brief))
    yield f"{document.counting}   {len(document.models)} models{made}"
    for model in document.models:
        if model.findings:
            rules = ", ".join(finding.rule for finding in model.findings)
            yield f"note   {printable(model.path, 30)}: {rules}\n"


def details(model: ModelReport, shown: Shown) -> Iterator[str]:
    """The tables that are asked for. Raises UsageError for a column that does not exist."""
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
