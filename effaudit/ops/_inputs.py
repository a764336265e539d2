"""Checked access to inputs, with messages for the person who owns the model."""

from __future__ import annotations

from effaudit.dims import Dim
from effaudit.graph import Shape, Value
from effaudit.ops._data import as_dim, scalar


def need(value: Value | None, name: str) -> Value:
    """An input the operator cannot do without, although optional ones come before it. Raises ValueError without it."""
    if value is None:
        raise ValueError(f"input {name} is missing")
    return value


def ranked(value: Value | None, name: str, *ranks: int) -> Shape:
    """The shape of a needed input. Raises ValueError where its rank is not one of `ranks`."""
    dims = need(value, name).shape
    if dims is None:
        raise ValueError(f"the rank of {name} is unknown")
    if ranks and len(dims) not in ranks:
        raise ValueError(f"{name} has rank {len(dims)} instead of {' or '.join(map(str, ranks))}")
    return dims


def agreed(what: str, *dims: Dim) -> Dim:
    """One size that several inputs state: a number where any of them has one. Raises ValueError on two numbers."""
    known = {dim for dim in dims if isinstance(dim, int)}
    if len(known) > 1:
        raise ValueError(f"{what} is {' and '.join(map(str, sorted(known)))} at once")
    return known.pop() if known else dims[0]


def scalar_dim(value: Value | None) -> Dim | None:
    """The single element of an integer input where it is known (an int or an expression), else None."""
    return as_dim(scalar(value))


def given(*values: Value | None) -> int:
    """How many optional inputs are there."""
    return sum(value is not None for value in values)
