"""The tables of a text report: several models side by side, and the lists of one model."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import takewhile

import msgspec

from effaudit.printable import printable
from effaudit.render.chart import chart
from effaudit.render.plain import table
from effaudit.report import ModelReport, Report
from effaudit.tables import listed, lists
from effaudit.tables.models import of_models
from effaudit.tables.nodes import outline
from effaudit.tables.table import Cell, Shown, Table, arranged
from effaudit.wrapping import wrapped


def side_by_side(document: Report, shown: Shown) -> Iterator[str]:
    """A row per model, and the names of its notes."""
    folder = _folder([model.path for model in document.models])
    count = f"{len(document.models)} model{'' if len(document.models) == 1 else 's'}"
    yield f"{document.counting}   {count}{f' in {printable(folder, 60)}' if folder else ''}"
    for made in of_models(document, shown):
        chosen = msgspec.structs.replace(made, title="", rows=partial(_within, folder, made))
        yield from table(arranged(chosen, Shown(columns=made.brief)), shown.width)
        if made.note:
            yield "\n".join(wrapped("", made.note)) + "\n"
    if any("device" in model.__struct_fields__ for model in document.models):
        from effaudit.render import device  # few reports have one

        yield from device.side_by_side(document.models, shown.width)
    by_rule: dict[str, list[str]] = {}
    for model in document.models:
        for finding in model.findings:
            by_rule.setdefault(finding.rule, []).append(printable(model.path.removeprefix(folder), 40))
    for rule, names in by_rule.items():
        which = ", ".join(names) if len(names) <= NAMED else f"{len(names)} of {len(document.models)} models"
        yield from (f"{line}\n" for line in wrapped("note   ", f"{rule}: {which}"))


def _within(folder: str, made: Table) -> Iterator[tuple[Cell, ...]]:
    """The rows of a table of models, these named within their folder."""
    for name, *cells in made.rows():
        yield (str(name).removeprefix(folder), *cells)


NAMED = 3  # models that are named with a note; more are counted


def _folder(paths: list[str]) -> str:
    """The folder that all paths begin with, its slash included; "" where there is none."""
    first, last = min(paths, default=""), max(paths, default="")  # what these share, all share
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False)))
    return first[: first.rfind("/", 0, same) + 1]


def details(model: ModelReport, shown: Shown) -> Iterator[str]:
    """The tables that are asked for."""
    for name in lists(shown) if shown.tables else ():
        if name == "roofline":
            from effaudit.render.device import plot

            yield from plot(model, shown.width)
            continue
        for made in _tables(model, name, shown):
            yield from table(made, shown.width)
            if made.note:
                yield "\n".join(wrapped("", made.note)) + "\n"
    if shown.chart:
        yield from chart(model, shown.chart, shown.width)


def _tables(model: ModelReport, name: str, shown: Shown) -> Iterator[Table]:
    """The tables of a list: the nodes as an outline, unless they are sorted; few columns, unless some are chosen."""
    if name == "nodes" and not shown.sort:
        whole = outline(model)
        yield arranged(whole, msgspec.structs.replace(shown, columns=shown.columns or whole.brief))
        return
    for made in listed(model, name, shown):
        chosen = shown.columns and name == ("nodes" if "nodes" in shown.tables else "groups")
        yield made if chosen or not made.brief else arranged(made, Shown(columns=made.brief))
