"""Sums, products and extremes of small known values along axes.

Integers and expressions are followed exactly. Floats are followed only where every runtime gets the same result,
whatever order it adds in: whole numbers small enough that no partial result is rounded, and extremes.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import accumulate
from math import isnan
from typing import Any, Final, TypeAlias

from effaudit import dims
from effaudit.dims import Expr
from effaudit.errors import Undecided
from effaudit.graph import INTEGERS, Data, Encoding, Value
from effaudit.ops._data import count, indices, strides

# A function of the elements and of the largest whole number the type holds exactly along with all below it (None: any).
Fold: TypeAlias = Callable[[list[Any], int | None], Any]

_EXACT: Final = {"float16": 2**11, "bfloat16": 2**8, "float32": 2**24, "float64": 2**53}


def fold_axes(function: Fold, value: Value, axes: frozenset[int], encoding: Encoding) -> Data | None:
    """`function` of the elements along `axes` as `encoding` holds it, for every place on the other axes.

    None where nothing is known.
    """
    lines = _lines(value, axes)
    if lines is None:
        return None
    return _known(tuple(_guarded(function, elements, encoding) for _, elements in lines))


def scan_axis(
    function: Callable[[Any, Any], Any], start: int, value: Value, axis: int, exclusive: bool, reverse: bool
) -> Data | None:
    """The running result along `axis`; None where nothing is known. `start` is what `function` leaves unchanged."""
    lines = _lines(value, frozenset((axis,)))
    if lines is None:
        return None
    result: list[Any] = [None] * sum(len(offsets) for offsets, _ in lines)
    for offsets, elements in lines:
        places = offsets[::-1] if reverse else offsets
        ordered = elements[::-1] if reverse else elements
        running = list(accumulate([start, *ordered], lambda a, b: _step(function, a, b, value.encoding)))
        for place, made in zip(places, running if exclusive else running[1:], strict=False):
            result[place] = exactly(made, value.encoding)
    return _known(tuple(result))


def total(elements: list[Any], limit: int | None) -> Any:
    """The sum. Raises ValueError where its rounding depends on the order."""
    if limit is not None:
        plain = [x for x in elements if not isinstance(x, Expr)]
        if any(isinstance(x, float) for x in plain) or sum(map(abs, plain)) > limit:
            raise ValueError("a sum that is rounded")
    return sum(elements)


def product(elements: list[Any], limit: int | None) -> Any:
    """The product. Raises ValueError where its rounding depends on the order."""
    result: Any = 1
    for x in elements:
        result = result * x
        if limit is not None and not (isinstance(result, Expr) or (isinstance(result, int) and abs(result) <= limit)):
            raise ValueError("a product that is rounded")
    return result


def mean(elements: list[Any], limit: int | None) -> Any:
    """The mean; of integers, cut off towards zero."""
    added = total(elements, limit)
    if isinstance(added, Expr):
        return dims.divide(added, len(elements))
    return Fraction(added, len(elements))


def greatest(elements: list[Any], limit: int | None) -> Any:
    return dims.maximum(*elements) if any(isinstance(x, Expr) for x in elements) else max(elements)


def least(elements: list[Any], limit: int | None) -> Any:
    return dims.minimum(*elements) if any(isinstance(x, Expr) for x in elements) else min(elements)


def exactly(x: Any, encoding: Encoding) -> Any:
    """A result as `encoding` holds it, or None where it does not hold it exactly."""
    if x is None or isinstance(x, Expr):
        return x
    dtype, bits = encoding.dtype, encoding.bits
    limit = _EXACT.get(dtype)
    if limit is not None:
        if isinstance(x, float):
            return x
        exact = Fraction(x)
        binary = exact.denominator & (exact.denominator - 1) == 0
        return float(x) if binary and abs(exact.numerator) <= limit else None
    if dtype == "bool":
        return bool(x)
    if dtype not in INTEGERS:
        return None
    low, high = (0, 2**bits) if dtype.startswith("uint") else (-(2 ** (bits - 1)), 2 ** (bits - 1))
    return int(x) if low <= x < high else None


def _lines(value: Value, axes: frozenset[int]) -> list[tuple[list[int], list[Any]]] | None:
    """For every place on the other axes, the offsets and elements along `axes`."""
    if value.content is None or count(value.shape) is None:
        return None
    data = value.data
    if data is None:
        return None
    whole: tuple[int, ...] = value.shape  # type: ignore[assignment]
    steps = strides(whole)
    inner = sorted(axes)
    outer = [i for i in range(len(whole)) if i not in axes]
    along = indices([whole[i] for i in inner], [steps[i] for i in inner])
    starts = indices([whole[i] for i in outer], [steps[i] for i in outer])
    offsets = [[start + i for i in along] for start in starts]
    return [(line, [_whole(data[i]) for i in line]) for line in offsets]


def _whole(x: Any) -> Any:
    """A float that is a whole number as an int, so that it meets expressions exactly."""
    return int(x) if isinstance(x, float) and x.is_integer() else x


def _usable(x: Any) -> bool:
    return x is not None and not isinstance(x, str) and not (isinstance(x, float) and isnan(x))


def _guarded(function: Fold, elements: list[Any], encoding: Encoding) -> Any:
    if not all(map(_usable, elements)):
        return None
    try:
        return exactly(function(elements, _EXACT.get(encoding.dtype)), encoding)
    except (ArithmeticError, ValueError, TypeError, Undecided):
        return None


def _step(function: Callable[[Any, Any], Any], a: Any, b: Any, encoding: Encoding) -> Any:
    if a is None or b is None or isinstance(b, (str, float)):
        return None
    try:
        made = function(a, b)
    except (ArithmeticError, ValueError, TypeError, Undecided):
        return None
    return None if encoding.dtype in _EXACT and exactly(made, encoding) is None else made


def _known(data: Data) -> Data | None:
    return data if not data or any(x is not None for x in data) else None
