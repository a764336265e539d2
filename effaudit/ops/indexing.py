"""Operators that pick or place elements by index. They move bytes and multiply nothing."""

from __future__ import annotations

from collections.abc import Sequence

from effaudit import dims
from effaudit.dims import Dim, Expr
from effaudit.errors import Undecided
from effaudit.graph import INT64, Data, Shape, Value
from effaudit.ops._data import count, strides
from effaudit.ops._registry import Context, Cost, cost, numel, shape, storage
from effaudit.ops._shapes import axis_of, fixed_ints
from effaudit.ops.movement import moved


@shape("Gather")
def gather(data: Value, indices: Value, *, axis: int = 0) -> Value:
    """https://onnx.ai/onnx/operators/onnx__Gather.html"""
    assert data.shape is not None and indices.shape is not None
    at = axis_of(axis, len(data.shape))
    out = (*data.shape[:at], *indices.shape, *data.shape[at + 1 :])
    if data.content is None or indices.content is None:
        return Value(data.encoding, out)
    return Value(data.encoding, out, _gathered(data, indices, at, out))


def _gathered(data: Value, indices: Value, axis: int, out: Shape) -> Data | None:
    if count(out) is None or count(data.shape) is None:
        return None
    elements, picks = data.data, indices.data
    if elements is None or picks is None:
        return None
    source: Sequence[int] = data.shape  # type: ignore[assignment]
    size, inner = source[axis], numel(source[axis + 1 :])
    assert isinstance(inner, int)
    outer = numel(source[:axis])
    result: list[object] = []
    for block in range(outer):  # type: ignore[arg-type]
        for pick in picks:
            if not isinstance(pick, int):
                result.extend([None] * inner)
                continue
            if not -size <= pick < size:
                raise ValueError(f"index {pick} is outside a dim of {size}")
            start = (block * size + pick % size) * inner
            result.extend(elements[start : start + inner])
    return tuple(result)


@cost("Gather", kind="movement")
def gather_cost(data: Value, indices: Value, *, out: Value) -> Cost:
    """no arithmetic: reads its indices and the elements they pick"""
    return Cost(0, 0, moved((data, indices), out))


@shape("GatherElements")
def gather_elements(data: Value, indices: Value, *, axis: int = 0) -> Value:
    """https://onnx.ai/onnx/operators/onnx__GatherElements.html"""
    return Value(data.encoding, indices.shape)


@shape("GatherND")
def gather_nd(data: Value, indices: Value, *, batch_dims: int = 0) -> Value:
    """https://onnx.ai/onnx/operators/onnx__GatherND.html"""
    assert data.shape is not None and indices.shape is not None
    depth = indices.shape[-1]
    if isinstance(depth, Expr):
        raise Undecided("the length of an index tuple")
    if not 1 <= depth <= len(data.shape) - batch_dims:
        raise ValueError(f"index tuples of {depth} into rank {len(data.shape)}")
    return Value(
        data.encoding, (*indices.shape[:-1], *data.shape[batch_dims + depth :]), _picked(data, indices, batch_dims)
    )


def _picked(data: Value, indices: Value, batch_dims: int) -> Data | None:
    """Elements of a GatherND whose index tuples are whole (one element each)."""
    if batch_dims or count(data.shape) is None or data.content is None or indices.content is None:
        return None
    elements, flat = data.data, indices.data
    depth = len(data.shape or ())
    if elements is None or flat is None or not indices.shape or indices.shape[-1] != depth:
        return None
    steps = strides(data.shape or ())  # type: ignore[arg-type]
    result = []
    for at in range(0, len(flat), depth):
        tuple_ = flat[at : at + depth]
        if not all(isinstance(i, int) for i in tuple_):
            return None
        offset = sum((i % size) * step for i, size, step in zip(tuple_, data.shape or (), steps, strict=True))
        result.append(elements[offset])
    return tuple(result)


@cost("GatherElements", "GatherND", kind="movement")
def gather_elements_cost(data: Value, indices: Value, *, out: Value) -> Cost:
    """no arithmetic: reads its indices and the elements they pick"""
    return Cost(0, 0, moved((data, indices), out))


@shape("Scatter", "ScatterElements")
def scatter_elements(data: Value, indices: Value, updates: Value, *, axis: int = 0, reduction: str = "none") -> Value:
    """https://onnx.ai/onnx/operators/onnx__ScatterElements.html"""
    assert data.shape is not None
    return Value(data.encoding, data.shape, _scattered(data, indices, updates) if reduction == "none" else None)


@shape("ScatterND")
def scatter_nd(data: Value, indices: Value, updates: Value, *, reduction: str = "none") -> Value:
    """https://onnx.ai/onnx/operators/onnx__ScatterND.html"""
    return Value(data.encoding, data.shape, _scattered(data, indices, updates) if reduction == "none" else None)


def _scattered(data: Value, indices: Value, updates: Value) -> Data | None:
    """Elements of a vector with some replaced: both scatters agree on vectors, and shapes are vectors."""
    if data.content is None or indices.content is None or data.shape is None or len(data.shape) != 1:
        return None
    elements, at = data.data, indices.data
    new = updates.data if updates.content is not None else None
    if elements is None or at is None or not all(isinstance(i, int) for i in at):
        return None
    new = (None,) * len(at) if new is None else new
    if len(new) != len(at):
        return None
    result = list(elements)
    for i, x in zip(at, new, strict=True):
        result[i] = x
    return tuple(result)


