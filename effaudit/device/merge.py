"""A profile and what it extends -> one document.

Mappings are joined key by key, lists of named things (engines, memories, runtimes; performance by engine, element type,
runtime and version) thing by thing; every other list, and every number, is replaced.
"""

from __future__ import annotations

from typing import Any, Final

from effaudit.errors import UsageError
from effaudit.printable import printable

# The keys that tell the things of a list apart.
_NAMED: Final = {
    "engines": ("name",),
    "memories": ("name",),
    "regions": ("name",),
    "runtimes": ("name", "version"),
    "performance": ("engine", "dtype", "runtime", "version"),
    "reserved": ("memory", "what"),
}
# Of a profile itself, never taken over.
_OWN: Final = ("name", "title", "extends", "abstract", "aliases", "part", "schema")
_ADDED: Final = ("notes",)
# Mappings whose parts are replaced whole: a rate is one number of several kinds.
_WHOLE: Final = ("rates",)


def merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """`own` completed by `base`, both with their numbers in full. Raises UsageError, `$.place: what was expected`,
    where the same key of `sources` means another document: the numbers of `base` would be said to stand in it."""
    _same_sources(base.get("sources"), own.get("sources"))
    taken = {key: value for key, value in base.items() if key not in _OWN}
    return {**taken, **{key: _joined(key, taken.get(key), value) for key, value in own.items()}}


def _joined(key: str, base: Any, own: Any) -> Any:
    if isinstance(base, dict) and isinstance(own, dict) and not _is_number(base) and not _is_number(own):
        if key in _WHOLE:
            return {**base, **own}
        keys = dict.fromkeys((*base, *own))
        return {k: _joined(k, base[k], own[k]) if k in base and k in own else {**base, **own}[k] for k in keys}
    if isinstance(base, list) and isinstance(own, list):
        if key in _NAMED:
            return _things(key, base, own)
        if key in _ADDED:
            return base + own
    return own


def _same_sources(base: Any, own: Any) -> None:
    if not isinstance(base, dict) or not isinstance(own, dict):
        return
    for name, source in own.items():
        under = base.get(name, source)
        if not isinstance(source, dict) or not isinstance(under, dict):
            continue
        if any(source.get(key) != under.get(key) for key in ("title", "url")):
            other = printable(repr(under.get("title")), 80)
            place = f"$.sources.{printable(name)}"
            raise UsageError(f"{place}: the profile this one extends means {other} by it; choose another key")


def _is_number(value: dict[str, Any]) -> bool:
    return "unit" in value


def _things(key: str, base: list[Any], own: list[Any]) -> list[Any]:
    """Those of both in the order of `base`, then what only `own` has: memories fill in that order. Of runtimes those of
    `own` come first: the first is the default."""
    found = {_identity(key, item): item for item in base}
    mine = {_identity(key, item): _joined("", found.get(_identity(key, item), item), item) for item in own}
    both = {**mine, **found, **mine} if key == "runtimes" else {**found, **mine}
    return list(both.values())


def _identity(key: str, item: Any) -> tuple[str, ...] | int:
    if not isinstance(item, dict):
        return id(item)
    return tuple(str(item.get(name, "")) for name in _NAMED[key])
