"""A file of what-ifs: `schema: effaudit.steps/1`, and under `steps` one what-if each, in the order they are made."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import Any, Final

import msgspec

from effaudit import strict_yaml
from effaudit.errors import UsageError
from effaudit.nearest import did_you_mean
from effaudit.printable import printable
from effaudit.schema_errors import explained
from effaudit.whatif import NAMES, find, parse
from effaudit.whatif.spec import share
from effaudit.whatif.types import SCHEMA, Step

MAX_STEPS: Final = 1000


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`steps` are objects of one key, a what-if's name; its value is the arguments, or the text of its option."""

    schema: str
    steps: list[dict[str, Any]]


def read_steps(path: str | os.PathLike[str]) -> tuple[Step, ...]:
    """The steps of a file. Raises UsageError, one line `FILE: $.steps[1].prune: what was expected`."""
    path = os.fspath(path)
    found = strict_yaml.decode(path, _File)
    file = printable(path)
    if found.schema != SCHEMA:
        raise UsageError(f"{file}: $.schema: expected {SCHEMA}, got {printable(repr(found.schema), 60)}")
    if not 0 < len(found.steps) <= MAX_STEPS:
        raise UsageError(f"{file}: $.steps: expected 1 to {MAX_STEPS} what-ifs, got {len(found.steps)}")
    return tuple(_step(one, file, f"$.steps[{i}]") for i, one in enumerate(found.steps))


def _step(one: dict[str, Any], file: str, place: str) -> Step:
    """The step of an object. Raises UsageError."""
    if len(one) != 1:
        raise UsageError(f"{file}: {place}: expected one what-if, such as prune: channels=30%, got {len(one)} keys")
    ((name, written),) = one.items()
    if name not in NAMES:
        said = f"{printable(repr(name), 60)} is no what-if: expected one of {', '.join(NAMES)}"
        raise UsageError(f"{file}: {place}: {said}{did_you_mean(name, NAMES)}")
    place = f"{place}.{name}"
    if not isinstance(written, str | dict):
        raise UsageError(f"{file}: {place}: expected the text of its option, or its arguments as keys and values")
    try:
        return parse(name, written if isinstance(written, str) else _text(name, written))
    except msgspec.ValidationError as error:
        said = explained(error, written, find(name).Arguments)
        raise UsageError(f"{file}: {said.replace('$', place, 1)}") from None
    except UsageError as error:
        raise UsageError(f"{file}: {place}: {error}") from None


def _text(name: str, written: object) -> str:
    """The text of the option for arguments given as an object: what it refuses is refused of both. Raises
    ValidationError."""
    module = find(name)
    return module.text(msgspec.convert(written, module.Arguments, strict=True, str_keys=True, dec_hook=_share))


def _share(kind: type, value: object) -> object:
    """A share is a number, or the text of one: 0.3, "30%"."""
    if kind is Fraction and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return share(str(value), "share")
        except UsageError as error:
            raise ValueError(str(error)) from None
    raise ValueError(f"expected {'a share such as 30%' if kind is Fraction else kind.__name__}")
