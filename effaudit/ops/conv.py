"""Convolutions. MACs: numel(out) x prod(W.shape[1:]); transposed: numel(in) x prod(W.shape[1:]); padding counts as
data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from effaudit.dims import Dim
from effaudit.graph import INT32, Shape, Value
from effaudit.ops._registry import Cost, cost, numel, shape
from effaudit.ops._windows import pad_pairs, per_axis, window_shape


def conv_shape(
    x: Shape,
    w: Shape,
    group: int,
    strides: Sequence[int] | None,
    dilations: Sequence[int] | None,
    pads: Sequence[int] | None,
    auto_pad: str,
    kernel_shape: Sequence[int] | None = None,
) -> Shape:
    """N x M x spatial of a convolution of x (N x C x spatial) with w (M x C/group x kernel)."""
    if len(x) != len(w) or len(x) < 2:
        raise ValueError(f"input of rank {len(x)} with a kernel of rank {len(w)}")
    if kernel_shape and any(isinstance(k, int) and k != s for k, s in zip(w[2:], kernel_shape, strict=True)):
        raise ValueError(f"kernel_shape {list(kernel_shape)} with weights of {list(w[2:])}")
    channels, wanted = x[1], w[1]
    if group < 1 or (isinstance(w[0], int) and w[0] % group):
        raise ValueError(f"{w[0]} output channels do not divide into {group} groups")
    if isinstance(channels, int) and isinstance(wanted, int) and channels != wanted * group:
        raise ValueError(f"{channels} input channels where the kernel takes {wanted} x {group} groups")
    return (x[0], w[0], *window_shape(x[2:], w[2:], strides, dilations, pads, auto_pad))


def conv_kind(x: Value, w: Value, *rest: Any, group: int = 1, **_: Any) -> str:
    """conv, grouped, depthwise (one input channel per group) or pointwise (1x1, one group)."""
    if w.shape is None or x.shape is None:
        return "conv"
    if group > 1:
        return "depthwise" if w.shape[1] == 1 and x.shape[1] == group else "grouped"
    return "pointwise" if all(k == 1 for k in w.shape[2:]) and len(w.shape) > 2 else "conv"


def conv_macs(out: Value, w: Value) -> Dim:
    """Every output element is a dot product of one filter."""
    return out.numel * numel((w.shape or ())[1:])


def bias_ops(out: Value, bias: Value | None) -> Dim:
    """One addition per output element where there is a bias."""
    return out.numel if bias is not None else 0


@shape("Conv")
def conv(
    x: Value,
    w: Value,
    b: Value | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """https://onnx.ai/onnx/operators/onnx__Conv.html"""
    assert x.shape is not None and w.shape is not None
    return Value(x.encoding, conv_shape(x.shape, w.shape, group, strides, dilations, pads, auto_pad, kernel_shape))


@cost("Conv", kind=conv_kind)
def conv_cost(x: Value, w: Value, b: Value | None = None, *, group: int = 1, out: Value) -> Cost:
    """macs = numel(out) x C/group x prod(kernel); ops = numel(out) for a bias"""
    return Cost(conv_macs(out, w), bias_ops(out, b))


