"""JSON: the whole document in ASCII, one node and one kernel a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from effaudit.render.json import encode
from effaudit.tables.table import Shown
from effaudit.timing.types import ModelTime, TimeDocument

_LONG = frozenset(("nodes", "kernels"))


def render(document: TimeDocument, shown: Shown) -> Iterator[str]:
    """Everything is always present, whatever is shown."""
    for field in ("schema", "version", "counting", "host"):
        yield ("{" if field == "schema" else "") + f'"{field}": {encode(getattr(document, field))},\n'
    yield '"models": ['
    for i, model in enumerate(document.models):
        yield "\n{" if i == 0 else ",\n{"
        yield from _fields(model)
        yield "}"
    for field in ("versus", "sweep", "turns"):
        yield f'{"]" if field == "versus" else ""},\n"{field}": {_rows(getattr(document, field))}'
    yield "}\n"


def _fields(model: ModelTime) -> Iterator[str]:
    for i, field in enumerate(model.__struct_fields__):
        value = getattr(model, field)
        yield ("" if i == 0 else ",\n") + f'"{field}": '
        yield _rows(value) if field in _LONG else encode(value)


def _rows(rows: tuple[Any, ...]) -> str:
    return "[" + ",".join("\n" + encode(row) for row in rows) + "]"
