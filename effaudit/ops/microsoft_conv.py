"""com.microsoft convolutions: fused, channels last, quantized, causal with a carried state. MACs as in `conv`.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from effaudit import dims
from effaudit.dims import Dim
from effaudit.graph import Shape, Value
from effaudit.ops._inputs import agreed, given, need, ranked
from effaudit.ops._registry import MICROSOFT, Context, Cost, cost, numel, shape, storage
from effaudit.ops._shapes import fixed_ints
from effaudit.ops._windows import pad_pairs, per_axis
from effaudit.ops.conv import bias_ops, conv_kind, conv_macs, conv_shape
from effaudit.ops.microsoft_matmul import REQUANTIZE, activation_ops


def to_first(x: Shape) -> Shape:
    """Channels last (N, spatial.., C) as channels first (N, C, spatial..)."""
    return (x[0], x[-1], *x[1:-1])


def to_last(x: Shape) -> Shape:
    """Channels first as channels last."""
    return (x[0], *x[2:], x[1])


@shape("FusedConv", domain=MICROSOFT)
def fused_conv(
    x: Value,
    w: Value,
    b: Value | None = None,
    z: Value | None = None,
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
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.FusedConv"""
    return Value(x.encoding, conv_shape(ranked(x, "X"), ranked(w, "W"), group, strides, dilations, pads, auto_pad))


