"""A profile's YAML file -> Device."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

from effaudit import strict_yaml
from effaudit.device.facts import stated
from effaudit.device.merge import merged
from effaudit.device.types import SCHEMA, Device
from effaudit.device.validate import problems
from effaudit.errors import UsageError
from effaudit.printable import printable

MAX_EXTENDS: Final = 8

# The path of the profile that a profile extends: (what it names, the path of the profile that names it).
Locate = Callable[[str, str], str]


def read_device(path: str | os.PathLike[str], locate: Locate) -> Device:
    """The profile of a file, completed by those it extends, and checked.

    Raises UsageError, one line `FILE: $.place: what was expected`.
    """
    path = os.fspath(path)
    document = _document(path, locate, ())
    device = strict_yaml.convert(document, Device, path)
    found = problems(device)
    if found:
        more = f" (and {len(found) - 1} more: effaudit devices validate lists them)" if len(found) > 1 else ""
        raise UsageError(f"{printable(path, None)}: {found[0]}{more}")
    return device


def all_problems(path: str | os.PathLike[str], locate: Locate) -> list[str]:
    """Everything that is wrong with a profile, one line each; none where it is valid."""
    path = os.fspath(path)
    try:
        device = strict_yaml.convert(_document(path, locate, ()), Device, path)
    except UsageError as error:
        return [str(error)]
    return [f"{printable(path, None)}: {problem}" for problem in problems(device)]


def _document(path: str, locate: Locate, seen: tuple[str, ...]) -> dict[str, Any]:
    """The document with its numbers in full, over those that it extends."""
    place, here = printable(path, None), os.path.realpath(path)
    if here in seen:
        names = " -> ".join(printable(os.path.basename(one), None) for one in (*seen[seen.index(here) :], here))
        raise UsageError(f"{place}: $.extends: a cycle: {names}; let one of them extend nothing")
    if len(seen) >= MAX_EXTENDS:
        raise UsageError(f"{place}: $.extends: more than {MAX_EXTENDS} profiles deep; refused")
    raw = strict_yaml.read(path)
    if not isinstance(raw, dict):
        raise UsageError(f"{place}: $: expected the keys of a device profile ({SCHEMA})")
    if raw.get("schema") != SCHEMA:
        raise UsageError(f"{place}: $.schema: expected {SCHEMA}, got {printable(repr(raw.get('schema')), 60)}")
    try:
        own = stated(raw)
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from None
    base = raw.get("extends")
    if base is None or base == "":
        return dict(own)
    if not isinstance(base, str):
        raise UsageError(f"{place}: $.extends: expected the name of a profile, got {printable(repr(base), 60)}")
    try:
        under = locate(base, path)
    except UsageError as error:
        raise UsageError(f"{place}: $.extends: {error}") from None
    base_document = _document(under, locate, (*seen, here))
    try:
        return merged(base_document, own)
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from None
