"""A sweep -> text, one file per format, found by its name."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from effaudit.search.sweep.types import SweepDocument
from effaudit.tables.table import Shown


def render(form: str, document: SweepDocument, shown: Shown) -> Iterator[str]:
    """The document in a format, in pieces."""
    module = importlib.import_module(f"effaudit.render.sweep.{form}")
    pieces: Iterator[str] = module.render(document, shown)
    return pieces
