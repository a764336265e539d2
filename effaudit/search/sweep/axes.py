"""What an option of a sweep varies: lists and ranges.

A comma separates values, `from:to:step` is a range and `from:to:xN` one that multiplies. A what-if has words and keys:
`int8,int4` are two alternatives, `channels=0%,25%,criterion=l1,l2` four, one for each combination. A semicolon
separates alternatives that are whole: `int8,clip=mse;int4,block=32`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import product
from typing import Final

from effaudit.errors import UsageError
from effaudit.printable import printable
from effaudit.search.sweep.types import Axis
from effaudit.whatif import parse

MOST_VALUES: Final = 1000  # of one axis
NONE: Final = "none"
# Words that leave a what-if out, beside "none".
AS_IT_IS: Final = {"quantize": ("fp32", "float32")}
_NUMBER: Final = r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)([a-zA-Z%]*)"
_RANGE: Final = re.compile(rf"{_NUMBER}:{_NUMBER}:(x?){_NUMBER}")
_DIGITS: Final = 20


def listed(text: str, what: str) -> list[str]:
    """The values of one item: itself, or those of its range, with the unit of its ends. Raises UsageError."""
    match = _RANGE.fullmatch(text)
    if match is None:
        return [text]
    first, unit, last, same, times, step, other = match.groups()
    if max(map(len, (first, last, step))) > _DIGITS:
        raise UsageError(f"{what} {printable(text, 60)!r}: a number of more than {_DIGITS} digits")
    value, end, by = Fraction(first), Fraction(last), Fraction(step)
    if same != unit or (other not in ("", unit)) or (times and other):
        raise UsageError(f"{what} {text!r}: a range has one unit, as in 64KiB:512KiB:x2 or 0%:50%:10%")
    if end < value or (by <= 1 or not value if times else by <= 0):
        raise UsageError(f"{what} {text!r}: expected from:to:step, or from:to:xN such as 128:8192:x2")
    found: list[str] = []
    while value <= end:
        if len(found) == MOST_VALUES:
            raise UsageError(f"{what} {text!r}: more than {MOST_VALUES:,} values; take a larger step")
        found.append(f"{_written(value)}{unit}")
        value = value * by if times else value + by
    return found


def _written(value: Fraction) -> str:
    """As a decimal: steps of decimals stay decimals; of other factors, six digits."""
    if value.denominator == 1:
        return str(value.numerator)
    return f"{float(value):.6f}".rstrip("0").rstrip(".")


def named(options: Iterable[str], what: str) -> tuple[Axis, ...]:
    """`["seq=128:512:x2,batch=1,4", "seq=1"]` -> an axis for each name. Raises UsageError."""
    found: dict[str, list[str]] = {}
    for option in options:
        name = ""
        for item in option.split(","):
            before, sign, value = item.rpartition("=")
            name = before.strip() if sign else name
            if not name or not value.strip():
                raise UsageError(f"--{what} {option!r}: expected NAME=VALUE,... or NAME=from:to:step")
            found.setdefault(name, []).extend(listed(value.strip(), f"--{what} {name}"))
    return tuple(_axis(f"{what} {name}", values) for name, values in found.items())


def whole(options: Sequence[str], what: str, split: str = ",") -> tuple[Axis, ...]:
    """An axis of plain values; none where nothing is given."""
    values = [item.strip() for option in options for item in option.split(split) if item.strip()]
    return (_axis(what, values),) if values else ()


def what_if(name: str, options: Sequence[str]) -> Axis:
    """The alternatives of a what-if, each one that it understands. Raises UsageError."""
    found = [_known(name, one) for option in options for one in _alternatives(option, f"--{name}")]
    if not found:
        raise UsageError(f"--{name} {' '.join(options)!r}: expected values, separated by commas or semicolons")
    return _axis(name, found)


def _known(name: str, text: str) -> str:
    if text == NONE or text in AS_IT_IS.get(name, ()):
        return NONE
    parse(name, text)
    return text


def _alternatives(option: str, what: str) -> list[str]:
    if ";" in option:
        return [made for text in option.split(";") if text.strip() for made in _combined(text, what, apart=False)]
    return _combined(option, what, apart=True)


def _combined(text: str, what: str, *, apart: bool) -> list[str]:
    """Every combination of a word and a value of each key; not `apart`, words and values belong together, and only
    ranges vary."""
    words: list[str] = []
    keys: dict[str, list[str]] = {}
    name = ""
    for item in (part.strip() for part in text.split(",")):
        key, sign, value = item.partition("=")
        name = key if sign else name
        if not sign and (not name or not apart):
            words.append(item)
        else:
            keys.setdefault(name, []).extend(listed(value if sign else item, what))
    spread = [[f"{key}={value}" for value in values] for key, values in keys.items()]
    heads = words if apart else [",".join(words)]
    if apart and NONE in words:
        return [NONE, *(_combined(_without(text), what, apart=True) if words != [NONE] or keys else [])]
    return [",".join(filter(None, (head, *tail))) for head in heads or [""] for tail in _every(spread, what)]


def _without(text: str) -> str:
    return ",".join(item for item in text.split(",") if item.strip() != NONE)


def _every(spread: Sequence[Sequence[str]], what: str) -> Iterable[tuple[str, ...]]:
    count = 1
    for values in spread:
        count *= len(values)
    if count > MOST_VALUES:
        raise UsageError(f"{what}: {count:,} combinations; at most {MOST_VALUES:,}")
    return product(*spread)


def _axis(name: str, values: Iterable[str]) -> Axis:
    found = tuple(dict.fromkeys(values))
    if len(found) > MOST_VALUES:
        raise UsageError(f"--{name}: {len(found):,} values; at most {MOST_VALUES:,}")
    return Axis(name, found)
