"""com.microsoft fusions that keep the shape of their input: activations, biases, dropout, gates.

Numbers per element as in `elementwise` and `normalization`; the tanh approximation of Gelu counts 9.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from effaudit import dims
from effaudit.dims import Dim
from effaudit.graph import BOOL, ENCODINGS, Value
from effaudit.ops._data import scalar
from effaudit.ops._inputs import given, ranked
from effaudit.ops._registry import MICROSOFT, Cost, cost, numel, shape, storage
from effaudit.ops._shapes import axis_of
from effaudit.ops.elementwise import ACTIVATIONS
from effaudit.ops.microsoft_matmul import FAST_GELU, activation_ops

GELU = ACTIVATIONS["Gelu"]
SCALED_SWISH = 1 + ACTIVATIONS["Swish"]
SOFTMAX = 5
DROPOUT = 3  # draw, compare, scale
UINT32 = ENCODINGS[12]


@shape("Gelu", domain=MICROSOFT)
def gelu(x: Value) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.Gelu"""
    return Value(x.encoding, x.shape)


@cost("Gelu", domain=MICROSOFT, kind="activation")
def gelu_cost(x: Value, *, out: Value) -> Cost:
    """ops = 5 x numel(out)"""
    return Cost(0, GELU * out.numel)


@shape("BiasGelu", domain=MICROSOFT)
def bias_gelu(a: Value, b: Value) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.BiasGelu"""
    return Value(a.encoding, a.shape)


@cost("BiasGelu", domain=MICROSOFT, kind="activation")
def bias_gelu_cost(a: Value, b: Value, *, out: Value) -> Cost:
    """ops = 6 x numel(out) (add, Gelu 5)"""
    return Cost(0, (1 + GELU) * out.numel)


@shape("FastGelu", domain=MICROSOFT)
def fast_gelu(x: Value, bias: Value | None = None) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.FastGelu"""
    return Value(x.encoding, x.shape)


@cost("FastGelu", domain=MICROSOFT, kind="activation")
def fast_gelu_cost(x: Value, bias: Value | None = None, *, out: Value) -> Cost:
    """ops = 9 x numel(out) (cube 2, scales 2, adds 2, tanh, halve, multiply), + numel(out) for a bias"""
    return Cost(0, (FAST_GELU + given(bias)) * out.numel)


@shape("QuickGelu", domain=MICROSOFT)
def quick_gelu(x: Value, *, alpha: float = 1.702) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.QuickGelu"""
    return Value(x.encoding, x.shape)


@shape("ScaledSiLU", domain=MICROSOFT)
def scaled_silu(x: Value, scale: Value | None = None, *, alpha: float = 1.0) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.ScaledSiLU"""
    return Value(x.encoding, x.shape)


@cost("QuickGelu", domain=MICROSOFT, kind="activation")
def quick_gelu_cost(x: Value, *, out: Value) -> Cost:
    """ops = 6 x numel(out) (scale, sigmoid 4, multiply)"""
    return Cost(0, SCALED_SWISH * out.numel)


@cost("ScaledSiLU", domain=MICROSOFT, kind="activation")
def scaled_silu_cost(x: Value, scale: Value | None = None, *, out: Value) -> Cost:
    """ops = 6 x numel(out) (scale, sigmoid 4, multiply)"""
    return Cost(0, SCALED_SWISH * out.numel)


@shape("BiasSplitGelu", domain=MICROSOFT)
def bias_split_gelu(x: Value, bias: Value) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.BiasSplitGelu"""
    batch, length, width = ranked(x, "X", 3)
    return Value(x.encoding, (batch, length, dims.floordiv(width, 2)))


@cost("BiasSplitGelu", domain=MICROSOFT, kind="activation")
def bias_split_gelu_cost(x: Value, bias: Value, *, out: Value) -> Cost:
    """ops = numel(X) to add the bias, + 6 x numel(out) (Gelu 5, multiply)"""
    return Cost(0, x.numel + (GELU + 1) * out.numel)


@shape("BiasAdd", domain=MICROSOFT)
def bias_add(x: Value, bias: Value, skip: Value) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.BiasAdd"""
    return Value(x.encoding, ranked(x, "X", 3))


@cost("BiasAdd", domain=MICROSOFT, kind="elementwise")
def bias_add_cost(x: Value, bias: Value, skip: Value, *, out: Value) -> Cost:
    """ops = 2 x numel(out)"""
    return Cost(0, 2 * out.numel)