@shape("NhwcConv", domain=MICROSOFT)
def nhwc_conv(
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
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.NhwcConv
    (the data has its channels last, the weights stay M x C/group x kernel)"""
    first = conv_shape(to_first(ranked(x, "X")), ranked(w, "W"), group, strides, dilations, pads, auto_pad)
    return Value(x.encoding, to_last(first))


@shape("NhwcFusedConv", domain=MICROSOFT)
def nhwc_fused_conv(
    x: Value,
    w: Value,
    b: Value | None = None,
    z: Value | None = None,
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
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.NhwcFusedConv"""
    return nhwc_conv(x, w, b, auto_pad=auto_pad, dilations=dilations, group=group, pads=pads, strides=strides)


def _last_kind(x: Value, w: Value, *rest: Any, group: int = 1, **_: Any) -> str:
    return conv_kind(Value(x.encoding, to_first(ranked(x, "X"))), w, group=group)


@cost("NhwcConv", domain=MICROSOFT, kind=_last_kind)
def nhwc_conv_cost(x: Value, w: Value, b: Value | None = None, *, group: int = 1, out: Value) -> Cost:
    """macs = numel(out) x C/group x prod(kernel); ops = numel(out) for a bias"""
    return Cost(conv_macs(out, w), bias_ops(out, b))


@cost("FusedConv", domain=MICROSOFT, kind=conv_kind)
@cost("NhwcFusedConv", domain=MICROSOFT, kind=_last_kind)
def fused_conv_cost(
    x: Value,
    w: Value,
    b: Value | None = None,
    z: Value | None = None,
    *,
    activation: str = "",
    group: int = 1,
    out: Value,
) -> Cost:
    """macs = numel(out) x C/group x prod(kernel); ops = numel(out) each for a bias and a sum,
    + numel(out) x the activation's number"""
    return Cost(conv_macs(out, w), out.numel * (given(b, z) + activation_ops(activation)))


storage("FusedConv", "NhwcFusedConv", domain=MICROSOFT, overwrites=(3,))


@shape("QLinearConv", domain=MICROSOFT)
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
    channels_last: int = 0,
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.QLinearConv"""
    data = to_first(ranked(x, "x")) if channels_last else ranked(x, "x")
    first = conv_shape(data, ranked(w, "w"), group, strides, dilations, pads, auto_pad)
    return Value(y_zero_point.encoding, to_last(first) if channels_last else first)


def _qlinear_kind(
    x: Value,
    x_scale: Value,
    x_zero_point: Value,
    w: Value,
    *rest: Any,
    channels_last: int = 0,
    group: int = 1,
    **_: Any,
) -> str:
    return _last_kind(x, w, group=group) if channels_last else conv_kind(x, w, group=group)


@cost("QLinearConv", domain=MICROSOFT, kind=_qlinear_kind)
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
    channels_last: int = 0,
    group: int = 1,
    out: Value,
) -> Cost:
    """macs = numel(out) x C/group x prod(kernel); ops = numel(out) x 2 to requantize, + numel(out) for a bias"""
    return Cost(conv_macs(out, w), REQUANTIZE * out.numel + bias_ops(out, b))


@shape("ConvTransposeWithDynamicPads", domain=MICROSOFT)
def conv_transpose_with_dynamic_pads(
    x: Value,
    w: Value,
    pads: Value | None = None,
    b: Value | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    output_padding: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
    ctx: Context,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.ConvTransposeWithDynamicPads"""
    data, weights = ranked(x, "X"), ranked(w, "W")
    rank = len(data) - 2
    if len(weights) != len(data) or rank < 1:
        raise ValueError(f"input of rank {len(data)} with a kernel of rank {len(weights)}")
    known = fixed_ints(pads) if pads is not None else (0,) * (2 * rank)
    if known is None:
        return Value(
            x.encoding, (data[0], weights[1] * group, *(ctx.data_dim("the pads are fed") for _ in range(rank)))
        )
    steps, spread = per_axis(strides, rank, 1), per_axis(dilations, rank, 1)
    extra, around = per_axis(output_padding, rank, 0), pad_pairs(known, rank)
    spatial: list[Dim] = []
    for i in range(rank):
        size = steps[i] * (data[2 + i] - 1) + extra[i] + spread[i] * (weights[2 + i] - 1) + 1
        spatial.append(size - sum(around[i]) if auto_pad in ("NOTSET", "") else data[2 + i] * steps[i])
    return Value(x.encoding, (data[0], weights[1] * group, *spatial))


@cost("ConvTransposeWithDynamicPads", domain=MICROSOFT, kind="transposed")
def conv_transpose_with_dynamic_pads_cost(
    x: Value, w: Value, pads: Value | None = None, b: Value | None = None, *, out: Value
) -> Cost:
    """macs = numel(x) x prod(W.shape[1:]); ops = numel(out) for a bias"""
    return Cost(x.numel * numel(ranked(w, "W")[1:]), bias_ops(out, b))


@shape("CausalConvWithState", domain=MICROSOFT)
def causal_conv_with_state(
    input: Value,
    weight: Value,
    bias: Value | None = None,
    past_state: Value | None = None,
    *,
    activation: str = "none",
    channels_last: int = 0,
    dilation: int = 1,
    ndim: int = 1,
    state_window: int = 0,
) -> tuple[Value, Value]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.CausalConvWithState"""
    data, kernel = ranked(input, "input"), ranked(weight, "weight")
    carried = (kernel[-1] - 1) * dilation
    if channels_last:
        state: Shape = (data[0], carried, *data[2:])
    else:
        if len(data) != ndim + 2:
            raise ValueError(f"an input of rank {len(data)} with {ndim} spatial axes")
        state = (*data[:-1], carried)
    window = (state_window,) if state_window > 0 else ()
    return Value(input.encoding, data), Value(input.encoding, (*window, *state))


@cost("CausalConvWithState", domain=MICROSOFT, kind="depthwise")
def causal_conv_with_state_cost(
    input: Value,
    weight: Value,
    bias: Value | None = None,
    past_state: Value | None = None,
    *,
    activation: str = "none",
    out: Value,
) -> Cost:
    """macs = numel(out) x prod(kernel); ops = numel(out) for a bias, + numel(out) x the activation's number"""
    macs = out.numel * numel(ranked(weight, "weight")[2:])
    return Cost(macs, out.numel * (given(bias) + activation_ops(activation)))


@shape("VarlenCausalConvWithState", domain=MICROSOFT)
def varlen_causal_conv_with_state(
    input: Value,
    weight: Value,
    cumulative_sequence_length: Value,
    bias: Value | None = None,
    initial_state: Value | None = None,
    capture_count: Value | None = None,
    *,
    activation: str = "none",
    dilation: int = 1,
    state_update_capacity: int = 0,
) -> tuple[Value, ...]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.VarlenCausalConvWithState"""
    data, state = ranked(input, "input", 2), ranked(initial_state, "initial_state", 3)
    batch = agreed(
        "the batch size", state[0], ranked(cumulative_sequence_length, "cumulative_sequence_length", 1)[0] - 1
    )
    return (
        Value(input.encoding, data),
        Value(need(initial_state, "initial_state").encoding, (batch, *state[1:])),
        Value(input.encoding, (batch, state_update_capacity, data[1])),
    )


@cost("VarlenCausalConvWithState", domain=MICROSOFT, kind="depthwise")
def varlen_causal_conv_with_state_cost(
    input: Value,
    weight: Value,
    cumulative_sequence_length: Value,
    bias: Value | None = None,
    initial_state: Value | None = None,
    capture_count: Value | None = None,
    *,
    activation: str = "none",
    out: Value,
) -> Cost:
    """macs = numel(out) x kernel; ops = numel(out) for a bias, + numel(out) x the activation's number"""
    macs = out.numel * numel(ranked(weight, "weight", 3)[2:])
    return Cost(macs, out.numel * (given(bias) + activation_ops(activation)))


@shape("WordConvEmbedding", domain=MICROSOFT)
def word_conv_embedding(
    sequence: Value,
    w: Value,
    b: Value,
    c: Value,
    *,
    char_embedding_size: int = 0,
    conv_window_size: int = 0,
    embedding_size: int = 0,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.WordConvEmbedding"""
    return Value(w.encoding, (*ranked(sequence, "Sequence")[:-1], ranked(w, "W", 4)[0]))


@cost("WordConvEmbedding", domain=MICROSOFT, kind="conv")
def word_conv_embedding_cost(sequence: Value, w: Value, b: Value, c: Value, *, out: Value) -> Cost:
    """macs = words x (characters - window + 1) x numel(W), every word at its padded length;
    ops = words x (characters - window + 1) x filters x 3 (bias, tanh, max)"""
    words, kernel = ranked(sequence, "Sequence"), ranked(w, "W", 4)
    positions = numel(words[:-1]) * dims.maximum(words[-1] - kernel[2] + 1, 0)
    return Cost(positions * w.numel, 3 * positions * kernel[0])
