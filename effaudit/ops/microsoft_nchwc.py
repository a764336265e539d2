"""com.microsoft.nchwc: convolutions and pools over tensors whose channels lie in blocks of 8 or 16.

Such a tensor keeps its N x C x H x W shape with C rounded up to whole blocks. The block is 8 with AVX2 and 16 with
AVX-512 or on ARM; the file does not say which.

https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/graph/contrib_ops/nchwc_schema_defs.cc
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Final

from effaudit import dims
from effaudit.dims import Dim
from effaudit.graph import Value
from effaudit.ops._inputs import given, ranked
from effaudit.ops._registry import NCHWC, Context, Cost, cost, shape, storage
from effaudit.ops.conv import conv_kind, conv_macs, conv_shape
from effaudit.ops.microsoft_matmul import activation_ops
from effaudit.ops.microsoft_pooling import pooled

SMALL: Final = 8
LARGE: Final = 16
BILINEAR = 11  # four products, three sums, four weights: as in `resize`


def _blocked(channels: Dim, ctx: Context) -> Dim:
    """`channels` in whole blocks; a bounded unknown where blocks of 8 and of 16 differ."""
    low, high = (dims.ceildiv(channels, block) * block for block in (SMALL, LARGE))
    if low == high:
        return low
    least = dims.bounds(low)[0]
    return ctx.unknown_dim("channels in blocks of 8 or 16, whichever the machine uses", least or 0, high)


@shape("ReorderInput", domain=NCHWC)
def reorder_input(x: Value, *, channels_last: int = 0, ctx: Context) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/graph/contrib_ops/nchwc_schema_defs.cc"""
    data = ranked(x, "X")
    if len(data) < 2:
        raise ValueError(f"an input of rank {len(data)}")
    channels, spatial = (data[-1], data[1:-1]) if channels_last else (data[1], data[2:])
    return Value(x.encoding, (data[0], _blocked(channels, ctx), *spatial))


@shape("ReorderOutput", domain=NCHWC)
def reorder_output(x: Value, *, channels: int = 0, channels_last: int = 0) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/graph/contrib_ops/nchwc_schema_defs.cc"""
    data = ranked(x, "X")
    if channels < 1 or len(data) < 2:
        raise ValueError(f"{channels} channels of an input of rank {len(data)}")
    return Value(x.encoding, (data[0], *data[2:], channels) if channels_last else (data[0], channels, *data[2:]))


@cost("ReorderInput", "ReorderOutput", domain=NCHWC, kind="movement")
def reorder_cost(x: Value, *, out: Value) -> Cost:
    """no arithmetic: reads and writes every element once"""
    return Cost()


@shape("Conv", domain=NCHWC)
def conv(
    x: Value,
    w: Value,
    b: Value | None = None,
    sum: Value | None = None,
    *,
    activation: str = "",
    activation_params: Sequence[float] | None = None,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/graph/contrib_ops/nchwc_schema_defs.cc"""
    return Value(x.encoding, conv_shape(ranked(x, "X"), ranked(w, "W"), group, strides, dilations, pads, auto_pad))


@cost("Conv", domain=NCHWC, kind=conv_kind)
def conv_cost(
    x: Value,
    w: Value,
    b: Value | None = None,
    sum: Value | None = None,
    *,
    activation: str = "",
    group: int = 1,
    out: Value,
) -> Cost:
    """macs = numel(out) x C/group x prod(kernel), padded channels included; ops = numel(out) each for a bias and a sum,
    + numel(out) x the activation's number"""
    return Cost(conv_macs(out, w), out.numel * (given(b, sum) + activation_ops(activation)))


storage("Conv", domain=NCHWC, overwrites=(3,))


@shape("MaxPool", domain=NCHWC)
def max_pool(
    x: Value,
    *,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Sequence[int] | None = None,
    kernel_shape: Sequence[int],
    pads: Sequence[int] | None = None,
    storage_order: int = 0,
    strides: Sequence[int] | None = None,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/graph/contrib_ops/nchwc_schema_defs.cc"""
    return Value(x.encoding, pooled(ranked(x, "X"), kernel_shape, strides, dilations, pads, auto_pad, ceil_mode))


@shape("AveragePool", domain=NCHWC)
def average_pool(
    x: Value,
    *,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: Sequence[int] | None = None,
    kernel_shape: Sequence[int],
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/graph/contrib_ops/nchwc_schema_defs.cc"""
    return Value(x.encoding, pooled(ranked(x, "X"), kernel_shape, strides, dilations, pads, auto_pad, ceil_mode))


@cost("MaxPool", domain=NCHWC, kind="pooling")
def max_pool_cost(x: Value, *, kernel_shape: Sequence[int], out: Value) -> Cost:
    """ops = numel(out) x (prod(kernel) - 1) comparisons"""
    return Cost(0, out.numel * (prod(kernel_shape) - 1))


@cost("AveragePool", domain=NCHWC, kind="pooling")
def average_pool_cost(x: Value, *, kernel_shape: Sequence[int], out: Value) -> Cost:
    """ops = numel(out) x prod(kernel) (prod(kernel) - 1 additions and a division)"""
    return Cost(0, out.numel * prod(kernel_shape))


@shape("GlobalMaxPool", "GlobalAveragePool", domain=NCHWC)
def global_pool(x: Value) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/graph/contrib_ops/nchwc_schema_defs.cc"""
    data = ranked(x, "X")
    return Value(x.encoding, (*data[:2], *(1 for _ in data[2:])))


@cost("GlobalMaxPool", domain=NCHWC, kind="pooling")
def global_max_pool_cost(x: Value, *, out: Value) -> Cost:
    """ops = numel(x) - numel(out) comparisons"""
    return Cost(0, x.numel - out.numel)


@cost("GlobalAveragePool", domain=NCHWC, kind="pooling")
def global_average_pool_cost(x: Value, *, out: Value) -> Cost:
    """ops = numel(x) (per map: one addition less than elements, and a division)"""
    return Cost(0, x.numel)


@shape("Upsample", domain=NCHWC)
def upsample(
    x: Value,
    *,
    coordinate_transformation_mode: str = "asymmetric",
    mode: str = "nearest",
    scales: Sequence[int] | None = None,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/graph/contrib_ops/nchwc_schema_defs.cc"""
    data = ranked(x, "X")
    if scales is None or len(scales) != len(data) or min(scales) < 1:
        raise ValueError(f"scales {scales} for an input of rank {len(data)}")
    return Value(x.encoding, tuple(d * s for d, s in zip(data, scales, strict=True)))


@cost("Upsample", domain=NCHWC, kind="resize")
def upsample_cost(x: Value, *, mode: str = "nearest", out: Value) -> Cost:
    """ops = 0 for nearest, numel(out) x 11 for linear (four products, three sums, four weights)"""
    return Cost(0, 0 if mode == "nearest" else BILINEAR * out.numel)
