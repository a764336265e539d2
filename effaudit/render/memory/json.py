"""JSON: the whole document in ASCII, one step and one buffer a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from effaudit.memory.types import MemoryDocument, MemoryFigures, ModelMemory
from effaudit.render.json import encode
from effaudit.tables.table import Shown

_LONG = frozenset(("buffers", "timeline", "workspaces", "kernels"))


def render(document: MemoryDocument, shown: Shown) -> Iterator[str]:
    """Everything is always present, whatever is shown."""
    yield f'{{"schema": {encode(document.schema)},\n"version": {encode(document.version)},\n"models": ['
    for i, model in enumerate(document.models):
        yield "\n{" if i == 0 else ",\n{"
        yield from _fields(model)
        yield "}"
    yield "]}\n"


def _fields(struct: ModelMemory | MemoryFigures) -> Iterator[str]:
    for i, field in enumerate(struct.__struct_fields__):
        value = getattr(struct, field)
        yield ("" if i == 0 else ",\n") + f'"{field}": '
        if isinstance(value, MemoryFigures):
            yield "{"
            yield from _fields(value)
            yield "}"
        elif field in _LONG and value is not None:
            yield from _rows(value)
        else:
            yield encode(value)


def _rows(rows: Iterable[Any]) -> Iterator[str]:
    before = "[\n"
    for row in rows:
        yield before + encode(row)
        before = ",\n"
    yield "]" if before != "[\n" else "[]"
