"""JSON: the whole document in ASCII, one device a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from effaudit.device.document import DevicesDocument
from effaudit.render.json import encode
from effaudit.tables.table import Shown


def render(document: DevicesDocument, shown: Shown) -> Iterator[str]:
    """Everything is always present, whatever is shown."""
    yield f'{{"schema": {encode(document.schema)},\n"version": {encode(document.version)},\n'
    yield from _list("devices", document.devices)
    yield ",\n"
    yield from _list("profiles", document.profiles)
    yield "}\n"


def _list(name: str, values: Sequence[Any]) -> Iterator[str]:
    yield f'"{name}": ['
    for i, value in enumerate(values):
        yield ("\n" if i == 0 else ",\n") + encode(value)
    yield "]"


def indented(document: Any) -> str:
    """A document that people read as well."""
    return json.dumps(document, indent=2) + "\n"
