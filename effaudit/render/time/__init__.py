"""Real runs -> text, one file per format, found by its name."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from effaudit.tables.table import Shown
from effaudit.timing.types import TimeDocument


def render(form: str, document: TimeDocument, shown: Shown) -> Iterator[str]:
    """The document in a format, in pieces."""
    module = importlib.import_module(f"effaudit.render.time.{form}")
    pieces: Iterator[str] = module.render(document, shown)
    return pieces
