"""The numbers of a profile, as written -> facts with their unit, source and status.

A number stands alone (`size_bytes: 327680`) or with what is its own (`{value: 327680, source: datasheet, status:
vendor, note: ...}`). What it does not say is taken from the nearest `source` and `status` around it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from effaudit.device.types import STATUSES, Fact
from effaudit.device.units import TABLES, unit_of
from effaudit.errors import UsageError
from effaudit.printable import printable
from effaudit.schema_errors import suggestion

_AROUND: Final = ("source", "status")
_OWN: Final = [name for name in Fact.__struct_fields__ if name != "unit"]


class Around(msgspec.Struct, frozen=True):
    """What a number stands in: its place in the document, and the source and status it takes where it states none."""

    path: str
    source: str
    status: str

    def inside(self, step: str, document: Any = None) -> Around:
        path, source, status = f"{self.path}{step}", self.source, self.status
        if isinstance(document, dict):
            source, status = _text(document, "source", source, path), _text(document, "status", status, path)
        return Around(path, source, status)


def stated(document: Any) -> Any:
    """The document with every number of a profile in full, as a `Fact`'s fields. Raises UsageError, `$.place: what was
    expected`, where something else than a number stands for one."""
    found = _walked(document, Around("$", "", "").inside("", document))
    if isinstance(found, dict):
        found |= {key: document[key] for key in _AROUND if key in document}
    return found


def _walked(document: Any, around: Around) -> Any:
    if isinstance(document, list):
        return [_walked(item, around.inside(f"[{i}]", item)) for i, item in enumerate(document)]
    if not isinstance(document, dict):
        return document
    parts = {key: value for key, value in document.items() if key not in _AROUND}  # these stand in the numbers now
    return {key: _stated(key, value, around.inside(f".{key}", value)) for key, value in parts.items()}


def _stated(key: str, value: Any, around: Around) -> Any:
    if around.path == "$.sources":  # its keys are names
        return value
    if key in TABLES and isinstance(value, dict):
        return {name: _fact(key, item, around.inside(f".{name}")) for name, item in value.items()}
    return _walked(value, around) if unit_of(key) is None else _fact(key, value, around)


def _fact(key: str, value: Any, around: Around) -> Any:
    unit = TABLES.get(key) or unit_of(key)
    if value is None:
        return None
    place = printable(around.path)
    if isinstance(value, dict):
        if unknown := [own for own in value if own not in _OWN]:
            raise UsageError(f"{place}: {suggestion(unknown[0], _OWN)}")
        for part in ("value", "low", "high"):
            _number(value.get(part), f"{place}.{part}")
        return _whole({"value": None, "unit": unit, "source": around.source, "status": around.status, **value}, place)
    _number(value, place)
    return _whole({"value": value, "unit": unit, "source": around.source, "status": around.status}, place)


def _whole(fact: dict[str, Any], place: str) -> dict[str, Any]:
    for key, what in (("source", "a key of `sources`"), ("status", f"one of {', '.join(STATUSES)}")):
        if not fact[key]:
            raise UsageError(f"{place}: no {key}; state it there or once for the profile: {key}: {what}")
    return fact


def _number(value: Any, place: str) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        what = f"the text {printable(repr(value), 40)}" if isinstance(value, str) else printable(repr(value), 40)
        raise UsageError(f"{place}: expected a number, got {what}; write it plainly, without quotes or units")


def _text(document: dict[str, Any], key: str, default: str, path: str) -> str:
    own = document.get(key)
    if own is not None and not isinstance(own, str):
        raise UsageError(f"{printable(path)}.{key}: expected text, got {printable(repr(own), 40)}")
    return own or default
