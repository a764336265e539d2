"""The text of a what-if's option: words and `key=value`, separated by commas."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

import msgspec

from effaudit.errors import UsageError
from effaudit.nearest import did_you_mean


def words_of(text: str, option: str) -> tuple[list[str], dict[str, str]]:
    """`int8,clip=mse` -> (["int8"], {"clip": "mse"}). Raises UsageError for an empty text and a key given twice."""
    words: list[str] = []
    pairs: dict[str, str] = {}
    for part in (part.strip() for part in text.split(",")):
        key, sign, value = part.partition("=")
        if not part or (sign and not (key and value)):
            raise UsageError(f"{option} {text!r}: expected words and key=value, separated by commas")
        if not sign:
            words.append(part)
        elif key in pairs:
            raise UsageError(f"{option} {text!r}: {key} is given twice")
        else:
            pairs[key] = value
    return words, pairs


def only(pairs: Mapping[str, object], allowed: tuple[str, ...], option: str) -> None:
    """Raises UsageError for a key that the option does not have."""
    for key in pairs:
        if key not in allowed:
            hint = did_you_mean(key, allowed)
            raise UsageError(f"{option}: {key!r} is not one of {', '.join(allowed)}{hint}")


def share(text: str, what: str) -> Fraction:
    """`30%` or `0.3` -> 3/10. Raises UsageError outside 0..1."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(%?)", text.strip())
    if match is None or len(text) > 40:
        raise UsageError(f"{what} {text!r}: expected a share such as 30% or 0.3")
    found = Fraction(match[1]) / (100 if match[2] else 1)
    if found > 1:
        raise UsageError(f"{what} {text!r}: more than all of it; a share such as 30% or 0.3")
    return found


def whole(text: str, what: str, least: int = 1) -> int:
    """A whole number. Raises UsageError below `least`."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 18 or int(text) < least:
        raise UsageError(f"{what} {text!r}: expected a whole number from {least}")
    return int(text)


def written(arguments: msgspec.Struct) -> str:
    """`key=value` for every field that is set, by commas."""
    return ",".join(f"{key}={value}" for key in arguments.__struct_fields__ if (value := getattr(arguments, key)))
