"""The fields of device profiles and the devices that are shipped, for docs/devices.md, from the code."""

from __future__ import annotations

import inspect
import re
import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

import effaudit.device.types as device_types
from effaudit.device.catalogue import Entry, catalogue
from effaudit.device.document import DevicesDocument
from effaudit.device.types import Device, Fact
from effaudit.device.units import SUFFIXES, TABLES, WHOLE, unit_of
from effaudit.units import human_bytes

from .structs import structs

_PLAIN = {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "null"}


def parts() -> dict[str, str]:
    """The generated parts of the page by name."""
    return {
        "fields": sections(Device),
        "units": units(),
        "devices": shipped(),
        "document": sections(DevicesDocument, Device),
    }


def sections(kind: type, but: type | None = None) -> str:
    """A section per struct: its words, and a table of its fields. Of a document that is written, not read, the struct
    `but` and those in it are left out."""
    seen = list(structs(but, [], _hints)) if but is not None else []
    return "\n\n".join(_section(one, but is None) for one in structs(kind, seen, _hints))


def units() -> str:
    """A row per unit: the keys that have it."""
    found: dict[str, list[str]] = {}
    for table, mark in ((SUFFIXES, "..."), (WHOLE, ""), (TABLES, "")):
        for key, unit in table.items():
            found.setdefault(unit, []).append(f"`{mark}{key}`")
    rows = [f"| {'a plain number' if unit == '1' else unit} | {', '.join(keys)} |" for unit, keys in found.items()]
    return "\n".join(["| Unit | Keys |", "|---|---|", *rows])


def shipped() -> str:
    """A row per device that is shipped."""
    rows = [_row(one) for one in catalogue() if one.origin == "shipped" and not one.abstract]
    return "\n".join(
        [
            "| Device | Class | Activations | Weights | Default runtime | Also called |",
            "|---|---|--:|--:|---|---|",
            *rows,
        ]
    )


def _row(one: Entry) -> str:
    assert not one.problem, one.problem
    sizes = ["unknown" if n is None else human_bytes(n) for n in (one.activation_contiguous_bytes, one.weight_bytes)]
    names = ", ".join(f"`{alias}`" for alias in one.aliases)
    cells = (f"`{one.name}`<br>{one.title}", one.kind, *sizes, one.runtime, names)
    return f"| {' | '.join(cells)} |"


def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind, None, vars(device_types))
    return {name: hints[name] for name in kind.__struct_fields__}


def _section(kind: type, needed: bool) -> str:
    text = inspect.cleandoc(kind.__doc__ or "")
    prose = re.sub(r"\s*\n(?!\n)", " ", text.replace("\n\n", "\0")).replace("\0", "\n\n")
    fields = [field for field in msgspec.structs.fields(kind) if not (kind is Fact and field.name == "unit")]
    hints, rows = _hints(kind), ["| Key | What |", "|---|---|"]
    for field in fields:
        must = "; needed" if needed and field.required and kind is not Fact else ""
        rows.append(f"| `{field.encode_name}` | {_words(hints[field.name], field.encode_name)}{must} |")
    return "\n".join([f"### {kind.__name__}", "", prose, "", *rows])


def _words(hint: Any, key: str) -> str:
    """A type as people name it; a number with its unit."""
    if hint in _PLAIN:
        return _PLAIN[hint]
    if hint is Fact:
        unit = TABLES.get(key) or unit_of(key)
        return "[number](#fact)" if unit in (None, "1") else f"[number](#fact), {unit}"
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return ", ".join(f"`{word}`" for word in args)
    if origin in (Union, types.UnionType):
        kept = [part for part in args if part is not type(None)]
        null = " or null" if len(kept) < len(args) and Fact not in args else ""
        return (
            " or ".join(dict.fromkeys(_words(part, key) for part in kept)).replace("whole number or number", "number")
            + null
        )
    if origin is tuple:
        return f"list of {_words(args[0], key)}"
    if origin is dict:
        return f"by name: {_words(args[1], key)}"
    return f"[{hint.__name__}](#{hint.__name__.lower()})"
