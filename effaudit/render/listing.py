"""The tables of a text report: several models side by side, and the lists of one model."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

import msgspec

from effaudit.printable import printable
from effaudit.render.chart import chart
from effaudit.render.plain import table
from effaudit.report import ModelReport, Report
from effaudit.tables import of
from effaudit.tables.groups import BRIEF as GROUPS
from effaudit.tables.nodes import BRIEF as NODES
from effaudit.tables.nodes import outline
from effaudit.tables.summary import BRIEF as SUMMARY
from effaudit.tables.summary import summary
from effaudit.tables.table import Cell, Shown
from effaudit.wrapping import wrapped


def side_by_side(document: Report, shown: Shown) -> Iterator[str]:
    """A row per model, and the names of its notes."""
    folder = _folder([model.path for model in document.models])
    made = summary(document)

    def rows() -> Iterator[tuple[Cell, ...]]:
        for name, *cells in made.rows():
            yield (str(name).removeprefix(folder), *cells)

    count = f"{len(document.models)} model{'' if len(document.models) == 1 else 's'}"
    yield f"{document.counting}   {count}{f' in {printable(folder, 60)}' if folder else ''}"
    yield from table(msgspec.structs.replace(made, title="", rows=rows), Shown(columns=SUMMARY, width=shown.width))
    by_rule: dict[str, list[str]] = {}
    for model in document.models:
        for finding in model.findings:
            by_rule.setdefault(finding.rule, []).append(printable(model.path.removeprefix(folder), 40))
    for rule, names in by_rule.items():
        which = ", ".join(names) if len(names) <= NAMED else f"{len(names)} of {len(document.models)} models"
        yield from (f"{line}\n" for line in wrapped("note   ", f"{rule}: {which}"))


NAMED = 3  # models that are named with a note; more are counted


def _folder(paths: list[str]) -> str:
    """The folder that all paths begin with, its slash included; "" where there is none."""
    first, last = min(paths, default=""), max(paths, default="")  # what these share, all share
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))
    return first[: first.rfind("/", 0, same) + 1]


def details(model: ModelReport, shown: Shown) -> Iterator[str]:
    """The tables that are asked for. Raises UsageError for a column that does not exist."""
    for name in (name for name in shown.tables if name != "totals"):
        listed = (outline(model),) if name == "nodes" and not shown.sort else of(model, name)
        for made in listed:
            yield from table(made, _chosen(model, name, shown))
            if made.note:
                yield "\n".join(wrapped("", printable(made.note, None))) + "\n"
    if shown.chart:
        yield from chart(model, shown.chart, shown.width)


def _chosen(model: ModelReport, name: str, shown: Shown) -> Shown:
    """The columns and order of a table: `--columns` and `--sort` are about nodes where there are any, else groups."""
    brief = {"nodes": NODES, "groups": (*(model.groups.by if model.groups else ()), *GROUPS)}.get(name, ())
    if name == ("nodes" if "nodes" in shown.tables else "groups"):
        return msgspec.structs.replace(shown, columns=shown.columns or brief)
    top = None if name == "hot" else shown.top
    return Shown(top=top, columns=brief, width=shown.width)
