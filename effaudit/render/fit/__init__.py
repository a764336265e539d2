"""A fit -> text, one file per format, found by its name."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from effaudit.fit.types import FitDocument
from effaudit.tables.table import Shown


def render(form: str, document: FitDocument, shown: Shown) -> Iterator[str]:
    """The document in a format, in pieces."""
    module = importlib.import_module(f"effaudit.render.fit.{form}")
    pieces: Iterator[str] = module.render(document, shown)
    return pieces
