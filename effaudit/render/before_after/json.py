"""JSON: the whole document in ASCII, one detail a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from effaudit.before_after.types import StepRow, WhatIfDocument
from effaudit.render.json import encode
from effaudit.tables.table import Shown


def render(document: WhatIfDocument, shown: Shown) -> Iterator[str]:
    """Everything is always present, whatever is shown."""
    for field in ("schema", "version", "counting"):
        yield ("{" if field == "schema" else "") + f'"{field}": {encode(getattr(document, field))},\n'
    yield '"models": ['
    for i, model in enumerate(document.models):
        yield "\n{" if i == 0 else ",\n{"
        for field in model.__struct_fields__:
            if field != "steps":
                yield f'"{field}": {encode(getattr(model, field))},\n'
        yield '"steps": ['
        for number, step in enumerate(model.steps):
            yield "\n{" if number == 0 else ",\n{"
            yield from _fields(step)
            yield "}"
        yield "]}"
    yield "]}\n"


def _fields(step: StepRow) -> Iterator[str]:
    for i, field in enumerate(step.__struct_fields__):
        value = getattr(step, field)
        yield ("" if i == 0 else ",\n") + f'"{field}": '
        yield _rows(value) if field in ("details", "blocked") else encode(value)


def _rows(rows: Iterable[Any]) -> str:
    return "[" + ",".join("\n" + encode(row) for row in rows) + "]"
