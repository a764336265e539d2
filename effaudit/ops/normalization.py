"""Normalization, softmax and dropout. Shapes pass through; ops are a fixed number per element of the input."""

from __future__ import annotations

from collections.abc import Sequence

from effaudit.dims import Dim
from effaudit.graph import BOOL, ENCODINGS, FLOAT, Shape, Value
from effaudit.ops._data import scalar
from effaudit.ops._registry import Context, Cost, cost, shape, storage
from effaudit.ops._shapes import axis_of


def _ranked(x: Value, least: int) -> Shape:
    """The shape. Raises ValueError where the rank is below `least`."""
    assert x.shape is not None
    if len(x.shape) < least:
        raise ValueError(f"an input of rank {len(x.shape)}; {least} at least")
    return x.shape


@shape("BatchNormalization")
def batch_normalization(x: Value, scale: Value, b: Value, input_mean: Value, input_var: Value) -> tuple[Value, ...]:
    """https://onnx.ai/onnx/operators/onnx__BatchNormalization.html"""
    statistics = (Value(input_mean.encoding, input_mean.shape), Value(input_var.encoding, input_var.shape))
    return (
        Value(x.encoding, x.shape),
        *statistics,
        *statistics,
    )  # the last two: saved_mean and saved_var until opset 13


@cost("BatchNormalization", kind="norm")
def batch_normalization_cost(
    x: Value,
    scale: Value,
    b: Value,
    input_mean: Value,
    input_var: Value,
    *,
    training_mode: int = 0,
    ctx: Context,
) -> Cost:
    """ops = numel(x) x (2 (multiply, add; the four statistics folded into one scale and shift) + 3 in training (sum,
    subtract, square and accumulate)), + 6 x numel(input_mean) in training (the running mean and variance)"""
    training = training_mode if ctx.opset >= 14 else sum(map(bool, ctx.node.outputs)) > 1
    if not training:
        return Cost(0, 2 * x.numel)
    return Cost(0, 5 * x.numel + 6 * input_mean.numel)


storage("BatchNormalization", overwrites=(0,))


@shape("InstanceNormalization")
def instance_normalization(input: Value, scale: Value, b: Value) -> Value:
    """https://onnx.ai/onnx/operators/onnx__InstanceNormalization.html"""
    return Value(input.encoding, _ranked(input, 2))


@cost("InstanceNormalization", kind="norm")
def instance_normalization_cost(input: Value, scale: Value, b: Value, *, out: Value) -> Cost:
    """ops = numel(out) x 5 (sum; subtract; square and accumulate; multiply by scale / sigma; add)"""
    return Cost(0, 5 * out.numel)


@shape("GroupNormalization")
def group_normalization(x: Value, scale: Value, bias: Value, *, num_groups: int = 1) -> Value:
    """https://onnx.ai/onnx/operators/onnx__GroupNormalization.html"""
    channels = _ranked(x, 2)[1]
    if num_groups < 1 or (isinstance(channels, int) and channels % num_groups):
        raise ValueError(f"{channels} channels do not divide into {num_groups} groups")
    return Value(x.encoding, x.shape)


@cost("GroupNormalization", kind="norm")
def group_normalization_cost(x: Value, scale: Value, bias: Value, *, out: Value) -> Cost:
    """ops = numel(out) x 5 (sum; subtract; square and accumulate; multiply by scale / sigma; add)"""
    return Cost(0, 5 * out.numel)


@shape("LayerNormalization")
def layer_normalization(
    x: Value, scale: Value, b: Value | None = None, *, axis: int = -1, stash_type: int = 1
) -> tuple[Value, ...]:
    """https://onnx.ai/onnx/operators/onnx__LayerNormalization.html"""
    dims = _ranked(x, 1)
    at = axis_of(axis, len(dims))
    statistic = Value(ENCODINGS.get(stash_type, FLOAT), dims[:at] + (1,) * (len(dims) - at))
    return Value(x.encoding, dims), statistic, statistic


@cost("LayerNormalization", kind="norm")
def layer_normalization_cost(x: Value, scale: Value, b: Value | None = None) -> Cost:
    """ops = numel(x) x (4 (sum; subtract; square and accumulate; multiply by scale / sigma) + 1 with a bias)"""
    return Cost(0, (4 if b is None else 5) * x.numel)