@shape("GatedAdd", domain=MICROSOFT)
def gated_add(x: Value, y: Value, gate: Value) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.GatedAdd"""
    return Value(x.encoding, x.shape)


@cost("GatedAdd", domain=MICROSOFT, kind="elementwise")
def gated_add_cost(x: Value, y: Value, gate: Value, *, out: Value) -> Cost:
    """ops = 2 x numel(out) (multiply, add)"""
    return Cost(0, 2 * out.numel)


@shape("BiasSoftmax", domain=MICROSOFT)
def bias_softmax(data: Value, bias: Value, *, axis: int = 1, is_inner_broadcast: int) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.BiasSoftmax"""
    axis_of(axis, len(ranked(data, "data")))
    return Value(data.encoding, data.shape)


@cost("BiasSoftmax", domain=MICROSOFT, kind="softmax")
def bias_softmax_cost(data: Value, bias: Value, *, out: Value) -> Cost:
    """ops = 6 x numel(out) (add; max, subtract, exp, sum, divide)"""
    return Cost(0, (1 + SOFTMAX) * out.numel)


def _mask(data: Value, packed: bool) -> Value:
    """One flag per element, or 32 of them in a word."""
    return Value(UINT32, (dims.ceildiv(data.numel, 32),)) if packed else Value(BOOL, data.shape)


@shape("BiasDropout", domain=MICROSOFT)
def bias_dropout(
    data: Value,
    bias: Value,
    residual: Value | None = None,
    ratio: Value | None = None,
    training_mode: Value | None = None,
    *,
    seed: int = 0,
) -> tuple[Value, Value]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.BiasDropout"""
    return Value(data.encoding, data.shape), _mask(data, False)


@shape("BitmaskBiasDropout", domain=MICROSOFT)
def bitmask_bias_dropout(
    data: Value,
    bias: Value,
    residual: Value | None = None,
    ratio: Value | None = None,
    training_mode: Value | None = None,
    *,
    seed: int = 0,
) -> tuple[Value, Value]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.BitmaskBiasDropout"""
    return Value(data.encoding, data.shape), _mask(data, True)


@shape("BitmaskDropout", domain=MICROSOFT)
def bitmask_dropout(
    data: Value, ratio: Value | None = None, training_mode: Value | None = None, *, seed: int = 0
) -> tuple[Value, Value]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.BitmaskDropout"""
    return Value(data.encoding, data.shape), _mask(data, True)


def _drop_ops(training_mode: Value | None) -> int:
    """What dropping costs per element: nothing unless the model trains, or may."""
    return 0 if training_mode is None or scalar(training_mode) in (0, False) else DROPOUT


@cost("BiasDropout", "BitmaskBiasDropout", domain=MICROSOFT, kind="elementwise")
def bias_dropout_cost(
    data: Value,
    bias: Value,
    residual: Value | None = None,
    ratio: Value | None = None,
    training_mode: Value | None = None,
    *,
    out: Value,
) -> Cost:
    """ops = numel(out) for the bias, + numel(out) for a residual, + 3 x numel(out) in training (or where it is fed)"""
    return Cost(0, (1 + given(residual) + _drop_ops(training_mode)) * out.numel)


@cost("BitmaskDropout", domain=MICROSOFT, kind="movement")
def bitmask_dropout_cost(
    data: Value, ratio: Value | None = None, training_mode: Value | None = None, *, out: Value
) -> Cost:
    """ops = 0 (a copy at inference); 3 x numel(out) in training (draw, compare, scale), also where the mode is fed"""
    return Cost(0, _drop_ops(training_mode) * out.numel)


storage("Gelu", "BiasGelu", "FastGelu", "QuickGelu", "ScaledSiLU", "BiasDropout", domain=MICROSOFT, overwrites=(0,))
storage("BiasAdd", domain=MICROSOFT, overwrites=(0, 2))
storage("GatedAdd", domain=MICROSOFT, overwrites=(0, 1))
storage("BiasSoftmax", "BitmaskBiasDropout", domain=MICROSOFT, overwrites=(0,))


@shape("EngramGate", domain=MICROSOFT)
def engram_gate(
    key: Value,
    query: Value,
    value: Value,
    key_norm_scale: Value,
    query_norm_scale: Value,
    conv_norm_scale: Value | None = None,
    *,
    epsilon: float = 1e-5,
) -> tuple[Value, Value]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.EngramGate"""
    made = Value(value.encoding, ranked(key, "key", 4))
    return made, made


