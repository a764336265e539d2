"""Numbers of a profile for people: with their unit, their status and the source that says so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from effaudit.device.types import Fact
from effaudit.printable import printable
from effaudit.units import human_bytes, rounded

Piece: TypeAlias = tuple[str, Fact | None]  # words, and the number they show

_PREFIXES: Final = (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0))
_SMALL: Final = (("", 1.0), ("m", 1e-3), ("u", 1e-6), ("n", 1e-9))
_SCALED: Final = ("B/s", "FLOP/s", "op/s", "Hz", "MAC/s")
_WITH_PREFIX: Final = (*_SCALED, "B", "s")


def amount(fact: Fact) -> str:
    """The number with its unit; its range behind it where it has one."""
    unit = "" if fact.unit == "1" else fact.unit
    if fact.value is None and fact.low is None and fact.high is None:
        return "unknown"
    if fact.value is None:
        low = "0" if fact.low is None else quantity(fact.low, unit)
        return f"{low} or more" if fact.high is None else f"{low}..{quantity(fact.high, unit)}"
    if fact.low is None and fact.high is None:
        return quantity(fact.value, unit)
    once = unit not in _WITH_PREFIX  # then the unit stands behind the range
    words, low, high = (
        "" if value is None else quantity(value, "" if once else unit) for value in (fact.value, fact.low, fact.high)
    )
    span = f"{low}..{high}" if low and high else f"at least {low}" if low else f"at most {high}"
    return f"{words} ({span}){f' {unit}' if once and unit else ''}"


def quantity(value: float, unit: str) -> str:
    """A number in a unit: bytes in KiB and the like, rates with a decimal prefix, seconds down to ns."""
    if unit == "B":
        return human_bytes(int(value))
    if unit in _SCALED:
        return _prefixed(value, unit, _PREFIXES)
    if unit == "s":
        return _prefixed(value, unit, _SMALL)
    return f"{_digits(value)} {unit}".rstrip()


def _prefixed(value: float, unit: str, prefixes: tuple[tuple[str, float], ...]) -> str:
    prefix, factor = next((p for p in prefixes if abs(value) >= p[1]), prefixes[-1])
    if not value:
        prefix, factor = "", 1.0
    return f"{_digits(value / factor)} {prefix}{unit}"


def _digits(value: float) -> str:
    """Four digits, without zeros behind the point; more where they stand before it."""
    if value and not 1e-4 <= abs(value) < 1e12:
        return f"{value:.4g}"
    text = rounded(value, 4) if abs(value) >= 1 else f"{value:.4g}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def tagged(pieces: Iterable[Piece]) -> str:
    """Words one after another; a tag holds for what stands before it, back to the tag before:
    `480 MHz, 1 core [vendor datasheet]; 2 MAC/cycle [derived arm]`."""
    text, open_tag = "", ""
    for words, fact in pieces:
        tag = open_tag if fact is None else f"[{fact.status} {printable(fact.source, 40)}]"
        if open_tag and tag != open_tag:
            text += f" {open_tag}; {words}"
        else:
            text += f", {words}" if text else words
        open_tag = tag
    return f"{text} {open_tag}".rstrip()


def sources(value: object) -> set[str]:
    """The keys of the sources of every number in a part of a profile."""
    from effaudit.device.validate import inside

    return {fact.source for _, fact in inside("", value)}