@shape("TensorScatter")
def tensor_scatter(
    past_cache: Value, update: Value, write_indices: Value | None = None, *, axis: int = -2, mode: str = "linear"
) -> Value:
    """https://onnx.ai/onnx/operators/onnx__TensorScatter.html"""
    return Value(past_cache.encoding, past_cache.shape)


@cost("Scatter", "ScatterElements", "ScatterND", kind="movement")
def scatter_cost(data: Value, indices: Value, updates: Value, *, reduction: str = "none", out: Value) -> Cost:
    """ops = 0, or numel(updates) with a reduction; reads all inputs, writes the output"""
    return Cost(0, 0 if reduction == "none" else updates.numel)


@cost("TensorScatter", kind="movement")
def tensor_scatter_cost(past_cache: Value, update: Value, write_indices: Value | None = None, *, out: Value) -> Cost:
    """no arithmetic: reads both inputs, writes the output"""
    return Cost(0, 0)


storage("Scatter", "ScatterElements", "ScatterND", "TensorScatter", overwrites=(0,))


@shape("NonZero")
def non_zero(x: Value, *, ctx: Context) -> Value:
    """https://onnx.ai/onnx/operators/onnx__NonZero.html (a value-dependent number of columns, at most numel(x))"""
    assert x.shape is not None
    rank = max(len(x.shape), 1)
    elements = x.data if x.content is not None and count(x.shape) is not None else None
    if elements is None or any(e is None or isinstance(e, Expr) for e in elements):
        return Value(INT64, (rank, ctx.data_dim("how many elements are not zero", 0, x.numel)))
    hits = [i for i, e in enumerate(elements) if e]
    sizes: tuple[int, ...] = x.shape or (1,)  # type: ignore[assignment]  # `count` has seen that every dim is an int
    found = tuple(i // step % size for step, size in zip(strides(sizes), sizes, strict=True) for i in hits)
    return Value(INT64, (rank, len(hits)), found)


@shape("Unique")
def unique(x: Value, *, axis: int | None = None, sorted: int = 1, ctx: Context) -> tuple[Value, ...]:
    """https://onnx.ai/onnx/operators/onnx__Unique.html (a value-dependent size)"""
    assert x.shape is not None
    whole = x.numel if axis is None else x.shape[axis_of(axis, len(x.shape))]
    kept = ctx.data_dim("how many values differ", 0 if whole == 0 else 1, whole)
    if axis is None:
        out: Shape = (kept,)
    else:
        at = axis_of(axis, len(x.shape))
        out = (*x.shape[:at], kept, *x.shape[at + 1 :])
    return Value(x.encoding, out), Value(INT64, (kept,)), Value(INT64, (whole,)), Value(INT64, (kept,))


@shape("Compress")
def compress(input: Value, condition: Value, *, axis: int | None = None, ctx: Context) -> Value:
    """https://onnx.ai/onnx/operators/onnx__Compress.html (a value-dependent size)"""
    assert input.shape is not None
    size = input.numel if axis is None else input.shape[axis_of(axis, len(input.shape))]
    flags = fixed_ints(condition)
    kept: Dim = sum(map(bool, flags)) if flags is not None else ctx.data_dim("how many are chosen", 0, size)
    if axis is None:
        return Value(input.encoding, (kept,))
    at = axis_of(axis, len(input.shape))
    return Value(input.encoding, (*input.shape[:at], kept, *input.shape[at + 1 :]))


@shape("NonMaxSuppression")
def non_max_suppression(
    boxes: Value,
    scores: Value,
    max_output_boxes_per_class: Value | None = None,
    iou_threshold: Value | None = None,
    score_threshold: Value | None = None,
    *,
    center_point_box: int = 0,
    ctx: Context,
) -> Value:
    """https://onnx.ai/onnx/operators/onnx__NonMaxSuppression.html (a value-dependent number of rows)"""
    assert boxes.shape is not None and scores.shape is not None
    batches, classes, spatial = scores.shape
    most = fixed_ints(max_output_boxes_per_class)
    if max_output_boxes_per_class is None:
        return Value(INT64, (0, 3))
    limit = spatial
    if most:
        limit = dims.minimum(max(most[0], 0), spatial)
    return Value(INT64, (ctx.data_dim("how many boxes survive", 0, batches * classes * limit), 3))


@cost("NonZero", "Unique", "Compress", kind="movement")
def select_cost(*inputs: Value, out: Value) -> Cost:
    """ops = numel(in) (one test per element; the sort inside Unique is not counted)"""
    return Cost(0, inputs[0].numel)


@cost("NonMaxSuppression", kind="other")
def non_max_suppression_cost(
    boxes: Value,
    scores: Value,
    max_output_boxes_per_class: Value | None = None,
    iou_threshold: Value | None = None,
    score_threshold: Value | None = None,
    *,
    out: Value,
) -> Cost:
    """ops = numel(scores) (one threshold test each; how many boxes meet depends on the values and is not counted)"""
    return Cost(0, scores.numel)
