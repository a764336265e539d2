"""Markdown: what all points have in common, and a row for each."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.render.markdown import escape, rows
from effaudit.render.sweep.words import in_common, people, reasons
from effaudit.search.sweep.types import SweepDocument
from effaudit.tables.table import Shown, arranged


def render(document: SweepDocument, shown: Shown) -> Iterator[str]:
    """For pull requests and pages."""
    yield f"### effaudit sweep: {len(document.points):,} points\n\n"
    if same := in_common(document):
        yield f"All of {escape(same)}.\n\n"
    yield from rows(arranged(people(document, shown), Shown(top=shown.top)))
    for what, why in reasons(document):
        yield f"\n- {'not known' if what == '?' else what}: {escape(why)}\n"
    yield f"\nCounted under {document.counting}.\n"
