"""Reductions: Reduce*, ArgMax and ArgMin, running sums and products, TopK. Small known values are followed."""

from __future__ import annotations

import operator
from typing import Any

from effaudit import dims
from effaudit.dims import Dim
from effaudit.graph import INT64, Shape, Value
from effaudit.ops._data import as_dim, scalar
from effaudit.ops._folding import Fold, fold_axes, greatest, least, mean, product, scan_axis, total
from effaudit.ops._registry import Context, Cost, cost, shape
from effaudit.ops._shapes import axis_of, fixed_ints, length


def without(whole: Shape, axes: frozenset[int], keepdims: bool) -> Shape:
    """`whole` with `axes` reduced."""
    if keepdims:
        return tuple(1 if i in axes else dim for i, dim in enumerate(whole))
    return tuple(dim for i, dim in enumerate(whole) if i not in axes)


def _settled(axes: Value | None, rank: int, noop: int) -> frozenset[int] | None:
    """The axes to reduce, or None where the values fed decide."""
    if axes is None or length(axes) == 0:
        return frozenset() if noop else frozenset(range(rank))
    known = fixed_ints(axes)
    return None if known is None else frozenset(axis_of(axis, rank) for axis in known)


def _unsettled(data: Value, axes: Value, keepdims: bool, ctx: Context) -> Value:
    """What is known where the values fed decide which axes are reduced."""
    whole = data.shape
    assert whole is not None
    n, reason = length(axes), "the axes fed decide it"
    if n is not None and n > len(whole):
        raise ValueError(f"{n} axes of an input of rank {len(whole)}")
    if keepdims:
        kept = tuple(1 if n == len(whole) or dim == 1 else _one_of((1, dim), reason, ctx) for dim in whole)
        return Value(data.encoding, kept)
    if n is None:
        return Value(data.encoding, None, why="the number of axes fed decides the rank")
    places = range(len(whole) - n)  # the dims that are left keep their order
    return Value(data.encoding, tuple(_one_of(whole[i : i + n + 1], reason, ctx) for i in places))


def _one_of(choices: Shape, reason: str, ctx: Context) -> Dim:
    least_of_all = min(dims.bounds(dim)[0] or 0 for dim in choices)
    return ctx.data_dim(reason, max(least_of_all, 0), dims.maximum(*choices))


def _reduce(
    data: Value, axes: Value | None, keepdims: int, noop: int, ctx: Context, function: Fold | None = None
) -> Value:
    """The reduced value; its elements by `function`, which leaves a single element as it is."""
    assert data.shape is not None
    settled = _settled(axes, len(data.shape), noop)
    if settled is None:
        assert axes is not None
        return _unsettled(data, axes, bool(keepdims), ctx)
    known = None if function is None else fold_axes(function, data, settled, data.encoding)
    return Value(data.encoding, without(data.shape, settled, bool(keepdims)), known)


def _accumulated(data: Value, axes: Value | None, noop: int) -> Dim:
    """One operation per element; none where no axis is reduced."""
    return 0 if noop and (axes is None or length(axes) == 0) else data.numel


@shape("ReduceSum")
def reduce_sum(
    data: Value, axes: Value | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0, ctx: Context
) -> Value:
    """https://onnx.ai/onnx/operators/onnx__ReduceSum.html"""
    return _reduce(data, axes, keepdims, noop_with_empty_axes, ctx, total)


@shape("ReduceProd")
def reduce_prod(
    data: Value, axes: Value | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0, ctx: Context
) -> Value:
    """https://onnx.ai/onnx/operators/onnx__ReduceProd.html"""
    return _reduce(data, axes, keepdims, noop_with_empty_axes, ctx, product)


@shape("ReduceMax")
def reduce_max(
    data: Value, axes: Value | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0, ctx: Context
) -> Value:
    """https://onnx.ai/onnx/operators/onnx__ReduceMax.html"""
    return _reduce(data, axes, keepdims, noop_with_empty_axes, ctx, greatest)


@shape("ReduceMin")
def reduce_min(
    data: Value, axes: Value | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0, ctx: Context
) -> Value:
    """https://onnx.ai/onnx/operators/onnx__ReduceMin.html"""
    return _reduce(data, axes, keepdims, noop_with_empty_axes, ctx, least)


@shape("ReduceMean")
def reduce_mean(
    data: Value, axes: Value | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0, ctx: Context
) -> Value:
    """https://onnx.ai/onnx/operators/onnx__ReduceMean.html"""
    return _reduce(data, axes, keepdims, noop_with_empty_axes, ctx, mean)


@shape("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare")
def reduce_norm(
    data: Value, axes: Value | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0, ctx: Context
) -> Value:
    """https://onnx.ai/onnx/operators/onnx__ReduceL1.html, https://onnx.ai/onnx/operators/onnx__ReduceL2.html,
    https://onnx.ai/onnx/operators/onnx__ReduceLogSum.html, https://onnx.ai/onnx/operators/onnx__ReduceLogSumExp.html,
    https://onnx.ai/onnx/operators/onnx__ReduceSumSquare.html"""
    return _reduce(data, axes, keepdims, noop_with_empty_axes, ctx)