@cost("EngramGate", domain=MICROSOFT, kind="norm")
def engram_gate_cost(
    key: Value,
    query: Value,
    value: Value,
    key_norm_scale: Value,
    query_norm_scale: Value,
    conv_norm_scale: Value | None = None,
    *,
    out: Value,
) -> Cost:
    """ops = 9 x numel(key) (two norms of 3, dot product 2, gate 1), + 10 per gate (scale, sign, abs, max, root,
    product, sigmoid 4), + 3 x numel(key) with a norm of the result"""
    gates = numel(ranked(key, "key", 4)[:-1])
    return Cost(0, (9 + 3 * given(conv_norm_scale)) * key.numel + 10 * gates)


def _branches(streams: Value, num_branches: int) -> tuple[tuple[Dim, ...], Dim, Dim]:
    """(leading axes, branches, features) of grouped (.., C, H) or flattened (.., C x H) streams."""
    data = ranked(streams, "streams")
    if num_branches > 0:
        return data[:-1], num_branches, dims.floordiv(data[-1], num_branches)
    if len(data) < 2:
        raise ValueError(f"grouped streams of rank {len(data)}")
    return data[:-2], data[-2], data[-1]


@shape("HyperConnectionPreMix", domain=MICROSOFT)
def hyper_connection_pre_mix(
    streams: Value, pre_mix: Value, *, num_branches: int = 0, reduction_scale: float = 1.0
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.HyperConnectionPreMix"""
    lead, _, features = _branches(streams, num_branches)
    return Value(streams.encoding, (*lead, features))


@cost("HyperConnectionPreMix", domain=MICROSOFT, kind="elementwise")
def hyper_connection_pre_mix_cost(streams: Value, pre_mix: Value, *, reduction_scale: float = 1.0, out: Value) -> Cost:
    """ops = 2 x numel(streams) (multiply, add up), + numel(out) for a scale"""
    return Cost(0, 2 * streams.numel + (reduction_scale != 1.0) * out.numel)


@shape("HyperConnectionPostMix", domain=MICROSOFT)
def hyper_connection_post_mix(
    streams: Value, block_output: Value, post_mix: Value, stream_mix: Value | None = None, *, num_branches: int = 0
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.HyperConnectionPostMix"""
    _branches(streams, num_branches)
    return Value(streams.encoding, streams.shape)


@cost("HyperConnectionPostMix", domain=MICROSOFT, kind="gemm")
def hyper_connection_post_mix_cost(
    streams: Value,
    block_output: Value,
    post_mix: Value,
    stream_mix: Value | None = None,
    *,
    num_branches: int = 0,
    out: Value,
) -> Cost:
    """macs = numel(streams) x branches with a stream_mix (a C x C by C x H product per token), else 0;
    ops = 2 x numel(out) (gate, add)"""
    _, branches, _ = _branches(streams, num_branches)
    return Cost(streams.numel * branches if stream_mix is not None else 0, 2 * out.numel)


@shape("GatedRMSNorm", domain=MICROSOFT)
def gated_rms_norm(x: Value, scale: Value, gate: Value, *, activation: str = "silu", epsilon: float = 1e-5) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.GatedRMSNorm"""
    return Value(x.encoding, x.shape)


@cost("GatedRMSNorm", domain=MICROSOFT, kind="norm")
def gated_rms_norm_cost(x: Value, scale: Value, gate: Value, *, activation: str = "silu", out: Value) -> Cost:
    """ops = numel(out) x (3 for the norm + 1 for the gate + the activation's number)"""
    return Cost(0, (3 + 1 + activation_ops(activation)) * out.numel)


@shape("BranchwiseRMSNorm", domain=MICROSOFT)
def branchwise_rms_norm(x: Value, scale: Value | None = None, *, epsilon: float = 1e-5, num_branches: int = 0) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.BranchwiseRMSNorm"""
    return Value(x.encoding, x.shape)


@cost("BranchwiseRMSNorm", domain=MICROSOFT, kind="norm")
def branchwise_rms_norm_cost(x: Value, scale: Value | None = None, *, out: Value) -> Cost:
    """ops = 2 x numel(out) (square and accumulate, times the inverse root), + numel(out) for a scale"""
    return Cost(0, (2 + given(scale)) * out.numel)
