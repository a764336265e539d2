"""The unit of an answer, and the same answer in another one (`unit=MiB`, `unit=G`, `unit=ms`, `unit=%`)."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

from effaudit.errors import UsageError
from effaudit.explain.formulas._numbers import Quantity, bounded
from effaudit.printable import printable

_COUNTS: Final = {"k": Fraction(10**3), "M": Fraction(10**6), "G": Fraction(10**9), "T": Fraction(10**12)}
_SCALES: Final = {
    "bytes": {"bits": Fraction(1, 8), "B": Fraction(1)}
    | {f"{prefix}B": Fraction(10**power) for prefix, power in (("k", 3), ("K", 3), ("M", 6), ("G", 9), ("T", 12))}
    | {f"{prefix}iB": Fraction(2**power) for prefix, power in (("K", 10), ("M", 20), ("G", 30), ("T", 40))},
    "s": {
        "us": Fraction(1, 10**6),
        "ms": Fraction(1, 1000),
        "s": Fraction(1),
        "min": Fraction(60),
        "minutes": Fraction(60),
        "h": Fraction(3600),
        "days": Fraction(86400),
    },
    "J": {"pJ": Fraction(1, 10**12), "nJ": Fraction(1, 10**9), "uJ": Fraction(1, 10**6), "mJ": Fraction(1, 1000)},
    "share": {"%": Fraction(1, 100)},
}
_COUNTED: Final = frozenset({"MACs", "FLOPs", "ops", "params", "elements", "adds", "comparisons", "subnets", "ops/W"})


def converted(value: Quantity, unit: str, wanted: str) -> tuple[Quantity, str]:
    """The value in the unit `wanted`. Raises UsageError, with the units that fit, for any other."""
    scales = _SCALES.get(unit, _COUNTS if unit in _COUNTED else {})
    name = wanted.strip()
    if unit in _COUNTED and name.lower().endswith(unit.lower()):
        name = name[: -len(unit)].strip()
    if isinstance(value, (str, tuple, bool)) or name not in scales:
        fitting = ", ".join(scales) or "no other unit"
        raise UsageError(f"unit={printable(wanted, 40)} does not fit {unit or 'a plain number'}; fitting: {fitting}")
    label = f"{name} {unit}" if unit in _COUNTED else name
    result = value / float(scales[name]) if isinstance(value, float) else Fraction(value) / scales[name]
    return bounded(result), label
