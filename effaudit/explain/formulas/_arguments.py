"""Arguments as people write them: 4096, 56x56, 7G, 16KiB, 100ms, 70%, int8, 64*256."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

from effaudit.errors import UsageError
from effaudit.explain.formulas._expression import evaluate
from effaudit.explain.formulas._model import KINDS, VECTORS, Parameter
from effaudit.explain.formulas._numbers import MAX_AXES, Listed, Number, Quantity
from effaudit.printable import printable

MAX_LENGTH: Final = 200  # characters of one number
MAX_DIGITS: Final = 40
MAX_EXPONENT: Final = 30
_NUMBER: Final = re.compile(r"([+-]?)([0-9][0-9_]*|(?=\.))(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]{1,3}))?\s*([A-Za-zµ%/]*)")
_TERM: Final = re.compile(r"[0-9.][0-9._]*(?:[eE][+-]?[0-9]+)?[A-Za-zµ%]*")
_SIGNS: Final = frozenset("+-*/() ")
_DECIMAL: Final = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12, "P": 10**15}
_BINARY: Final = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_BYTES: Final = (
    {"": Fraction(1), "B": Fraction(1), "byte": Fraction(1), "bytes": Fraction(1)}
    | {f"{prefix}B": Fraction(factor) for prefix, factor in (_DECIMAL | _BINARY).items() if prefix not in ("", "B")}
    | {prefix: Fraction(factor) for prefix, factor in (_DECIMAL | _BINARY).items() if prefix not in ("", "B")}
)
_SECONDS: Final = {
    "": Fraction(1),
    "s": Fraction(1),
    "ms": Fraction(1, 10**3),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),
    "ns": Fraction(1, 10**9),
    "min": Fraction(60),
    "h": Fraction(3600),
}
_RATES: Final = ("FLOPS", "FLOP/s", "FLOPs/s", "OPS", "OP/s", "MAC/s", "MACs/s", "MACS", "/s", "")
_FLAGS: Final = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_TYPE: Final = re.compile(r"(?:u?int|fp|float|bf|bfloat|nf|w)([0-9]{1,3})(?:e[0-9]m[0-9].*)?|(double)|(half)|(bool)")


def parse(parameter: Parameter, text: str) -> Quantity:
    """The value of an argument. Raises UsageError naming the argument and what it takes."""
    try:
        value = _parsed(parameter, text.strip())
    except UsageError as error:
        raise UsageError(f"{parameter.name}={printable(text, 40)}: {error}") from None
    if value is None:
        choices = f": {', '.join(parameter.choices)}" if parameter.choices else ""
        expected = f"{parameter.about}, {KINDS[parameter.kind]}{choices}"
        raise UsageError(f"{parameter.name}={printable(text, 40)} is not possible; it takes {expected}")
    return value


def _parsed(parameter: Parameter, text: str) -> Quantity | None:
    kind = parameter.kind
    if kind == "flag":
        return _FLAGS.get(text.lower())
    if kind == "choice":
        return text.lower() if text.lower() in parameter.choices else None
    if kind in VECTORS:
        return _vector(kind, text)
    if kind == "bits" and (named := _TYPE.fullmatch(text.lower())):
        bits = int(named[1]) if named[1] else 64 if named[2] else 16 if named[3] else 8
        return bits or None
    return _fitting(kind, _number(text, kind))


def _vector(kind: str, text: str) -> Quantity | None:
    parts = re.split(r"[,;\s]+" if kind == "reals" or "," in text else "[xX×]", text.strip("[]() ,"))
    if len(parts) > MAX_AXES:
        return None
    scalar = {"counts": "count", "wholes": "whole", "reals": "real"}[kind]
    found = [_fitting(scalar, _number(part, scalar)) for part in parts]
    numbers = tuple(value for value in found if value is not None)
    if len(numbers) < len(parts):
        return None
    if kind == "reals":
        return Listed(numbers)
    return numbers if len(numbers) > 1 else numbers[0]


def _fitting(kind: str, value: Number | None) -> Number | None:
    """The value where its kind allows it."""
    if value is None:
        return None
    allowed = {
        "count": isinstance(value, int) and value >= 1,
        "whole": isinstance(value, int) and value >= 0,
        "share": 0 <= value <= 1,
        "positive": value > 0,
        "bits": value > 0,
        "bytes": value >= 0,
        "seconds": value >= 0,
    }
    return value if allowed.get(kind, True) else None


def _number(text: str, kind: str) -> Number | None:
    """An exact number with its suffix, or None."""
    if len(text) > MAX_LENGTH:
        return None
    match = _NUMBER.fullmatch(text)
    if match is None:
        return _calculated(text, kind)
    sign, whole, fraction, exponent, suffix = match.groups(default="")
    digits = (whole + fraction).replace("_", "")
    factor = _factor(suffix, kind)
    power = int(exponent or "0")
    if not digits or len(digits) > MAX_DIGITS or abs(power) > MAX_EXPONENT or factor is None:
        return None
    value = Fraction(int(sign + digits)) * Fraction(10) ** (power - len(fraction)) * factor
    return value.numerator if value.denominator == 1 else value


def _calculated(text: str, kind: str) -> Number | None:
    """Plain arithmetic over numbers with their suffixes, such as 64*256 or 7G*0.5."""
    terms = _TERM.findall(text)
    values = [_number(term, kind) if _NUMBER.fullmatch(term) else None for term in terms]
    if not terms or not set(_TERM.sub("", text)) <= _SIGNS or None in values:
        return None
    numbers = iter(range(len(values)))
    expression = _TERM.sub(lambda _: f" n{next(numbers)} ", text)
    value = evaluate(expression.strip(), {f"n{i}": number for i, number in enumerate(values) if number is not None})
    return None if isinstance(value, (bool, str, tuple)) else value


def _factor(suffix: str, kind: str) -> Fraction | None:
    if kind == "bytes":
        return _BYTES.get(suffix.removesuffix("/s"))
    if kind == "seconds":
        return _SECONDS.get(suffix)
    if kind == "share" and suffix == "%":
        return Fraction(1, 100)
    if kind == "bits":
        suffix = suffix.removesuffix("bits").removesuffix("bit")
    for rate in _RATES if kind == "positive" else ("",):
        scale = (_DECIMAL | _BINARY).get(suffix.removesuffix(rate))
        if scale is not None and suffix.endswith(rate):
            return Fraction(scale)
    return None
