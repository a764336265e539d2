"""Shape arithmetic that several families share."""

from __future__ import annotations

from collections.abc import Sequence

from effaudit import dims
from effaudit.dims import Dim, Expr
from effaudit.graph import Shape, Value


def axis_of(axis: int, rank: int) -> int:
    """A non-negative axis. Raises ValueError where it lies outside -rank..rank-1."""
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} is outside rank {rank}")
    return axis + rank if axis < 0 else axis


def broadcast(a: Shape, b: Shape) -> Shape:
    """Multidirectional broadcast, https://github.com/onnx/onnx/blob/main/docs/Broadcasting.md"""
    if a == b:
        return a
    if len(a) < len(b):
        a, b = b, a
    lead = len(a) - len(b)
    return a[:lead] + tuple(map(dims.broadcast, a[lead:], b))


def broadcast_all(shapes: Sequence[Shape]) -> Shape:
    """The broadcast of any number of shapes."""
    result: Shape = ()
    for shape in shapes:
        result = broadcast(result, shape)
    return result


def known_ints(value: Value | None) -> tuple[Dim, ...] | None:
    """The elements of an integer tensor where every one is known (an int or an expression), else None."""
    if value is None or value.content is None:
        return None
    data = value.data
    if data is None or any(x is None for x in data):
        return None
    return data


def fixed_ints(value: Value | None) -> tuple[int, ...] | None:
    """The elements of an integer tensor where every one is a plain int, else None."""
    data = known_ints(value)
    if data is None or any(isinstance(x, Expr) for x in data):
        return None
    return tuple(int(x) for x in data)  # type: ignore[arg-type]


def length(value: Value) -> int | None:
    """The static number of elements of a 1-D tensor, else None."""
    shape = value.shape
    return shape[0] if shape is not None and len(shape) == 1 and isinstance(shape[0], int) else None