@cost("ReduceSum", "ReduceProd", "ReduceMax", "ReduceMin", kind="reduction")
def reduce_cost(data: Value, axes: Value | None = None, *, noop_with_empty_axes: int = 0, out: Value) -> Cost:
    """ops = numel(data); 0 where no axis is reduced"""
    return Cost(0, _accumulated(data, axes, noop_with_empty_axes))


@cost("ReduceMean", kind="reduction")
def reduce_mean_cost(data: Value, axes: Value | None = None, *, noop_with_empty_axes: int = 0, out: Value) -> Cost:
    """ops = numel(data) + numel(out) (add; divide once per output); 0 where no axis is reduced"""
    added = _accumulated(data, axes, noop_with_empty_axes)
    return Cost(0, added if added == 0 else added + out.numel)


@cost("ReduceL1", "ReduceSumSquare", kind="reduction")
def reduce_l1_cost(data: Value, axes: Value | None = None, *, noop_with_empty_axes: int = 0, out: Value) -> Cost:
    """ops = numel(data) x 2 (magnitude or square; add)"""
    return Cost(0, data.numel + _accumulated(data, axes, noop_with_empty_axes))


@cost("ReduceL2", "ReduceLogSumExp", kind="reduction")
def reduce_l2_cost(data: Value, axes: Value | None = None, *, noop_with_empty_axes: int = 0, out: Value) -> Cost:
    """ops = numel(data) x 2 + numel(out) (square or exp; add; root or log once per output)"""
    return Cost(0, data.numel + _accumulated(data, axes, noop_with_empty_axes) + out.numel)


@cost("ReduceLogSum", kind="reduction")
def reduce_log_sum_cost(data: Value, axes: Value | None = None, *, noop_with_empty_axes: int = 0, out: Value) -> Cost:
    """ops = numel(data) + numel(out) (add; log once per output)"""
    return Cost(0, _accumulated(data, axes, noop_with_empty_axes) + out.numel)


@shape("ArgMax", "ArgMin")
def arg_extreme(data: Value, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0, ctx: Context) -> Value:
    """https://onnx.ai/onnx/operators/onnx__ArgMax.html, https://onnx.ai/onnx/operators/onnx__ArgMin.html"""
    assert data.shape is not None
    axes = frozenset((axis_of(axis, len(data.shape)),))
    sign = 1 if ctx.node.op == "ArgMax" else -1

    def place(elements: list[Any], limit: int | None) -> int:
        best = 0
        for i, x in enumerate(elements):
            gap = (x - elements[best]) * sign
            if gap > 0 or (select_last_index and gap == 0):
                best = i
        return best

    made = without(data.shape, axes, bool(keepdims))
    return Value(INT64, made, fold_axes(place, data, axes, INT64))


@cost("ArgMax", "ArgMin", kind="reduction")
def arg_extreme_cost(data: Value, *, out: Value) -> Cost:
    """ops = numel(data) comparisons"""
    return Cost(0, data.numel)


@shape("CumSum", "CumProd")
def running(x: Value, axis: Value, *, exclusive: int = 0, reverse: int = 0, ctx: Context) -> Value:
    """https://onnx.ai/onnx/operators/onnx__CumSum.html, https://onnx.ai/onnx/operators/onnx__CumProd.html"""
    assert x.shape is not None
    at = scalar(axis)
    if not isinstance(at, int):
        return Value(x.encoding, x.shape)
    at = axis_of(at, len(x.shape))
    adds = ctx.node.op == "CumSum"
    step, start = (operator.add, 0) if adds else (operator.mul, 1)
    return Value(x.encoding, x.shape, scan_axis(step, start, x, at, bool(exclusive), bool(reverse)))


@cost("CumSum", "CumProd", kind="reduction")
def running_cost(x: Value, axis: Value, *, out: Value) -> Cost:
    """ops = numel(x)"""
    return Cost(0, x.numel)


@shape("TopK")
def top_k(x: Value, k: Value, *, axis: int = -1, ctx: Context) -> tuple[Value, Value]:
    """https://onnx.ai/onnx/operators/onnx__TopK.html"""
    assert x.shape is not None
    at = axis_of(axis, len(x.shape))
    size = x.shape[at]
    wanted = as_dim(scalar(k))
    if wanted is None:
        wanted = ctx.data_dim("the k fed decides it", 0, size)
    elif isinstance(wanted, int) and (wanted < 0 or (isinstance(size, int) and wanted > size)):
        raise ValueError(f"the {wanted} largest of {size} elements")
    made = (*x.shape[:at], wanted, *x.shape[at + 1 :])
    return Value(x.encoding, made), Value(INT64, made)


@cost("TopK", kind="reduction")
def top_k_cost(x: Value, k: Value, *, out: Value) -> Cost:
    """ops = numel(x) comparisons (one per element; keeping the best k in order is left out)"""
    return Cost(0, x.numel)
