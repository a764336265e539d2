"""What formulas compute with: the tensors and attributes of one node, and the arithmetic on what they hold.

Numbers are dims. A `ValueError` says what a formula asked for that the node does not have; `Undecided` what the ranges
of open dims do not settle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from effaudit import dims
from effaudit.dims import Dim, Expr
from effaudit.errors import Undecided
from effaudit.graph import Value

Tensors: TypeAlias = tuple[Value | None, ...]

MAX_BITS: Final = 4096  # of a number on the way to a result


class Scope(msgspec.Struct, frozen=True):
    """The tensors of a node (None: not given), those of variadic names, and its attributes."""

    tensors: Mapping[str, Value | None]
    groups: Mapping[str, Tensors]
    attrs: Mapping[str, Any]


def given(value: Value | None, name: str) -> Value:
    """A tensor that is there. Raises ValueError where it is not."""
    if value is None:
        raise ValueError(f"{name} is not given")
    return value


def shape_of(value: Value | None, name: str) -> tuple[Dim, ...]:
    """The dims of a tensor. Raises ValueError where it is not given or has none."""
    shape = given(value, name).shape
    if shape is None:
        raise ValueError(f"the rank of {name} is unknown")
    return shape


# ---- what is measured of a tensor, of several, of a list of dims
def numel(value: Value | None, name: str) -> Dim:
    return product(shape_of(value, name), name)


def rank(value: Value | None, name: str) -> int:
    return len(shape_of(value, name))


def nbytes(value: Value | None, name: str) -> Dim:
    """The bytes of a tensor. Raises ValueError where its elements have no fixed size."""
    tensor = given(value, name)
    if tensor.encoding.bits == 0:
        raise ValueError(f"{name} has no fixed size in bytes: its elements are of type {tensor.encoding.dtype}")
    return tensor.encoding.nbytes(numel(value, name))


def numel_of_all(values: Tensors, name: str) -> Dim:
    return dims.total(numel(value, name) for value in values if value is not None)


def nbytes_of_all(values: Tensors, name: str) -> Dim:
    return dims.total(nbytes(value, name) for value in values if value is not None)


def length(items: Any, name: str) -> int:
    if type(items) is not tuple:
        raise ValueError(f"{name} is {_shown(items)}; a list is expected")
    return len(items)


def product(factors: Sequence[Dim], name: str) -> Dim:
    total: Dim = 1
    for factor in factors:
        total = multiply(total, factor)
    return total


def product_of_list(value: Any, name: str) -> Dim:
    return product(numbers(value, name), name)


# ---- arithmetic
def multiply(a: Dim, b: Dim) -> Dim:
    """a * b. Raises ValueError past what a tensor can have."""
    result = a * b
    if type(result) is int and result.bit_length() > MAX_BITS:
        raise ValueError(f"a number past 2^{MAX_BITS}")
    return result


def divisor(value: Dim) -> Dim:
    """What may be divided by. Raises ValueError on 0 and below, Undecided where it may be."""
    if isinstance(value, Expr):
        if dims.lower(value) <= 0:
            raise Undecided(f"whether {value} is 0")
    elif value <= 0:
        raise ValueError(f"a division by {value}")
    return value


def floordiv(a: Dim, b: Dim) -> Dim:
    return dims.floordiv(a, divisor(b))


def modulo(a: Dim, b: Dim) -> Dim:
    return a % divisor(b)


def ceildiv(a: Dim, b: Dim) -> Dim:
    return dims.ceildiv(a, divisor(b))


def same(a: Any, b: Any) -> bool:
    """a == b. Raises Undecided where open dims leave it open."""
    if not isinstance(a, Expr) and not isinstance(b, Expr):
        return bool(a == b)
    if not all(isinstance(x, (int, Expr)) for x in (a, b)):
        return False
    gap = a - b
    return not gap  # of an expression: raises where its range has both 0 and others


def different(a: Any, b: Any) -> bool:
    return not same(a, b)


# ---- attributes
def attribute(value: Any, key: str) -> Any:
    """An attribute as formulas read it. Raises ValueError where it is missing or no number, text or list of these."""
    if value is None:
        raise ValueError(f"attribute {key} is not set")
    items = value if type(value) is tuple else (value,)
    if not all(isinstance(x, (int, float, str)) for x in items):
        raise ValueError(f"attribute {key} is no number, text or list of these")
    return value


def number(value: Any, what: str) -> Dim:
    """An attribute as a whole number. Raises ValueError where it is none."""
    if isinstance(value, Expr) or type(value) is int:
        return value
    if type(value) is float and value.is_integer():
        return int(value)
    raise ValueError(f"{what} is {_shown(value)}; formulas take whole numbers")


def numbers(value: Any, what: str) -> tuple[Dim, ...]:
    """An attribute as a list of whole numbers. Raises ValueError where it is none."""
    length(value, what)
    return tuple(number(item, what) for item in value)


# ---- parts
def item(items: tuple[Any, ...], index: Dim, what: str) -> Any:
    """items[index]. Raises ValueError where it lies outside."""
    length(items, what)
    at = _place(index, what)
    if not -len(items) <= at < len(items):
        raise ValueError(f"{what}[{at}] does not exist: {what} has {len(items)}")
    return items[at]


def member(values: Tensors, index: Dim, what: str) -> Value | None:
    """values[index], None where there are fewer."""
    at = _place(index, what)
    return values[at] if -len(values) <= at < len(values) else None


def part(items: Any, start: Dim | None, stop: Dim | None, what: str) -> Any:
    """items[start:stop]"""
    length(items, what)
    ends = [None if end is None else _place(end, what) for end in (start, stop)]
    return items[ends[0] : ends[1]]


def _place(index: Dim, what: str) -> int:
    if isinstance(index, Expr):
        raise Undecided(f"the index {index} of {what}")
    return index


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    if type(value) is tuple:
        return f"a list of {len(value)}"
    return str(value) if isinstance(value, (int, float)) else "no number"
