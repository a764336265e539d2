"""Report -> text, one file per format, found by its name."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from effaudit.report import Report


def render(form: str, document: Report, nodes: bool) -> Iterator[str]:
    """The document in a format, in pieces; `nodes` asks for every node where a format leaves them out by default."""
    module = importlib.import_module(f"effaudit.render.{form}")
    pieces: Iterator[str] = module.render(document, nodes)
    return pieces
