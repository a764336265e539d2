"""Markdown: a row per device."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.device.document import DevicesDocument
from effaudit.render.markdown import escape, rows
from effaudit.tables.devices import BRIEF, devices
from effaudit.tables.table import Shown, arranged


def render(document: DevicesDocument, shown: Shown) -> Iterator[str]:
    """For pages."""
    yield from rows(arranged(devices(document, broken=False), Shown(columns=BRIEF)))
    for one in document.devices:
        if one.problem:
            yield f"\n- **{escape(one.name)}** cannot be used: {escape(one.problem)}\n"
