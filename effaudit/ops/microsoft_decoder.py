"""com.microsoft attention of decoders and of packed batches, with its own projections. Counting: see `_attention`.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from collections.abc import Sequence

from effaudit.dims import Dim
from effaudit.errors import Undecided
from effaudit.graph import Value
from effaudit.ops._attention import Attend, head_size
from effaudit.ops._data import scalar
from effaudit.ops._inputs import given, need, ranked
from effaudit.ops._registry import MICROSOFT, Context, Cost, cost, shape, unpriced
from effaudit.ops.microsoft_attention import Fused, fused, valid_past


@shape("DecoderMaskedSelfAttention", domain=MICROSOFT)
def decoder_masked_self_attention(
    input: Value,
    weights: Value,
    bias: Value,
    mask_index: Value | None = None,
    past: Value | None = None,
    attention_bias: Value | None = None,
    past_sequence_length: Value | None = None,
    beam_width: Value | None = None,
    cache_indirection: Value | None = None,
    *,
    do_rotary: int = 0,
    mask_filter_value: float = -10000.0,
    num_heads: int,
    past_present_share_buffer: int = 0,
    scale: float | None = None,
) -> tuple[Value, Value]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.DecoderMaskedSelfAttention"""
    f = fused(input, weights, num_heads, need(past, "past"), None, 0 if past_present_share_buffer else None)
    a = f.attend
    return Value(input.encoding, (a.batch, a.queries, f.v_hidden)), Value(input.encoding, f.present)


@cost("DecoderMaskedSelfAttention", domain=MICROSOFT, kind="attention")
def decoder_masked_self_attention_cost(
    input: Value,
    weights: Value,
    bias: Value,
    mask_index: Value | None = None,
    past: Value | None = None,
    attention_bias: Value | None = None,
    past_sequence_length: Value | None = None,
    beam_width: Value | None = None,
    cache_indirection: Value | None = None,
    *,
    do_rotary: int = 0,
    num_heads: int,
    past_present_share_buffer: int = 0,
    out: Value,
) -> Cost:
    """macs = B x input size x columns of W + B x heads x Skv x (head + v_head), Skv the past included;
    ops = B x heads x Skv x (6 + masks and biases), + B x columns of W for the bias, + 3 per rotated element"""
    before = valid_past(past_sequence_length, past_present_share_buffer)
    f = fused(input, weights, num_heads, past, None, before)
    return f.cost(given(mask_index, attention_bias), 1, do_rotary)


