"""Numbers of the calculator: exact where they can be, always bounded, and how they are written."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final

from effaudit.errors import UsageError

Number = int | Fraction | float
Scalar = int | Fraction | float | bool | str
Quantity = Scalar | tuple[Number, ...]


class Listed(tuple[Number, ...]):
    """Numbers side by side, such as logits; other vectors are sizes with one number per axis."""


MAX_BITS: Final = 4096  # of a whole number, a numerator or a denominator
MAX_AXES: Final = 1000  # numbers in one argument
SHOWN_AXES: Final = 16
SHOWN_DIGITS: Final = 40


def bounded(value: Quantity) -> Quantity:
    """The value, a whole fraction as an int. Raises UsageError for infinities, NaN and numbers past `MAX_BITS`."""
    if isinstance(value, tuple):
        return tuple(_bounded(item) for item in value)
    if isinstance(value, (bool, str)):
        return value
    return _bounded(value)


def _bounded(value: Number) -> Number:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UsageError("the result is too large to calculate or not a number")
        return value
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise UsageError(f"a number of more than {MAX_BITS} bits: too large to calculate")
    return value.numerator if value.denominator == 1 else value


def plain(value: Quantity) -> int | float | str | bool:
    """A value as an answer holds it: fractions as the nearest float, vectors as `56x56`."""
    if isinstance(value, tuple):
        return shown(value)
    if isinstance(value, Fraction):
        try:
            return float(value)
        except OverflowError:
            raise UsageError("the result is too large to write as a decimal") from None
    return value


def shown(value: Quantity) -> str:
    """A value as text: 231,211,008; 0.03137; 56x56; yes."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return _vector(value)
    if isinstance(value, int):
        return _integer(value)
    return _decimal(value)


def _integer(value: int) -> str:
    """In full up to `SHOWN_DIGITS`, then its first twelve digits."""
    digits = str(abs(value))
    if len(digits) > SHOWN_DIGITS:
        return f"{'-' if value < 0 else ''}{digits[0]}.{digits[1:12]}e+{len(digits) - 1}"
    return f"{value:,}" if len(digits) > 4 else str(value)


def _vector(value: tuple[Number, ...]) -> str:
    sign = "x" if not isinstance(value, Listed) and all(isinstance(item, int) and item >= 0 for item in value) else ", "
    texts = [shown(item).replace(",", "") for item in value[:SHOWN_AXES]]
    more = f"{sign}... ({len(value)} numbers)" if len(value) > SHOWN_AXES else ""
    return sign.join(texts) + more if sign == "x" else f"({sign.join(texts)}{more})"


def _decimal(value: Fraction | float) -> str:
    """Up to twelve digits; in scientific notation where a plain decimal would mislead."""
    number = float(plain(value))
    if isinstance(value, Fraction) and abs(number) >= 1 and number.is_integer():
        return f"{number:,.1f}"
    text = f"{number:.12g}"
    whole, point, fraction = text.partition(".")
    if "e" in text or len(whole) < 5:
        return text
    return f"{int(whole):,}{point}{fraction}"