@shape("RMSNormalization")
def rms_normalization(x: Value, scale: Value, *, axis: int = -1) -> Value:
    """https://onnx.ai/onnx/operators/onnx__RMSNormalization.html"""
    axis_of(axis, len(_ranked(x, 1)))
    return Value(scale.encoding, x.shape)


@cost("RMSNormalization", kind="norm")
def rms_normalization_cost(x: Value, scale: Value, *, out: Value) -> Cost:
    """ops = numel(out) x 3 (square and accumulate; multiply by 1 / rms; multiply by scale)"""
    return Cost(0, 3 * out.numel)


@shape("LRN")
def lrn(x: Value) -> Value:
    """https://onnx.ai/onnx/operators/onnx__LRN.html"""
    return Value(x.encoding, _ranked(x, 2))


@cost("LRN", kind="norm")
def lrn_cost(x: Value, *, size: int = 1, out: Value) -> Cost:
    """ops = numel(out) x (size + 4) (square and accumulate over the window; scale; add; pow; divide)"""
    return Cost(0, (size + 4) * out.numel)


@shape("LpNormalization")
def lp_normalization(input: Value, *, axis: int = -1) -> Value:
    """https://onnx.ai/onnx/operators/onnx__LpNormalization.html"""
    axis_of(axis, len(_ranked(input, 1)))
    return Value(input.encoding, input.shape)


@cost("LpNormalization", kind="norm")
def lp_normalization_cost(input: Value, *, out: Value) -> Cost:
    """ops = numel(out) x 2 (raise and accumulate; divide)"""
    return Cost(0, 2 * out.numel)


@shape("MeanVarianceNormalization")
def mean_variance_normalization(x: Value, *, axes: Sequence[int] = (0, 2, 3)) -> Value:
    """https://onnx.ai/onnx/operators/onnx__MeanVarianceNormalization.html"""
    dims = _ranked(x, 1)
    for axis in axes:
        axis_of(axis, len(dims))
    return Value(x.encoding, dims)


@cost("MeanVarianceNormalization", kind="norm")
def mean_variance_normalization_cost(x: Value, *, out: Value) -> Cost:
    """ops = numel(out) x 4 (sum; subtract; square and accumulate; divide)"""
    return Cost(0, 4 * out.numel)


@shape("Softmax", "LogSoftmax", "Hardmax")
def softmax(input: Value, *, axis: int = -1) -> Value:
    """https://onnx.ai/onnx/operators/onnx__Softmax.html, https://onnx.ai/onnx/operators/onnx__LogSoftmax.html,
    https://onnx.ai/onnx/operators/onnx__Hardmax.html"""
    axis_of(axis, len(_ranked(input, 1)))
    return Value(input.encoding, input.shape)


@cost("Softmax", kind="softmax")
def softmax_cost(input: Value, *, out: Value) -> Cost:
    """ops = numel(out) x 5 (max; subtract; exp; sum; divide)"""
    return Cost(0, 5 * out.numel)


@cost("LogSoftmax", kind="softmax")
def log_softmax_cost(input: Value, *, out: Value) -> Cost:
    """ops = numel(out) x 5 (max; subtract; exp; sum; subtract the log of the sum)"""
    return Cost(0, 5 * out.numel)


@cost("Hardmax", kind="softmax")
def hardmax_cost(input: Value, *, out: Value) -> Cost:
    """ops = numel(out) x 2 (max; compare)"""
    return Cost(0, 2 * out.numel)


def _training(training_mode: Value | None) -> bool | None:
    """Whether dropout drops: None where the values fed decide."""
    if training_mode is None:
        return False
    known = scalar(training_mode)
    return known if known is None else bool(known)


@shape("Dropout")
def dropout(
    data: Value, ratio: Value | None = None, training_mode: Value | None = None, *, ctx: Context
) -> tuple[Value, Value]:
    """https://onnx.ai/onnx/operators/onnx__Dropout.html"""
    kept = data.content if _training(training_mode) is False else None
    return Value(data.encoding, data.shape, kept), Value(BOOL if ctx.opset >= 10 else data.encoding, data.shape)


@cost("Dropout", kind="movement")
def dropout_cost(data: Value, ratio: Value | None = None, training_mode: Value | None = None, *, out: Value) -> Cost:
    """ops = 0 (the identity at inference); numel(out) x 3 (draw; compare; scale) in training or if that is fed"""
    count: Dim = 0 if _training(training_mode) is False else 3 * out.numel
    return Cost(0, count)


storage("Dropout", overwrites=(0,))  # in inference it hands its input on, copied where that lives longer