@shape("DecoderAttention", domain=MICROSOFT)
def decoder_attention(
    query: Value,
    key: Value,
    q_weight: Value,
    kv_weight: Value,
    bias: Value,
    key_padding_mask: Value | None = None,
    key_cache: Value | None = None,
    value_cache: Value | None = None,
    static_kv: Value | None = None,
    use_past: Value | None = None,
    has_layer_state: Value | None = None,
    has_key_padding_mask: Value | None = None,
    *,
    mask_filter_value: float = -10000.0,
    num_heads: int,
    ctx: Context,
) -> tuple[Value, ...]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.DecoderAttention"""
    _, batch, hidden = ranked(query, "query", 3)
    lengths = _decoder_lengths(query, key, key_cache, static_kv, use_past, has_layer_state)
    keys = ctx.data_dim("static_kv, use_past and has_layer_state are fed") if lengths is None else lengths[0]
    cache = Value(query.encoding, (batch, num_heads, keys, head_size(hidden, num_heads)))
    return Value(query.encoding, query.shape), cache, cache


def _decoder_lengths(query: Value, key: Value, key_cache: Value | None, *flags: Value | None) -> tuple[Dim, Dim] | None:
    """(keys attended to, keys projected), or None where the flags are not known."""
    cross, use_past, state = (scalar(flag) for flag in flags)
    if None in (cross, use_past, state):
        return None
    own, other = ranked(query, "query", 3)[0], ranked(key, "key", 3)[0]
    cached = ranked(key_cache, "key_cache", 4)[2] if use_past and state else 0
    if cross:
        return (cached, 0) if use_past and state else (other, other)
    return cached + own, own


@cost("DecoderAttention", domain=MICROSOFT, kind="attention")
def decoder_attention_cost(
    query: Value,
    key: Value,
    q_weight: Value,
    kv_weight: Value,
    bias: Value,
    key_padding_mask: Value | None = None,
    key_cache: Value | None = None,
    value_cache: Value | None = None,
    static_kv: Value | None = None,
    use_past: Value | None = None,
    has_layer_state: Value | None = None,
    has_key_padding_mask: Value | None = None,
    *,
    num_heads: int,
    out: Value,
) -> Cost:
    """macs = B x S x numel(q_weight) + B x projected keys x numel(kv_weight) + B x heads x S x Skv x 2 x head;
    ops = B x heads x S x Skv x (6 + masks), + 1 per projected element for the bias"""
    lengths = _decoder_lengths(query, key, key_cache, static_kv, use_past, has_layer_state)
    if lengths is None:
        raise Undecided("static_kv, use_past and has_layer_state, values fed at run time")
    steps, batch, hidden = ranked(query, "query", 3)
    head = head_size(hidden, num_heads)
    a = Attend(batch, num_heads, steps, lengths[0], head, head)
    macs = a.macs + batch * (steps * q_weight.numel + lengths[1] * kv_weight.numel)
    return Cost(macs, a.ops(given(key_padding_mask)) + batch * hidden * (steps + 2 * lengths[1]))


@shape("PackedAttention", domain=MICROSOFT)
def packed_attention(
    input: Value,
    weights: Value,
    bias: Value,
    token_offset: Value,
    cumulative_sequence_length: Value,
    attention_bias: Value | None = None,
    *,
    num_heads: int,
    qkv_hidden_sizes: Sequence[int] | None = None,
    scale: float | None = None,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.PackedAttention"""
    tokens, f = _packed(input, weights, token_offset, num_heads, qkv_hidden_sizes)
    return Value(input.encoding, (tokens, f.v_hidden))


def _packed(
    input: Value, weights: Value, token_offset: Value, num_heads: int, sizes: Sequence[int] | None
) -> tuple[Dim, Fused]:
    tokens, inner = ranked(input, "input", 2)
    padded = Value(input.encoding, (*ranked(token_offset, "token_offset", 2), inner))
    return tokens, fused(padded, weights, num_heads, None, sizes)


@cost("PackedAttention", domain=MICROSOFT, kind="attention")
def packed_attention_cost(
    input: Value,
    weights: Value,
    bias: Value,
    token_offset: Value,
    cumulative_sequence_length: Value,
    attention_bias: Value | None = None,
    *,
    num_heads: int,
    qkv_hidden_sizes: Sequence[int] | None = None,
    out: Value,
) -> Cost:
    """macs = tokens x numel(weights) + B x heads x S x S x (head + v_head), every sequence at its padded length;
    ops = B x heads x S x S x (6 + biases), + tokens x columns of W for the bias"""
    tokens, f = _packed(input, weights, token_offset, num_heads, qkv_hidden_sizes)
    return Cost(f.attend.macs + tokens * weights.numel, f.attend.ops(given(attention_bias)) + tokens * f.width)


@shape("LongformerAttention", domain=MICROSOFT)
def longformer_attention(
    input: Value,
    weight: Value,
    bias: Value,
    mask: Value,
    global_weight: Value,
    global_bias: Value,
    global_: Value,
    *,
    num_heads: int,
    window: int,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.LongformerAttention"""
    return Value(input.encoding, ranked(input, "input", 3))


@shape("QOrderedLongformerAttention", domain=MICROSOFT)
def qordered_longformer_attention(
    input: Value,
    scale_input: Value,
    weight: Value,
    scale_weight: Value,
    bias: Value,
    scale_bias: Value,
    scale_qkv_gemm: Value,
    mask: Value,
    global_weight: Value,
    scale_global_weight: Value,
    global_bias: Value,
    scale_global_gemm: Value,
    global_: Value,
    scale_output: Value,
    *,
    num_heads: int,
    order_global_weight: int,
    order_input: int,
    order_output: int,
    order_weight: int,
    window: int,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.QOrderedLongformerAttention"""
    return Value(input.encoding, ranked(input, "input", 3))


unpriced(
    "LongformerAttention",
    "QOrderedLongformerAttention",
    domain=MICROSOFT,
    reason="the values fed decide how many tokens attend to all others",
)
