"""com.microsoft position embeddings: rotary, and biases from relative positions. Counting: see `_attention`.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from collections.abc import Sequence

from effaudit.dims import Dim
from effaudit.graph import Value
from effaudit.ops._attention import ROTARY_OPS, head_size
from effaudit.ops._inputs import agreed, ranked, scalar_dim
from effaudit.ops._registry import MICROSOFT, Context, Cost, cost, shape
from effaudit.ops.attention import rotated

BUCKET = 9  # subtract, abs, compare, divide, log, multiply, add, min, select


@shape("RotaryEmbedding", domain=MICROSOFT)
def rotary_embedding(
    input: Value,
    position_ids: Value,
    cos_cache: Value,
    sin_cache: Value,
    *,
    interleaved: int = 0,
    is_packed_batching: int = 0,
    num_heads: int = 0,
    rotary_embedding_dim: int = 0,
    scale: float = 1.0,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.RotaryEmbedding"""
    return Value(input.encoding, ranked(input, "input", 3, 4))


@shape("MRotaryEmbedding", domain=MICROSOFT)
def mrotary_embedding(
    input: Value,
    position_ids: Value,
    cos_cache: Value,
    sin_cache: Value,
    *,
    interleaved: int = 0,
    is_packed_batching: int = 0,
    mrope_layout: int = 0,
    mrope_section: Sequence[int],
    num_heads: int = 0,
    rotary_embedding_dim: int = 0,
    scale: float = 1.0,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MRotaryEmbedding"""
    return Value(input.encoding, ranked(input, "input", 3, 4))


@cost("RotaryEmbedding", "MRotaryEmbedding", domain=MICROSOFT, kind="elementwise")
def rotary_embedding_cost(
    input: Value,
    position_ids: Value,
    cos_cache: Value,
    sin_cache: Value,
    *,
    num_heads: int = 0,
    rotary_embedding_dim: int = 0,
    out: Value,
) -> Cost:
    """ops = 3 x rotated elements (two products, one sum): numel(input), or rotary_embedding_dim of every head"""
    return Cost(0, ROTARY_OPS * rotated(input, num_heads, rotary_embedding_dim))


@shape("GemmaRotaryEmbedding", domain=MICROSOFT)
def gemma_rotary_embedding(emb: Value, q: Value, q_rot: Value, k: Value, k_rot: Value) -> tuple[Value, Value]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.GemmaRotaryEmbedding"""
    return Value(q.encoding, ranked(q, "q", 4)), Value(k.encoding, ranked(k, "k", 4))


@cost("GemmaRotaryEmbedding", domain=MICROSOFT, kind="elementwise")
def gemma_rotary_embedding_cost(emb: Value, q: Value, q_rot: Value, k: Value, k_rot: Value, *, out: Value) -> Cost:
    """ops = 2 x numel(emb) (sine, cosine) + 3 x (numel(q) + numel(k))"""
    return Cost(0, 2 * emb.numel + ROTARY_OPS * (q.numel + k.numel))


@shape("RelativePositionBias", domain=MICROSOFT)
def relative_position_bias(
    bias_table: Value,
    query_length: Value,
    key_length: Value,
    *,
    is_bidirectional: int = 0,
    max_distance: int,
    ctx: Context,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.RelativePositionBias"""
    heads = ranked(bias_table, "bias_table", 2)[1]
    lengths = [
        known if known is not None else ctx.data_dim(f"{name} is fed at run time", 0)
        for name, known in (("query_length", scalar_dim(query_length)), ("key_length", scalar_dim(key_length)))
    ]
    return Value(bias_table.encoding, (1, heads, *lengths))


@cost("RelativePositionBias", domain=MICROSOFT, kind="embedding")
def relative_position_bias_cost(bias_table: Value, query_length: Value, key_length: Value, *, out: Value) -> Cost:
    """ops = 9 x Sq x Sk (the bucket of a pair: subtract, abs, compare, divide, log, multiply, add, min, select)"""
    _, _, queries, keys = ranked(out, "output", 4)
    return Cost(0, BUCKET * queries * keys, out.nbytes)


class _Gated:
    """The sizes of a GatedRelativePositionBias, its queries padded or packed."""

    def __init__(self, query_layer: Value, weight: Value, token_offset: Value | None, num_heads: int) -> None:
        q = ranked(query_layer, "query_layer", 2, 3)
        self.batch, self.length = ranked(token_offset, "token_offset", 2) if len(q) == 2 else q[:2]
        rows, self.gates = ranked(weight, "weight", 2)
        self.head: Dim = agreed("the head size", head_size(q[-1], num_heads), rows)
        self.tokens = q[0] if len(q) == 2 else q[0] * q[1]


@shape("GatedRelativePositionBias", domain=MICROSOFT)
def gated_relative_position_bias(
    query_layer: Value,
    query_bias: Value,
    rel_pos: Value,
    weight: Value,
    bias: Value,
    eco_a: Value,
    token_offset: Value | None = None,
    *,
    num_heads: int,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.GatedRelativePositionBias"""
    g = _Gated(query_layer, weight, token_offset, num_heads)
    return Value(query_layer.encoding, (g.batch, num_heads, g.length, g.length))


@cost("GatedRelativePositionBias", domain=MICROSOFT, kind="gemm")
def gated_relative_position_bias_cost(
    query_layer: Value,
    query_bias: Value,
    rel_pos: Value,
    weight: Value,
    bias: Value,
    eco_a: Value,
    token_offset: Value | None = None,
    *,
    num_heads: int,
    out: Value,
) -> Cost:
    """macs = B x heads x S x numel(weight); ops = numel(query_layer) for its bias, + B x heads x S x (2 x D + 10)
    (bias D, sums D - 2, two sigmoids 8, gate 4), + numel(out)"""
    g = _Gated(query_layer, weight, token_offset, num_heads)
    rows = g.batch * num_heads * g.length
    return Cost(rows * weight.numel, query_layer.numel + rows * (2 * g.gates + 10) + out.numel)
