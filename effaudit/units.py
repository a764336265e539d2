"""Numbers as people write and read them: "60M", "512KiB", "1.5 k" <-> integers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from effaudit.errors import UsageError
from effaudit.printable import printable

_DECIMAL: Final = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12}
_BINARY: Final = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_NUMBER: Final = r"([0-9][0-9_]*(?:\.[0-9]+)?)\s*([kKMGBT]|[KMGT]i)?"
MAX_DIGITS: Final = 40
MAX_FIGURE: Final = 2**900  # the largest count that is followed: sums and ratios of such still fit a float


def parse_count(text: str, what: str) -> int:
    """A whole number with an optional suffix. Raises UsageError naming `what`."""
    match = re.fullmatch(_NUMBER, text.strip())
    if match is None or len(match.group(1)) > MAX_DIGITS:
        raise UsageError(f"{what}: {printable(text, 40)!r} is no number; write it like 1, 224, 16k or 4Ki")
    digits, suffix = match.group(1).replace("_", ""), match.group(2) or ""
    factor = _BINARY.get(suffix) or _DECIMAL[suffix]
    whole, _, fraction = digits.partition(".")
    scaled = int(whole + fraction) * factor
    divisor = 10 ** len(fraction)
    if scaled % divisor:
        raise UsageError(f"{what}: {text!r} is not a whole number")
    return int(scaled // divisor)


def human(number: int, digits: int = 4) -> str:
    """A count with a decimal suffix: 12,501,632 -> "12.50 M"."""
    return _suffixed(number, 1000, ("", "k", "M", "G", "T"), digits)


def human_bytes(number: int, digits: int = 4) -> str:
    """Bytes with a binary suffix: 196,608 -> "192.0 KiB"."""
    return _suffixed(number, 1024, ("B", "KiB", "MiB", "GiB", "TiB"), digits)


def _suffixed(number: int, base: int, suffixes: Sequence[str], digits: int) -> str:
    """In the unit in which it is less than `base` as it is shown: 999,990 is 1.000 M, not 1,000 k."""
    for power, suffix in enumerate(suffixes):
        text = rounded(number / base**power, digits) if power else str(number)
        fits = abs(number) < base ** (power + 1) and abs(float(text.replace(",", ""))) < base
        if fits or suffix == suffixes[-1]:
            return f"{text} {suffix}".rstrip()
    raise ValueError("no suffixes")


def rounded(value: float, digits: int) -> str:
    """A number with so many significant digits, all of them before the point."""
    whole = len(str(int(abs(value))))
    return f"{value:,.{max(digits - whole, 0)}f}"


_SCALES: Final = {"": 1.0, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9}
_MEASURE: Final = r"([0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)\s*([nuµμmkMG])"


def parse_measure(text: str, unit: str, what: str) -> float:
    """A number with a decimal prefix and a unit ("100ms" of "s", "5mJ" of "J"); one without any is in the unit itself.
    Raises UsageError naming `what`."""
    match = re.fullmatch(_MEASURE + rf"?(?:{unit})?", text.strip())
    if match is None or len(match[1]) > MAX_DIGITS:
        raise UsageError(f"{what}: {printable(text, 40)!r}: expected a number of {unit}, such as 100m{unit} or 2{unit}")
    return float(match[1]) * _SCALES[match[2] or ""]


def parse_bytes(text: str, what: str) -> int:
    """Bytes: "96KiB", "1.5 MB", "4096". Raises UsageError naming `what`."""
    plain = text.strip()
    return parse_count(plain.removesuffix("B") if plain[:-1] and plain[-1:] == "B" else plain, what)


def human_measure(value: float, unit: str, digits: int = 3) -> str:
    """A measure with a decimal prefix: 0.0123 s -> "12.3 ms"."""
    if value == 0:
        return f"0 {unit}"
    for prefix, scale in (
        ("T", 1e12),
        ("G", 1e9),
        ("M", 1e6),
        ("k", 1e3),
        ("", 1.0),
        ("m", 1e-3),
        ("µ", 1e-6),
        ("n", 1e-9),
    ):
        if abs(value) >= scale * (1 - 0.5 * 10.0**-digits):
            return f"{rounded(value / scale, digits)} {prefix}{unit}"
    return f"{value:.{digits}g} {unit}"
