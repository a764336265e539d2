"""com.microsoft normalization with what is fused to it: skip connections, embeddings, activations.

Numbers per element as in `normalization`: layer norm 5 (4 without a shift), root mean square norm 3.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from effaudit.dims import Dim
from effaudit.graph import FLOAT, INT32, Shape, Value
from effaudit.ops._inputs import given, need, ranked
from effaudit.ops._registry import MICROSOFT, Cost, cost, shape
from effaudit.ops.elementwise import ACTIVATIONS
from effaudit.ops.quantize import DEQUANTIZE

LAYER_NORM = 5
RMS_NORM = 3
SILU = ACTIVATIONS["Swish"]


def _skipped(input: Value) -> tuple[Value, ...]:
    """The normalized sum, mean and inverse deviation per row, and the sum itself."""
    data = ranked(input, "input", 2, 3)
    made, row = Value(input.encoding, data), Value(FLOAT, (*data[:-1], 1))
    return made, row, row, made


@shape("SkipLayerNormalization", domain=MICROSOFT)
def skip_layer_normalization(
    input: Value,
    skip: Value,
    gamma: Value,
    beta: Value | None = None,
    bias: Value | None = None,
    *,
    epsilon: float = 1e-12,
) -> tuple[Value, ...]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.SkipLayerNormalization"""
    return _skipped(input)


@cost("SkipLayerNormalization", domain=MICROSOFT, kind="norm")
def skip_layer_normalization_cost(
    input: Value, skip: Value, gamma: Value, beta: Value | None = None, bias: Value | None = None, *, out: Value
) -> Cost:
    """ops = numel(out) x (1 to add the skip + 4 for the norm + 1 with beta), + numel(out) for a bias"""
    return Cost(0, (LAYER_NORM + given(beta, bias)) * out.numel)


@shape("SkipSimplifiedLayerNormalization", domain=MICROSOFT)
def skip_simplified_layer_normalization(
    input: Value, skip: Value, gamma: Value, bias: Value | None = None, *, epsilon: float = 1e-12
) -> tuple[Value, ...]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.SkipSimplifiedLayerNormalization"""
    return _skipped(input)


@cost("SkipSimplifiedLayerNormalization", domain=MICROSOFT, kind="norm")
def skip_simplified_layer_normalization_cost(
    input: Value, skip: Value, gamma: Value, bias: Value | None = None, *, out: Value
) -> Cost:
    """ops = numel(out) x (1 to add the skip + 3 for the norm), + numel(out) for a bias"""
    return Cost(0, (1 + RMS_NORM + given(bias)) * out.numel)


def _embedded(input_ids: Value, table: Value) -> Shape:
    batch, length = ranked(input_ids, "input_ids", 2)
    return (batch, length, ranked(table, "word_embedding", 2)[1])


@shape("EmbedLayerNormalization", domain=MICROSOFT)
def embed_layer_normalization(
    input_ids: Value,
    segment_ids: Value | None = None,
    word_embedding: Value | None = None,
    position_embedding: Value | None = None,
    segment_embedding: Value | None = None,
    gamma: Value | None = None,
    beta: Value | None = None,
    mask: Value | None = None,
    position_ids: Value | None = None,
    *,
    epsilon: float = 1e-12,
    mask_index_type: int = 0,
) -> tuple[Value, ...]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.EmbedLayerNormalization"""
    table = need(word_embedding, "word_embedding")
    made = Value(table.encoding, _embedded(input_ids, table))
    return made, Value(input_ids.encoding, _embedded(input_ids, table)[:1]), made


@cost("EmbedLayerNormalization", domain=MICROSOFT, kind="embedding")
def embed_layer_normalization_cost(
    input_ids: Value,
    segment_ids: Value | None = None,
    word_embedding: Value | None = None,
    position_embedding: Value | None = None,
    segment_embedding: Value | None = None,
    gamma: Value | None = None,
    beta: Value | None = None,
    mask: Value | None = None,
    position_ids: Value | None = None,
    *,
    out: Value,
) -> Cost:
    """ops = numel(out) x (1 to add word and position, 1 more for a segment, 5 for the norm), + numel(mask) additions;
    reads the rows that are picked, not the tables"""
    tables = 2 + given(segment_embedding)
    small = (input_ids, segment_ids, gamma, beta, mask, position_ids)
    ops = out.numel * (tables - 1 + LAYER_NORM) + (mask.numel if mask is not None else 0)
    return Cost(0, ops, tables * out.nbytes + _bytes(*small))


