"""Operators that make tensors from nothing but numbers, and that turn shapes into values."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from effaudit import dims
from effaudit.dims import Dim, Expr
from effaudit.elements import MAX_ELEMENTS, value_of
from effaudit.graph import ENCODINGS, FLOAT, INT64, STRING, Constant, Data, Shape, Value
from effaudit.ops._data import as_dim, count, scalar
from effaudit.ops._registry import Context, Cost, cost, shape
from effaudit.ops._shapes import known_ints, length


@shape("Constant")
def constant(
    *,
    value: Any = None,
    sparse_value: Any = None,
    value_float: float | None = None,
    value_floats: tuple[float, ...] | None = None,
    value_int: int | None = None,
    value_ints: tuple[int, ...] | None = None,
    value_string: str | None = None,
    value_strings: tuple[str, ...] | None = None,
) -> Value:
    """https://onnx.ai/onnx/operators/onnx__Constant.html"""
    for tensor in (value, sparse_value):
        if isinstance(tensor, Constant):
            return value_of(tensor)
    for one, encoding in ((value_float, FLOAT), (value_int, INT64), (value_string, STRING)):
        if one is not None:
            return Value(encoding, (), (one,))
    for many, encoding in ((value_floats, FLOAT), (value_ints, INT64), (value_strings, STRING)):
        if many is not None:
            return Value(encoding, (len(many),), tuple(many) if len(many) <= MAX_ELEMENTS else None)
    raise ValueError("it has no value")


@cost("Constant", kind="constant")
def constant_cost(*, out: Value) -> Cost:
    """free: stored, not computed"""
    return Cost(0, 0, 0, 0)


@shape("Shape", partial=True)
def shape_of(data: Value, *, start: int = 0, end: int | None = None, ctx: Context) -> Value:
    """https://onnx.ai/onnx/operators/onnx__Shape.html"""
    if data.shape is None:
        return Value(INT64, (ctx.unknown_dim(f"the rank of its input is unknown: {data.why}", 0, 64),))
    kept = data.shape[slice(start, end)]
    return Value(INT64, (len(kept),), tuple(kept))


@shape("Size")
def size(data: Value) -> Value:
    """https://onnx.ai/onnx/operators/onnx__Size.html"""
    return Value(INT64, (), (data.numel,))


@cost("Shape", "Size", kind="shape")
def shape_cost(data: Value, *, out: Value) -> Cost:
    """free of arithmetic: reads no element of its input"""
    return Cost(0, 0, 0)


@shape("ConstantOfShape", partial=True)
def constant_of_shape(input: Value, *, value: Any = None, ctx: Context) -> Value:
    """https://onnx.ai/onnx/operators/onnx__ConstantOfShape.html (never materialised beyond small tensors)"""
    encoding, fill = (value.encoding, _first(value)) if isinstance(value, Constant) else (FLOAT, 0.0)
    target = dims_from(input, ctx, "the shape fed")
    if target is None:
        return Value(encoding, None, why="its shape is computed from values that are not known")
    if any(isinstance(d, int) and d < 0 for d in target):
        raise ValueError(f"a negative dim in {target}")
    total = count(target)
    filled = (fill,) * total if total is not None and fill is not None else None
    return Value(encoding, target, filled)


def _first(value: Constant) -> Any:
    data = value_of(value).data
    return data[0] if data else None


def dims_from(value: Value, ctx: Context, what: str) -> tuple[Dim, ...] | None:
    """A shape given as a 1-D tensor: its elements, each unknown one a fresh symbol; None where its length is
    unknown."""
    data: Data | None = value.data if value.content is not None else None
    if data is None:
        rank = length(value)
        if rank is None or rank > 64:
            return None
        data = (None,) * rank
    result = []
    for x in data:
        dim = as_dim(x)
        result.append(ctx.unknown_dim(f"{what} is computed from values that are not known") if dim is None else dim)
    return tuple(result)


@cost("ConstantOfShape", kind="constant")
def constant_of_shape_cost(input: Value, *, out: Value) -> Cost:
    """free of arithmetic: writes its output"""
    return Cost(0, 0)


