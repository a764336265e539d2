"""JSON: the whole document, ASCII only, so that no name can reach a terminal unescaped. One node per line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from effaudit.report import ModelReport, Report
from effaudit.tables.table import Shown

_UNSAFE = re.compile("[^\x20-\x7e]")


def render(document: Report, shown: Shown) -> Iterator[str]:
    """Every node is always present, whatever is shown."""
    for field in ("schema", "version", "counting"):
        yield ("{" if field == "schema" else "") + f'"{field}": {encode(getattr(document, field))},\n'
    yield '"models": ['
    for i, model in enumerate(document.models):
        yield from _model(model, "\n" if i == 0 else ",\n")
    yield "]" + (f',\n"baselines": {encode(document.baselines)}' if document.baselines else "")
    yield (f',\n"pareto": {encode(document.pareto)}' if document.pareto is not None else "") + "}\n"


def _model(model: ModelReport, before: str) -> Iterator[str]:
    yield before + "{"
    for i, field in enumerate(model.__struct_fields__):
        yield ("" if i == 0 else ",\n") + f'"{field}": '
        if field == "nodes":
            yield from _rows(model.nodes)
        elif field == "device":
            yield from _device(getattr(model, field))
        else:
            yield encode(getattr(model, field))
    yield "}"


def _device(view: msgspec.Struct) -> Iterator[str]:
    """What the model takes on a device, one kernel per line."""
    for i, field in enumerate(view.__struct_fields__):
        yield ("{" if i == 0 else ",\n") + f'"{field}": '
        if field == "kernels":
            yield from _rows(getattr(view, field))
        else:
            yield encode(getattr(view, field))
    yield "}"


def _rows(found: Sequence[Any]) -> Iterator[str]:
    for i, row in enumerate(found):
        yield ("[\n" if i == 0 else ",\n") + encode(row)
    yield "]" if len(found) else "[]"


def encode(value: Any) -> str:
    """A value as JSON on one line, in ASCII."""
    try:
        text = msgspec.json.encode(value).decode()
    except (OverflowError, UnicodeEncodeError):  # integers past 64 bits, file names that are not UTF-8
        return json.dumps(msgspec.to_builtins(value))
    return text if text.isascii() and "\x7f" not in text else _UNSAFE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return "".join(f"\\u{unit:04x}" for unit in memoryview(match[0].encode("utf-16-le", "surrogatepass")).cast("H"))