@shape("ConvInteger")
def conv_integer(
    x: Value,
    w: Value,
    x_zero_point: Value | None = None,
    w_zero_point: Value | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """https://onnx.ai/onnx/operators/onnx__ConvInteger.html"""
    assert x.shape is not None and w.shape is not None
    return Value(INT32, conv_shape(x.shape, w.shape, group, strides, dilations, pads, auto_pad, kernel_shape))


@cost("ConvInteger", kind=conv_kind)
def conv_integer_cost(
    x: Value,
    w: Value,
    x_zero_point: Value | None = None,
    w_zero_point: Value | None = None,
    *,
    group: int = 1,
    out: Value,
) -> Cost:
    """macs = numel(out) x C/group x prod(kernel); zero points are folded into the accumulation (no ops)"""
    return Cost(conv_macs(out, w))


@shape("QLinearConv")
def qlinear_conv(
    x: Value,
    x_scale: Value,
    x_zero_point: Value,
    w: Value,
    w_scale: Value,
    w_zero_point: Value,
    y_scale: Value,
    y_zero_point: Value,
    b: Value | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """https://onnx.ai/onnx/operators/onnx__QLinearConv.html"""
    assert x.shape is not None and w.shape is not None
    return Value(
        y_zero_point.encoding, conv_shape(x.shape, w.shape, group, strides, dilations, pads, auto_pad, kernel_shape)
    )


def _qlinear_kind(x: Value, x_scale: Value, x_zero_point: Value, w: Value, *rest: Any, group: int = 1, **_: Any) -> str:
    return conv_kind(x, w, group=group)


@cost("QLinearConv", kind=_qlinear_kind)
def qlinear_conv_cost(
    x: Value,
    x_scale: Value,
    x_zero_point: Value,
    w: Value,
    w_scale: Value,
    w_zero_point: Value,
    y_scale: Value,
    y_zero_point: Value,
    b: Value | None = None,
    *,
    group: int = 1,
    out: Value,
) -> Cost:
    """macs = numel(out) x C/group x prod(kernel); ops = numel(out) x 2 to requantize (scale, round), + numel(out) for
    a bias"""
    return Cost(conv_macs(out, w), 2 * out.numel + bias_ops(out, b))


@shape("ConvTranspose")
def conv_transpose(
    x: Value,
    w: Value,
    b: Value | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    output_padding: Sequence[int] | None = None,
    output_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """https://onnx.ai/onnx/operators/onnx__ConvTranspose.html"""
    assert x.shape is not None and w.shape is not None
    rank = len(x.shape) - 2
    if any(s < 1 for s in (*(strides or ()), *(dilations or ()))):
        raise ValueError("strides and dilations must be 1 or more")
    if len(x.shape) != len(w.shape) or rank < 0 or group < 1:
        raise ValueError(f"input of rank {len(x.shape)} with a kernel of rank {len(w.shape)}, group {group}")
    if output_shape:
        spatial: Shape = tuple(output_shape[-rank:])
    else:
        spatial = tuple(
            _transposed_dim(size, kernel, stride, dilation, pad, extra, auto_pad)
            for size, kernel, stride, dilation, pad, extra in zip(
                x.shape[2:],
                w.shape[2:],
                per_axis(strides, rank, 1),
                per_axis(dilations, rank, 1),
                pad_pairs(pads, rank),
                per_axis(output_padding, rank, 0),
                strict=True,
            )
        )
    return Value(x.encoding, (x.shape[0], w.shape[1] * group, *spatial))


def _transposed_dim(
    size: Dim, kernel: Dim, stride: int, dilation: int, pad: tuple[int, int], extra: int, auto_pad: str
) -> Dim:
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        return size * stride
    begin, end = (0, 0) if auto_pad == "VALID" else pad
    out = stride * (size - 1) + extra + dilation * (kernel - 1) + 1 - begin - end
    if isinstance(out, int) and out < 1:
        raise ValueError(f"an output of size {out}")
    return out


@cost("ConvTranspose", kind="transposed")
def conv_transpose_cost(x: Value, w: Value, b: Value | None = None, *, out: Value) -> Cost:
    """macs = numel(x) x prod(W.shape[1:]) (every input element meets every weight of its group); ops = numel(out) for
    a bias"""
    return Cost(x.numel * numel((w.shape or ())[1:]), bias_ops(out, b))


@shape("DeformConv")
def deform_conv(
    x: Value,
    w: Value,
    offset: Value,
    b: Value | None = None,
    mask: Value | None = None,
    *,
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    offset_group: int = 1,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """https://onnx.ai/onnx/operators/onnx__DeformConv.html"""
    assert x.shape is not None and w.shape is not None
    return Value(x.encoding, conv_shape(x.shape, w.shape, group, strides, dilations, pads, "NOTSET", kernel_shape))


@cost("DeformConv", kind="conv")
def deform_conv_cost(
    x: Value, w: Value, offset: Value, b: Value | None = None, mask: Value | None = None, *, out: Value
) -> Cost:
    """macs = numel(out) x C/group x prod(kernel); ops = 11 per sampled element (bilinear: 4 products, 3 sums, 4
    weights) of N x C x out spatial x prod(kernel), + 1 with a mask, + numel(out) for a bias"""
    assert x.shape is not None and w.shape is not None and out.shape is not None
    samples = x.shape[0] * x.shape[1] * numel(out.shape[2:]) * numel(w.shape[2:])
    return Cost(conv_macs(out, w), samples * (12 if mask is not None else 11) + bias_ops(out, b))
