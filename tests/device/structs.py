"""The structs of the schema, walked."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import msgspec

import effaudit.device.types as types
from effaudit.device.types import Fact


def structs(kind: Any, seen: list[type]) -> list[type]:
    """A struct and those in its fields, each once."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if kind not in seen:
            seen.append(kind)
            for hint in get_type_hints(kind, vars(types)).values():
                structs(hint, seen)
    else:
        for part in get_args(kind):
            structs(part, seen)
    return seen


def fact_keys(kind: Any) -> tuple[set[str], set[str]]:
    """(the keys of numbers, those of everything else) in a struct and those in its fields."""
    numbers: set[str] = set()
    others: set[str] = set()
    for one in structs(kind, []):
        if one is Fact:
            continue
        for field in msgspec.structs.fields(one):
            hint = get_type_hints(one, vars(types))[field.name]
            (numbers if _holds_fact(hint) else others).add(field.encode_name)
    return numbers, others


def _holds_fact(hint: Any) -> bool:
    return hint is Fact or any(map(_holds_fact, get_args(hint)))