def _bytes(*values: Value | None) -> Dim:
    total: Dim = 0
    for value in values:
        if value is not None:
            total = total + value.nbytes
    return total


@shape("QEmbedLayerNormalization", domain=MICROSOFT)
def qembed_layer_normalization(
    input_ids: Value,
    segment_ids: Value | None = None,
    word_embedding_quant: Value | None = None,
    position_embedding_quant: Value | None = None,
    segment_embedding: Value | None = None,
    gamma_quant: Value | None = None,
    beta_quant: Value | None = None,
    mask: Value | None = None,
    word_embedding_scale: Value | None = None,
    position_embedding_scale: Value | None = None,
    segment_embedding_scale: Value | None = None,
    gamma_scale: Value | None = None,
    beta_scale: Value | None = None,
    word_embedding_zero_point: Value | None = None,
    position_embedding_zero_point: Value | None = None,
    segment_embedding_zero_point: Value | None = None,
    gamma_zero_point: Value | None = None,
    beta_zero_point: Value | None = None,
    *,
    epsilon: float = 1e-12,
) -> tuple[Value, Value]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.QEmbedLayerNormalization"""
    data = _embedded(input_ids, need(word_embedding_quant, "word_embedding_quant"))
    return Value(need(word_embedding_scale, "word_embedding_scale").encoding, data), Value(INT32, data[:1])


@cost("QEmbedLayerNormalization", domain=MICROSOFT, kind="embedding")
def qembed_layer_normalization_cost(
    input_ids: Value,
    segment_ids: Value | None = None,
    word_embedding_quant: Value | None = None,
    position_embedding_quant: Value | None = None,
    segment_embedding: Value | None = None,
    gamma_quant: Value | None = None,
    beta_quant: Value | None = None,
    mask: Value | None = None,
    *rest: Value | None,
    out: Value,
) -> Cost:
    """ops = numel(out) x (2 per table to dequantize, 1 to add each after the first, 5 for the norm),
    + numel(mask) to add it up; reads the rows that are picked, not the tables"""
    tables = 2 + given(segment_embedding)
    picked = tables * need(word_embedding_quant, "word_embedding_quant").encoding.nbytes(out.numel)
    small = (input_ids, segment_ids, gamma_quant, beta_quant, mask)
    per_element = DEQUANTIZE * tables + tables - 1 + LAYER_NORM
    return Cost(0, out.numel * per_element + (mask.numel if mask is not None else 0), picked + _bytes(*small))


def _grouped(x: Value, groups: int, channels_last: int) -> Value:
    data = ranked(x, "X", 4)
    channels = data[3] if channels_last else data[1]
    if groups < 1 or (isinstance(channels, int) and channels % groups):
        raise ValueError(f"{channels} channels do not divide into {groups} groups")
    return Value(x.encoding, data)


@shape("GroupNorm", domain=MICROSOFT)
def group_norm(
    x: Value,
    gamma: Value,
    beta: Value,
    *,
    activation: int,
    channels_last: int = 1,
    epsilon: float = 1e-5,
    groups: int,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.GroupNorm"""
    return _grouped(x, groups, channels_last)


@cost("GroupNorm", domain=MICROSOFT, kind="norm")
def group_norm_cost(x: Value, gamma: Value, beta: Value, *, activation: int = 0, out: Value) -> Cost:
    """ops = 5 x numel(out), + 5 x numel(out) for SiLU"""
    return Cost(0, (LAYER_NORM + (SILU if activation else 0)) * out.numel)


@shape("SkipGroupNorm", domain=MICROSOFT)
def skip_group_norm(
    x: Value,
    gamma: Value,
    beta: Value,
    skip: Value,
    bias: Value | None = None,
    *,
    activation: int,
    channels_last: int = 1,
    epsilon: float = 1e-5,
    groups: int,
) -> tuple[Value, Value]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.SkipGroupNorm"""
    made = _grouped(x, groups, channels_last)
    return made, made


@cost("SkipGroupNorm", domain=MICROSOFT, kind="norm")
def skip_group_norm_cost(
    x: Value, gamma: Value, beta: Value, skip: Value, bias: Value | None = None, *, activation: int = 0, out: Value
) -> Cost:
    """ops = 6 x numel(out) (add the skip, norm 5), + numel(out) for a bias, + 5 x numel(out) for SiLU"""
    return Cost(0, (1 + LAYER_NORM + given(bias) + (SILU if activation else 0)) * out.numel)
