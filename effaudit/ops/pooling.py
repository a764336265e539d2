"""Pooling over windows, over whole maps and over regions of interest."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from effaudit.dims import Dim
from effaudit.errors import Undecided
from effaudit.graph import INT64, Shape, Value
from effaudit.ops._registry import Context, Cost, cost, shape, unpriced
from effaudit.ops._shapes import known_ints, length
from effaudit.ops._windows import pad_pairs, per_axis, window_shape


def _pooled(
    x: Value,
    kernel: Sequence[int] | None,
    strides: Sequence[int] | None,
    dilations: Sequence[int] | None,
    pads: Sequence[int] | None,
    auto_pad: str,
    ceil: int,
) -> Shape:
    """N x C x the window positions."""
    assert x.shape is not None
    if kernel is None or len(x.shape) < 3:
        raise ValueError(f"kernel_shape {kernel} over an input of rank {len(x.shape)}")
    window = per_axis(kernel, len(x.shape) - 2, 1)
    return (
        *x.shape[:2],
        *window_shape(x.shape[2:], window, strides, dilations, pads, auto_pad, "up" if ceil else "down"),
    )


@shape("MaxPool")
def max_pool(
    x: Value,
    *,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> tuple[Value, Value]:
    """https://onnx.ai/onnx/operators/onnx__MaxPool.html"""
    made = _pooled(x, kernel_shape, strides, dilations, pads, auto_pad, ceil_mode)
    return Value(x.encoding, made), Value(INT64, made)


@cost("MaxPool", kind="pooling")
def max_pool_cost(x: Value, *, kernel_shape: Sequence[int] = (), out: Value) -> Cost:
    """ops = numel(out) x (prod(kernel) - 1) comparisons"""
    return Cost(0, out.numel * (prod(kernel_shape) - 1))


