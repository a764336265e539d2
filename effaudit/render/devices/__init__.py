"""Device profiles -> text, one file per format, found by its name."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from effaudit.device.document import DevicesDocument
from effaudit.tables.table import Shown


def render(form: str, document: DevicesDocument, shown: Shown) -> Iterator[str]:
    """The document in a format, in pieces."""
    module = importlib.import_module(f"effaudit.render.devices.{form}")
    pieces: Iterator[str] = module.render(document, shown)
    return pieces
