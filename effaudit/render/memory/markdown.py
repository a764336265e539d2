"""Markdown: a row per model, what lowers each arena, and the lists that are asked for."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.memory.types import MemoryDocument
from effaudit.render.markdown import escape, rows
from effaudit.tables.memory import LISTS, summary
from effaudit.tables.table import Shown, arranged


def render(document: MemoryDocument, shown: Shown) -> Iterator[str]:
    """For pull requests and pages."""
    count = len(document.models)
    yield f"### effaudit memory: {count} plan{'s' if count != 1 else ''}\n\n"
    yield from rows(summary(document))
    for model in document.models:
        for finding in model.findings:
            words = f"{finding.message}. What to do: {finding.remedy}."
            yield f"\n- **{finding.rule}** ({escape(model.path)}): {escape(words)}\n"
    lists = [name for name in shown.tables if name != "totals"] if shown.tables else ["remedies"]
    for model in document.models:
        for name in lists:
            made = arranged(LISTS[name](model), Shown(top=shown.top))
            if name == "remedies" and not model.remedies:
                continue
            yield f"\n#### {escape(model.path)}, {escape(model.memory.runtime)}: {escape(made.title)}\n\n"
            yield from rows(made)
            if made.note:
                yield f"\n{escape(made.note)}\n"
