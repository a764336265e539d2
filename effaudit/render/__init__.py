"""Report -> text, one file per format, found by its name."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from effaudit.report import Report
from effaudit.tables.table import Shown


def render(form: str, document: Report, shown: Shown) -> Iterator[str]:
    """The document in a format, in pieces. Raises UsageError for a column that does not exist."""
    module = importlib.import_module(f"effaudit.render.{form}")
    pieces: Iterator[str] = module.render(document, shown)
    return pieces
