"""A published number as written -> the whole numbers it can stand for.

The digits given are the precision: "3.8G" is 3,750,000,000 to 3,850,000,000, "25.557032M" is exact. Publications also
cut digits off, end in zeros that are no digits ("110M") and write MB where they count in MiB: weaker readings, kept
apart.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from effaudit.errors import UsageError
from effaudit.printable import printable

COMPUTE: Final = "compute"
PARAMS: Final = "params"
BYTES: Final = "bytes"
ELEMENTS: Final = "elements"
ROUNDED: Final = "rounded"
CUT: Final = "cut off"
COARSE: Final = "rounded to one digit less"

_DECIMAL: Final = {"k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9, "t": 10**12, "p": 10**15}
_WRITTEN_OUT: Final = {"thousand": "k", "million": "m", "mn": "m", "billion": "g", "bn": "g", "trillion": "t"}
_COUNTS: Final = {
    COMPUTE: "mac macs madd madds multadds multiplyadds flop flops op ops".split(),
    PARAMS: "param params parameter parameters weight weights".split(),
    BYTES: "b byte bytes".split(),
}
_WORDS: Final = {word: counts for counts, words in _COUNTS.items() for word in words}
_NUMBER: Final = re.compile(
    r"[~≈]?\s*([0-9]{1,3}(?:[,_][0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?)(?:[eE]\+?([0-9]{1,2}))?\s*([A-Za-z\- ]*)"
)
MAX_LENGTH: Final = 60


class Reading(msgspec.Struct, frozen=True):
    """One way to read the digits: any whole number from `low` to `high`, both included; `how` says which way."""

    low: int
    high: int
    how: str

    def holds(self, value: int) -> bool:
        return self.low <= value <= self.high


class Figure(msgspec.Struct, frozen=True):
    """A published number: as written, its nominal value, what its unit says it counts ("" where it does not say),
    whether the unit is floating-point operations, and its readings, the strictest first."""

    text: str
    value: int
    counts: str
    flops: bool
    readings: tuple[Reading, ...]

    @property
    def strict(self) -> tuple[Reading, ...]:
        """The readings that take every digit as meant."""
        return tuple(r for r in self.readings if r.how.startswith(ROUNDED) and not r.how.startswith(COARSE))


def parse(text: str) -> Figure:
    """A figure such as "3.8G", "4.1 GFLOPs", "25.6M", "98MB", "16.8 GiB", "1.1e9" or "724,406,816 MACs".

    Raises UsageError where it is no number with a known unit, or where no whole number has these digits.
    """
    match = _NUMBER.fullmatch(text.strip()) if len(text) <= MAX_LENGTH else None
    unit = _unit(match.group(3)) if match else None
    if match is None or unit is None:
        raise UsageError(
            f"a published figure: {printable(text, 40)!r} is no number; write it like 3.8G, 4.1 GFLOPs, 25.6M, 98MB or "
            "724406816 MACs, or give the name of an architecture"
        )
    factor, counts, binary = unit
    whole, _, fraction = re.sub("[,_]", "", match.group(1)).partition(".")
    power = int(match.group(2) or 0)
    mantissa, divisor = int(whole + fraction), 10 ** len(fraction)
    scales = [(factor * 10**power, ROUNDED)]
    if binary:
        scales.append((binary, f"{ROUNDED}; MB, kB and GB written for MiB, KiB and GiB"))
    readings = [_rounded(mantissa, scale, divisor, how) for scale, how in scales]
    if counts != BYTES and (scales[0][0] > 1 or fraction):
        readings += _loose(mantissa, scales[0][0], divisor)
    if all(r.low > r.high for r in readings):
        raise UsageError(
            f"a published figure: no whole number is written {printable(text, 40)!r}; give its unit (M, G)"
        )
    value = (2 * mantissa * scales[0][0] + divisor) // (2 * divisor)
    flops = counts == COMPUTE and "flop" in match.group(3).lower()
    return Figure(text.strip(), value, counts, flops, tuple(r for r in readings if r.low <= r.high))


def _rounded(mantissa: int, scale: int, divisor: int, how: str) -> Reading:
    """The whole numbers that round to the digits, either way at a half."""
    return Reading(-((1 - 2 * mantissa) * scale // (2 * divisor)), (2 * mantissa + 1) * scale // (2 * divisor), how)


def _loose(mantissa: int, scale: int, divisor: int) -> list[Reading]:
    """Digits cut off instead of rounded; a last zero that is no digit."""
    first, after = -(-mantissa * scale // divisor), -(-(mantissa + 1) * scale // divisor)
    found = [Reading(first, after - 1, CUT)]
    if divisor == 1 and mantissa >= 10 and mantissa % 10 == 0:
        found.append(_rounded(mantissa // 10, scale * 10, 1, COARSE))
    return found


def _unit(text: str) -> tuple[int, str, int] | None:
    """(factor, what it counts, the binary factor of a decimal byte unit or 0); None where it is no unit."""
    words = text.lower().replace("-", "").split()
    joined = "".join(words)
    for name, letter in _WRITTEN_OUT.items():
        if joined.startswith(name):
            joined = letter + joined[len(name) :]
            break
    if joined in ("", *_DECIMAL):
        return _DECIMAL.get(joined, 1), "", 0
    if joined in _WORDS:
        return 1, _WORDS[joined], 0
    letter, rest = joined[0], joined[1:]
    if letter not in _DECIMAL:
        return None
    step = (len(str(_DECIMAL[letter])) - 1) // 3
    if rest.startswith("i") and letter != "b":
        return (1024**step, _WORDS.get(rest[1:] or "b", ""), 0) if rest in ("i", "ib", "ibyte", "ibytes") else None
    if rest not in _WORDS:
        return None
    counts = _WORDS[rest]
    return _DECIMAL[letter], counts, 1024**step if counts == BYTES else 0