@shape("AveragePool", "LpPool")
def average_pool(
    x: Value,
    *,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """https://onnx.ai/onnx/operators/onnx__AveragePool.html, https://onnx.ai/onnx/operators/onnx__LpPool.html"""
    return Value(x.encoding, _pooled(x, kernel_shape, strides, dilations, pads, auto_pad, ceil_mode))


@cost("AveragePool", kind="pooling")
def average_pool_cost(x: Value, *, kernel_shape: Sequence[int] = (), out: Value) -> Cost:
    """ops = numel(out) x prod(kernel) (prod(kernel) - 1 additions and a division)"""
    return Cost(0, out.numel * prod(kernel_shape))


@cost("LpPool", kind="pooling")
def lp_pool_cost(x: Value, *, kernel_shape: Sequence[int] = (), out: Value) -> Cost:
    """ops = numel(out) x 2 x prod(kernel) (prod(kernel) powers, prod(kernel) - 1 additions and a root)"""
    return Cost(0, out.numel * (2 * prod(kernel_shape)))


@shape("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def global_pool(x: Value) -> Value:
    """https://onnx.ai/onnx/operators/onnx__GlobalAveragePool.html,
    https://onnx.ai/onnx/operators/onnx__GlobalMaxPool.html, https://onnx.ai/onnx/operators/onnx__GlobalLpPool.html"""
    assert x.shape is not None
    if len(x.shape) < 3:
        raise ValueError(f"an input of rank {len(x.shape)}; N x C x spatial expected")
    return Value(x.encoding, x.shape[:2] + (1,) * (len(x.shape) - 2))


@cost("GlobalAveragePool", kind="pooling")
def global_average_pool_cost(x: Value, *, out: Value) -> Cost:
    """ops = numel(x) (per map: one addition less than elements, and a division)"""
    return Cost(0, x.numel)


@cost("GlobalMaxPool", kind="pooling")
def global_max_pool_cost(x: Value, *, out: Value) -> Cost:
    """ops = numel(x) - numel(out) comparisons"""
    return Cost(0, x.numel - out.numel)


@cost("GlobalLpPool", kind="pooling")
def global_lp_pool_cost(x: Value, *, out: Value) -> Cost:
    """ops = numel(x) x 2 (per map: as many powers as elements, one addition less, and a root)"""
    return Cost(0, 2 * x.numel)


@shape("MaxUnpool")
def max_unpool(
    x: Value,
    i: Value,
    output_shape: Value | None = None,
    *,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
    ctx: Context,
) -> Value:
    """https://onnx.ai/onnx/operators/onnx__MaxUnpool.html"""
    assert x.shape is not None
    rank = len(x.shape) - 2
    if rank < 1 or kernel_shape is None:
        raise ValueError(f"kernel_shape {kernel_shape} over an input of rank {len(x.shape)}")
    if output_shape is not None:
        return Value(x.encoding, _stated(output_shape, x.shape, ctx))
    axes = zip(
        x.shape[2:], per_axis(kernel_shape, rank, 1), per_axis(strides, rank, 1), pad_pairs(pads, rank), strict=True
    )
    spatial = (((size - 1) * stride + kernel) - (begin + end) for size, kernel, stride, (begin, end) in axes)
    return Value(x.encoding, (*x.shape[:2], *spatial))


def _stated(output_shape: Value, x: Shape, ctx: Context) -> Shape:
    """The shape an input gives in full; N and C are the pooled tensor's."""
    given = length(output_shape)
    if given is not None and given != len(x):
        raise ValueError(f"an output_shape of {given} dims for an input of rank {len(x)}")
    known = known_ints(output_shape)
    if known is None:
        return (*x[:2], *(ctx.data_dim("the values of output_shape decide it") for _ in x[2:]))
    return known


@cost("MaxUnpool", kind="pooling")
def max_unpool_cost(x: Value, i: Value, output_shape: Value | None = None, *, out: Value) -> Cost:
    """ops = 0 (elements are placed, nothing is computed)"""
    return Cost()


def _regions(x: Value, rois: Value, width: int) -> tuple[Dim, Dim]:
    """How many regions, and how many channels. Raises ValueError on impossible ranks."""
    assert x.shape is not None and rois.shape is not None
    if len(x.shape) != 4 or len(rois.shape) != 2 or (isinstance(rois.shape[1], int) and rois.shape[1] != width):
        raise ValueError(
            f"an input of rank {len(x.shape)} with regions {list(rois.shape)}; N x C x H x W and R x {width}"
        )
    return rois.shape[0], x.shape[1]


@shape("MaxRoiPool")
def max_roi_pool(x: Value, rois: Value, *, pooled_shape: Sequence[int] | None = None) -> Value:
    """https://onnx.ai/onnx/operators/onnx__MaxRoiPool.html"""
    return Value(x.encoding, (*_regions(x, rois, 5), *per_axis(pooled_shape, 2, 1)))


unpriced("MaxRoiPool", kind="pooling", reason="the sizes of the regions fed decide how many elements are compared")


@shape("RoiAlign")
def roi_align(x: Value, rois: Value, batch_indices: Value, *, output_height: int = 1, output_width: int = 1) -> Value:
    """https://onnx.ai/onnx/operators/onnx__RoiAlign.html"""
    return Value(x.encoding, (*_regions(x, rois, 4), output_height, output_width))


@cost("RoiAlign", kind="pooling")
def roi_align_cost(x: Value, rois: Value, batch_indices: Value, *, sampling_ratio: int = 0, out: Value) -> Cost:
    """ops = numel(out) x sampling_ratio² x 12 (11 per bilinear sample: 4 products, 3 sums, 4 weights; 1 to accumulate);
    unknown with sampling_ratio 0, where the sizes of the regions fed decide how many samples are taken"""
    if sampling_ratio < 1:
        raise Undecided("the sizes of the regions fed: sampling_ratio is 0")
    return Cost(0, out.numel * (12 * sampling_ratio * sampling_ratio))
