"""A memory plan -> text, one file per format, found by its name."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from effaudit.memory.types import MemoryDocument
from effaudit.tables.table import Shown


def render(form: str, document: MemoryDocument, shown: Shown) -> Iterator[str]:
    """The document in a format, in pieces."""
    module = importlib.import_module(f"effaudit.render.memory.{form}")
    pieces: Iterator[str] = module.render(document, shown)
    return pieces
