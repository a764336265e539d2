"""Markdown: the totals as a table, the notes, and the tables that are asked for. For pull requests and pages."""

from __future__ import annotations

import re
from collections.abc import Iterator

from effaudit.printable import printable
from effaudit.render.cells import RIGHT, text
from effaudit.render.units import scaled
from effaudit.report import ModelReport, Report
from effaudit.tables import listed, lists
from effaudit.tables.models import of_models
from effaudit.tables.table import Shown, Table

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~])")


def render(document: Report, shown: Shown) -> Iterator[str]:
    """Raises UsageError for a column that does not exist."""
    yield f"### effaudit: {len(document.models)} model{'s' if len(document.models) != 1 else ''}\n\n"
    for made in of_models(document, shown):
        yield from rows(scaled(made))
        yield f"\n{escape(made.note)}\n\n" if made.note else "\n"
    yield f"Counted under {document.counting}: FLOPs = 2 MACs + other ops.\n"
    for model in document.models:
        sizes = ", ".join(f"{d}={i.value} ({i.origin})" for d, i in model.dims.items() if i.value is not None)
        if sizes:
            yield f"\n{escape(model.path)}: {escape(sizes)}\n"
        if "device" in model.__struct_fields__:
            yield from _device(model)
        for finding in model.findings:
            words = f"{finding.message}. What to do: {finding.remedy}."
            yield f"\n- **{finding.rule}** ({escape(model.path)}): {escape(words)}\n"
    for model in document.models:
        for name in lists(shown):
            for made in listed(model, name, shown):
                yield f"\n#### {escape(model.path)}: {escape(made.title)}\n\n"
                yield from rows(made)
                if made.note:
                    yield f"\n{escape(made.note)}\n"


def _device(model: ModelReport) -> Iterator[str]:
    from effaudit.render.device import notes  # few reports have one

    yield f"\n#### {escape(model.path)} on a device\n\n"
    yield from (f"- {what}: {escape(text)}\n" for what, text in notes(model))


def rows(made: Table) -> Iterator[str]:
    """A table."""
    yield "| " + " | ".join(escape(column.title) for column in made.columns) + " |\n"
    yield "|" + "|".join(" --: " if column.kind in RIGHT else " --- " for column in made.columns) + "|\n"
    for row in made.rows():
        cells = (text(cell, column) for cell, column in zip(row, made.columns, strict=True))
        yield "| " + " | ".join(map(escape, cells)) + " |\n"


def escape(words: str) -> str:
    """Text that Markdown shows as it is, HTML included."""
    return _SPECIAL.sub(r"\\\1", printable(words, None)).replace("&", "&amp;")
