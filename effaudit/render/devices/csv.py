"""CSV: a row per profile, with exact numbers."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.device.document import DevicesDocument
from effaudit.render.csv import line
from effaudit.tables.devices import devices
from effaudit.tables.table import Shown


def render(document: DevicesDocument, shown: Shown) -> Iterator[str]:
    """Everything is always present, whatever is shown."""
    made = devices(document)
    yield line([column.key for column in made.columns])
    yield from map(line, made.rows())