@shape("Range")
def range_(start: Value, limit: Value, delta: Value, *, ctx: Context) -> Value:
    """https://onnx.ai/onnx/operators/onnx__Range.html"""
    a, b, step = scalar(start), scalar(limit), scalar(delta)
    if a is None or b is None or step is None:
        return Value(start.encoding, (ctx.unknown_dim("its limits are computed from values that are not known"),))
    if not isinstance(step, Expr) and step == 0:
        raise ValueError("a step of 0")
    if any(isinstance(x, Expr) for x in (a, b, step)):
        return Value(start.encoding, (_symbolic_count(a, b, step, ctx),), _symbolic_range(a, b, step))
    total = max(math.ceil((b - a) / step), 0) if isinstance(a, float) else max(-((a - b) // step), 0)
    known = tuple(a + i * step for i in range(total)) if total <= MAX_ELEMENTS else None
    return Value(start.encoding, (total,), known)


def _symbolic_count(a: Any, b: Any, step: Any, ctx: Context) -> Dim:
    """max(ceil((b - a) / step), 0) in exact fractions."""
    if isinstance(step, Expr):
        return ctx.unknown_dim("its step is symbolic")
    first, last = (x if isinstance(x, Expr) else Fraction(x) for x in (a, b))
    gap: Any = (first - last) * (1 / Fraction(step))
    return dims.maximum(-dims.floordiv(gap, 1), 0)


def _symbolic_range(a: Any, b: Any, step: Any) -> Data | None:
    """Values of a range whose length is known although its start is symbolic."""
    if isinstance(a, float) or isinstance(b, float) or isinstance(step, float):
        return None
    gap = b - a
    if isinstance(gap, int) and isinstance(step, int) and 0 <= -(-gap // step) <= MAX_ELEMENTS:
        return tuple(a + i * step for i in range(-(-gap // step)))
    return None


@cost("Range", kind="constant")
def range_cost(start: Value, limit: Value, delta: Value, *, out: Value) -> Cost:
    """ops = 2 x numel(out) (multiply, add)"""
    return Cost(0, 2 * out.numel)


@shape("EyeLike")
def eye_like(input: Value, *, dtype: int | None = None, k: int = 0) -> Value:
    """https://onnx.ai/onnx/operators/onnx__EyeLike.html"""
    return Value(ENCODINGS[dtype] if dtype else input.encoding, input.shape)


@cost("EyeLike", kind="constant")
def eye_like_cost(input: Value, *, out: Value) -> Cost:
    """free of arithmetic: writes its output"""
    return Cost(0, 0, 0)


@shape("OneHot")
def one_hot(indices: Value, depth: Value, values: Value, *, axis: int = -1, ctx: Context) -> Value:
    """https://onnx.ai/onnx/operators/onnx__OneHot.html"""
    assert indices.shape is not None
    known = known_ints(depth)
    size = as_dim(int(known[0]) if known and isinstance(known[0], float) else known[0]) if known else None
    if size is None:
        size = ctx.unknown_dim("its depth is computed from values that are not known")
    rank = len(indices.shape) + 1
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} is outside rank {rank}")
    at = axis % rank
    out = (*indices.shape[:at], size, *indices.shape[at:])
    return Value(values.encoding, out, _hot(indices, values, size, at, out))


def _hot(indices: Value, values: Value, depth: Dim, axis: int, out: Shape) -> Data | None:
    total = count(out)
    if total is None or not isinstance(depth, int) or indices.content is None or values.content is None:
        return None
    picks, pair = indices.data, values.data
    if picks is None or pair is None or not all(isinstance(x, int) for x in picks):
        return None
    inner = count(out[axis + 1 :]) or 1
    result = []
    for flat in range(total):
        block, rest = divmod(flat, depth * inner)
        level, within = divmod(rest, inner)
        pick = picks[block * inner + within]
        result.append(pair[1] if (pick + depth if pick < 0 else pick) == level else pair[0])
    return tuple(result)


@cost("OneHot", kind="movement")
def one_hot_cost(indices: Value, depth: Value, values: Value, *, out: Value) -> Cost:
    """ops = numel(out) (one comparison each)"""
    return Cost(0, out.numel)
