"""com.microsoft pooling: channels last, masked, quantized. Numbers per element as in `pooling`.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from effaudit.graph import Shape, Value
from effaudit.ops._inputs import need, ranked
from effaudit.ops._registry import MICROSOFT, Cost, cost, shape
from effaudit.ops._windows import per_axis, window_shape
from effaudit.ops.microsoft_conv import to_first, to_last
from effaudit.ops.quantize import DEQUANTIZE, QUANTIZE


def pooled(
    x: Shape,
    kernel: Sequence[int] | None,
    strides: Sequence[int] | None,
    dilations: Sequence[int] | None,
    pads: Sequence[int] | None,
    auto_pad: str,
    ceil_mode: int = 0,
) -> Shape:
    """N x C x the window positions."""
    if not kernel or len(x) < 3:
        raise ValueError(f"kernel_shape {kernel} over an input of rank {len(x)}")
    window = per_axis(kernel, len(x) - 2, 1)
    return (*x[:2], *window_shape(x[2:], window, strides, dilations, pads, auto_pad, "up" if ceil_mode else "down"))


@shape("NhwcMaxPool", domain=MICROSOFT)
def nhwc_max_pool(
    x: Value,
    *,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    kernel_shape: Sequence[int],
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.NhwcMaxPool"""
    first = pooled(to_first(ranked(x, "x")), kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
    return Value(x.encoding, to_last(first))


@cost("NhwcMaxPool", domain=MICROSOFT, kind="pooling")
def nhwc_max_pool_cost(x: Value, *, kernel_shape: Sequence[int], out: Value) -> Cost:
    """ops = numel(out) x (prod(kernel) - 1) comparisons"""
    return Cost(0, out.numel * (prod(kernel_shape) - 1))


@shape("MaxpoolWithMask", domain=MICROSOFT)
def maxpool_with_mask(
    x: Value,
    m: Value,
    *,
    auto_pad: str = "NOTSET",
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    storage_order: int = 0,
    strides: Sequence[int] | None = None,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MaxpoolWithMask"""
    return Value(x.encoding, pooled(ranked(x, "X"), kernel_shape, strides, None, pads, auto_pad))


@cost("MaxpoolWithMask", domain=MICROSOFT, kind="pooling")
def maxpool_with_mask_cost(x: Value, m: Value, *, kernel_shape: Sequence[int] = (), out: Value) -> Cost:
    """ops = numel(out) x (2 x prod(kernel) - 1) (a mask test per element, comparisons)"""
    return Cost(0, out.numel * (2 * prod(kernel_shape) - 1))


@shape("QLinearAveragePool", domain=MICROSOFT)
def qlinear_average_pool(
    x: Value,
    x_scale: Value,
    x_zero_point: Value | None = None,
    y_scale: Value | None = None,
    y_zero_point: Value | None = None,
    *,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    channels_last: int = 0,
    count_include_pad: int = 0,
    kernel_shape: Sequence[int],
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.QLinearAveragePool"""
    need(y_scale, "y_scale")
    data = ranked(x, "X")
    first = to_first(data) if channels_last else data
    made = pooled(first, kernel_shape, strides, None, pads, auto_pad, ceil_mode)
    return Value(x.encoding, to_last(made) if channels_last else made)


@cost("QLinearAveragePool", domain=MICROSOFT, kind="pooling")
def qlinear_average_pool_cost(
    x: Value,
    x_scale: Value,
    x_zero_point: Value | None = None,
    y_scale: Value | None = None,
    y_zero_point: Value | None = None,
    *,
    kernel_shape: Sequence[int],
    out: Value,
) -> Cost:
    """ops = 2 x numel(X) to dequantize, + numel(out) x (prod(kernel) + 3 to quantize)"""
    return Cost(0, DEQUANTIZE * x.numel + out.numel * (prod(kernel_shape) + QUANTIZE))


@shape("QLinearGlobalAveragePool", domain=MICROSOFT)
def qlinear_global_average_pool(
    x: Value,
    x_scale: Value,
    x_zero_point: Value,
    y_scale: Value,
    y_zero_point: Value,
    *,
    channels_last: int = 0,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.QLinearGlobalAveragePool"""
    data = ranked(x, "X")
    if len(data) < 3:
        raise ValueError(f"an input of rank {len(data)}")
    ones = (1,) * (len(data) - 2)
    return Value(x.encoding, (data[0], *ones, data[-1]) if channels_last else (*data[:2], *ones))


@cost("QLinearGlobalAveragePool", domain=MICROSOFT, kind="pooling")
def qlinear_global_average_pool_cost(
    x: Value, x_scale: Value, x_zero_point: Value, y_scale: Value, y_zero_point: Value, *, out: Value
) -> Cost:
    """ops = 3 x numel(X) (dequantize 2, add up), + 3 x numel(out) to quantize"""
    return Cost(0, (DEQUANTIZE + 1) * x.numel + QUANTIZE * out.numel)
