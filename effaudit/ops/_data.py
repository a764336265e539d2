"""Propagation of small known values: row-major element tuples in, element tuples out.

Elements are ints, floats, bools, symbolic expressions, or None where one is not known. Everything here refuses (returns
None) past `MAX_ELEMENTS`, so nothing is ever materialised by the file's word.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any

from effaudit.dims import Dim, Expr
from effaudit.elements import MAX_ELEMENTS
from effaudit.errors import Undecided
from effaudit.graph import INTEGERS, Data, Shape, Value


def count(shape: Shape | None) -> int | None:
    """The number of elements, where it is known and small enough to hold values for."""
    if shape is None:
        return None
    total = 1
    for dim in shape:
        if isinstance(dim, Expr):
            return None
        total *= dim
    return total if 0 <= total <= MAX_ELEMENTS else None


def strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Row-major strides in elements."""
    step, result = 1, []
    for dim in reversed(shape):
        result.append(step)
        step *= dim
    return tuple(reversed(result))


def indices(shape: Sequence[int], steps: Sequence[int], start: int = 0) -> list[int]:
    """The flat source offset of every element of a row-major `shape` walked with `steps`."""
    offsets = [start]
    for dim, step in zip(shape, steps, strict=True):
        offsets = [base + i * step for base in offsets for i in range(dim)]
    return offsets


def gather(data: Data, offsets: Iterable[int]) -> Data:
    return tuple(data[i] for i in offsets)


def spread(value: Value, shape: Shape) -> Data | None:
    """The elements of `value` broadcast to `shape`."""
    if count(shape) is None or count(value.shape) is None:
        return None
    data = value.data
    if data is None:
        return None
    if value.shape == shape:
        return data
    source: tuple[int, ...] = value.shape  # type: ignore[assignment]
    padded = (1,) * (len(shape) - len(source)) + source
    steps = [0 if dim == 1 else step for dim, step in zip(padded, strides(padded), strict=True)]
    return gather(data, indices(shape, steps))  # type: ignore[arg-type]


def to_float32(x: float) -> float:
    """`x` rounded to single precision, as the runtime would hold it."""
    try:
        return float(struct.unpack("f", struct.pack("f", x))[0])
    except OverflowError:
        return float("inf") if x > 0 else float("-inf")


def rounded(x: Any, dtype: str) -> Any:
    """An element as `dtype` holds it; None where it overflows or the type is not followed. Expressions pass."""
    if not isinstance(x, (int, float, Fraction)):
        return x
    if dtype == "float32":
        return to_float32(float(x))
    if dtype == "float64":
        return float(x)
    if dtype == "float16":
        return float(struct.unpack("e", struct.pack("e", x))[0]) if -65520 < x < 65520 else None
    if dtype == "bool":
        return bool(x)
    if dtype not in INTEGERS:
        return None
    span = 1 << int(dtype.lstrip("uint"))
    low, high = (0, span) if dtype.startswith("u") else (-(span // 2), span // 2)
    return int(x) if low <= int(x) < high else None


def fold(function: Callable[..., Any], inputs: Sequence[Value], shape: Shape | None, dtype: str) -> Data | None:
    """`function` applied element by element to broadcast inputs; None where no element can be told.

    An element whose inputs are unknown, or for which `function` raises an arithmetic error or `Undecided`, is None.
    """
    if shape is None or any(v.content is None for v in inputs) or count(shape) is None:
        return None
    columns = [spread(v, shape) for v in inputs]
    if any(column is None for column in columns):
        return None
    result = tuple(_apply(function, row, dtype) for row in zip(*columns, strict=True))
    return result if any(x is not None for x in result) or not result else None


def _apply(function: Callable[..., Any], row: tuple[Any, ...], dtype: str) -> Any:
    if None in row:
        return None
    try:
        return rounded(function(*row), dtype)
    except (ArithmeticError, ValueError, TypeError, Undecided):
        return None


def scalar(value: Value | None) -> Any:
    """The one element of a one-element tensor where it is known, else None."""
    if value is None or value.content is None:
        return None
    data = value.data
    return data[0] if data is not None and len(data) == 1 else None


def as_dim(x: Any) -> Dim | None:
    """An element used as a dim or index: an int or an integer-valued expression, else None."""
    if isinstance(x, (int, Expr)):
        return x
    return None
