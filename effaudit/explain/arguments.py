"""Arguments as people write them: `1x64x56x56`, `Bx3x224x224:float16`, `[1,64,-1]`, `3`, `yes` -> shapes and values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isinf
from typing import Any, Final

from effaudit import dims
from effaudit.dims import Dim
from effaudit.errors import UsageError
from effaudit.explain.call import Operand
from effaudit.graph import BOOL, DOUBLE, ENCODINGS, FLOAT, FLOAT16, Encoding, Shape
from effaudit.printable import printable
from effaudit.units import parse_count

MAX_SIZE: Final = 2**53  # the largest size of one dim
MAX_LENGTH: Final = 500  # characters of one argument
DTYPES: Final[Mapping[str, Encoding]] = {
    **{encoding.dtype: encoding for encoding in ENCODINGS.values() if encoding.bits},
    "fp32": FLOAT,
    "float": FLOAT,
    "fp16": FLOAT16,
    "half": FLOAT16,
    "bf16": ENCODINGS[16],
    "fp64": DOUBLE,
    "double": DOUBLE,
    "fp8": ENCODINGS[17],
    "fp4": ENCODINGS[23],
    "bool": BOOL,
}
WEIGHT: Final = "weight"
INPUT: Final = "input"
VALUE: Final = "value"
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?")
_YES: Final = frozenset("yes true on 1".split())
_NO: Final = frozenset("no false off 0 none".split())


def shape_of(text: str, what: str) -> Shape:
    """`1x64x56x56`, `B,3,H,W` or `scalar`: numbers and names of open dims. Raises UsageError naming `what`."""
    _check_length(text, what)
    text = text.strip().strip("()[]").strip()
    if text in ("", "scalar"):
        return ()
    parts = text.split(",") if "," in text else re.split(r"[x*]", text)
    return tuple(size_of(part, what) for part in parts)


def size_of(text: str, what: str) -> Dim:
    """A number (`64`, `16k`), or the name of an open dim."""
    text = text.strip()
    if re.fullmatch(r"[A-Za-z_]\w{0,60}", text):
        return dims.symbol(text)
    if not text:
        raise UsageError(f"{what}: a size is missing; write it like 64 or 1x64x56x56")
    size = parse_count(text, what)
    if size > MAX_SIZE:
        raise UsageError(f"{what}: {printable(text, 40)} is too large for a dim")
    return size


def whole(text: str, what: str) -> int:
    """A whole number of 0 or more."""
    size = size_of(text, what)
    if not isinstance(size, int):
        raise UsageError(f"{what}: {printable(text, 40)!r} is no number; this one must be")
    return size


def flag(text: str, what: str) -> bool:
    """yes or no."""
    word = text.strip().lower()
    if word not in _YES | _NO:
        raise UsageError(f"{what}: expected yes or no, not {printable(text, 40)!r}")
    return word in _YES


def dtype_of(text: str, what: str) -> Encoding:
    """An element type by its name (`int8`, `float16`, `fp16`)."""
    found = DTYPES.get(text.strip().lower())
    if found is None:
        raise UsageError(f"{what}: {printable(text, 40)!r} is no element type; such as float32, float16, int8, int4")
    return found


def operand(text: str, what: str, default: Operand) -> tuple[Operand, bool]:
    """An input, and whether its element type was stated: `1x64x56x56`, `1x64:int8`, `512x512:weight`, `[1,64,-1]`
    (values) or `5:value` (a scalar's value).

    It has the element type and the role of `default` unless a suffix says otherwise. Raises UsageError.
    """
    _check_length(text, what)
    body, *suffixes = text.split(":")
    body, scalar, typed = body.strip(), False, False
    encoding, weight = default.encoding, default.weight
    for suffix in (s.strip().lower() for s in suffixes):
        if suffix in (WEIGHT, INPUT):
            weight = suffix == WEIGHT
        elif suffix == VALUE:
            scalar = True
        else:
            encoding, typed = dtype_of(suffix, what), True
    if not scalar and not body.startswith("["):
        return Operand(encoding, shape_of(body, what), weight), typed
    values = numbers(body, what)
    return Operand(encoding, () if scalar else (len(values),), False, values[:1] if scalar else values), typed


def values(text: str, what: str, encoding: Encoding, *, scalar: bool) -> Operand:
    """An input given by its values alone: `6x4`, `0,-1`, `5`. Raises UsageError."""
    _check_length(text, what)
    parts = _parts(text.strip().strip("()"))
    if not parts or not all(map(_NUMBER.fullmatch, parts)) or (scalar and len(parts) > 1):
        example, unknown = ("5", "scalar:int64") if scalar else ("6x4", "2:int64")
        raise UsageError(
            f"{what}: expected {'its value' if scalar else 'its values'}, such as {what}={example}; "
            f"{what}={unknown} is one whose values are not known"
        )
    found = tuple(number(part, what) for part in parts)
    return Operand(encoding, () if scalar else (len(found),), False, found)


def numbers(text: str, what: str) -> tuple[int | float, ...]:
    """`[1,64,-1]` -> (1, 64, -1)."""
    parts = [part for part in re.split(r"[,\s]+", text.strip().strip("[]()")) if part]
    return tuple(number(part, what) for part in parts)


def number(text: str, what: str) -> int | float:
    """A number with a sign, whole or not."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None or len(text) > 40:
        raise UsageError(f"{what}: {printable(text, 40)!r} is no number")
    found = int(text) if match[1] is None and match[2] is None else float(text)
    if abs(found) >= 2**63 and (isinstance(found, int) or isinf(found)):
        raise UsageError(f"{what}: {printable(text, 40)} is too large")
    return found


def attribute(text: str, what: str, types: tuple[type, ...]) -> Any:
    """An attribute of the types its rule states: `2`, `1,1`, `3x3`, `SAME_UPPER`."""
    _check_length(text, what)
    if types and types[0] is tuple:
        if str in types:
            return tuple(part.strip() for part in text.strip("[]").split(","))
        return tuple(number(part, what) for part in _parts(text.strip().strip("[]()")))
    if str in types or (not types and not _NUMBER.fullmatch(text.strip())):
        return text
    found = number(text, what)
    if types == (int,) and not isinstance(found, int):
        raise UsageError(f"{what}: {printable(text, 40)} is no whole number")
    return found


def _parts(text: str) -> list[str]:
    """`3x3`, `1,1` -> what stands between the signs."""
    return [part.strip() for part in re.split(r"[x,*]", text) if part.strip()]


def _check_length(text: str, what: str) -> None:
    if len(text) > MAX_LENGTH:
        raise UsageError(f"{what}: longer than {MAX_LENGTH} characters")
