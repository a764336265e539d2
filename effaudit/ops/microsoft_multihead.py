"""com.microsoft multi-head attention whose projections are nodes of their own. Counting: see `_attention`.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from effaudit import dims
from effaudit.dims import Dim
from effaudit.graph import Value
from effaudit.ops._attention import Attend, head_size
from effaudit.ops._inputs import agreed, given, need, ranked
from effaudit.ops._registry import MICROSOFT, Cost, cost, shape
from effaudit.ops.microsoft_attention import valid_past


class _Multi:
    """The layouts of query, key and value: rank 3 each, packed QKV, packed KV, or cached rank-4 keys and values."""

    def __init__(self, query: Value, key: Value | None, value: Value | None, num_heads: int) -> None:
        q = ranked(query, "query", 3, 5)
        self.batch, self.queries = q[0], q[1]
        self.cross = False  # keys and values are a finished cache
        if key is None:
            self.hidden = self.v_hidden = q[2] * q[4] if len(q) == 5 else dims.floordiv(q[2], 3)
            self.fresh: Dim = q[1]
        else:
            self.hidden = q[2]
            self._keys(ranked(key, "key", 3, 4, 5), value)
        self.head, self.v_head = head_size(self.hidden, num_heads), head_size(self.v_hidden, num_heads)

    def _keys(self, k: tuple[Dim, ...], value: Value | None) -> None:
        if len(k) == 5:
            self.fresh, self.v_hidden = k[1], k[2] * k[4]
        elif len(k) == 4:
            v = ranked(value, "value", 4)
            self.fresh, self.v_hidden, self.cross = k[2], v[1] * v[3], True
        else:
            v = ranked(value, "value", 3)
            self.fresh, self.v_hidden = agreed("the length of key and value", k[1], v[1]), v[2]

    def attend(self, num_heads: int, past: Value | None, before: Dim | None) -> Attend:
        """`before`: the valid length of a past that is a shared buffer; else the whole past is valid."""
        cached = 0 if past is None or self.cross else ranked(past, "past_key", 4)[2]
        keys = self.fresh + (cached if before is None else before)
        return Attend(self.batch, num_heads, self.queries, keys, self.head, self.v_head)

    @property
    def width(self) -> Dim:
        return 2 * self.hidden + self.v_hidden


def _outputs(
    m: _Multi, query: Value, past: tuple[Value | None, Value | None], num_heads: int, shared: bool
) -> tuple[Value, ...]:
    a = m.attend(num_heads, past[0], None)
    y = Value(query.encoding, (m.batch, m.queries, m.v_hidden))
    scores = Value(query.encoding, (a.batch, num_heads, a.queries, a.keys))
    if shared:
        buffers = (need(past[0], "past_key"), need(past[1], "past_value"))
        return y, *(Value(v.encoding, v.shape) for v in buffers), scores
    key = Value(query.encoding, (a.batch, num_heads, a.keys, a.head))
    return y, key, Value(query.encoding, (a.batch, num_heads, a.keys, a.v_head)), scores


@shape("MultiHeadAttention", domain=MICROSOFT)
def multi_head_attention(
    query: Value,
    key: Value | None = None,
    value: Value | None = None,
    bias: Value | None = None,
    key_padding_mask: Value | None = None,
    attention_bias: Value | None = None,
    past_key: Value | None = None,
    past_value: Value | None = None,
    past_sequence_length: Value | None = None,
    cache_indirection: Value | None = None,
    *,
    mask_filter_value: float = -10000.0,
    num_heads: int,
    scale: float | None = None,
    unidirectional: int = 0,
) -> tuple[Value, ...]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MultiHeadAttention"""
    shared = past_sequence_length is not None and past_key is not None
    return _outputs(_Multi(query, key, value, num_heads), query, (past_key, past_value), num_heads, shared)


@cost("MultiHeadAttention", domain=MICROSOFT, kind="attention")
def multi_head_attention_cost(
    query: Value,
    key: Value | None = None,
    value: Value | None = None,
    bias: Value | None = None,
    key_padding_mask: Value | None = None,
    attention_bias: Value | None = None,
    past_key: Value | None = None,
    past_value: Value | None = None,
    past_sequence_length: Value | None = None,
    cache_indirection: Value | None = None,
    *,
    num_heads: int,
    out: Value,
) -> Cost:
    """macs = B x heads x S x Skv x (head + v_head), Skv the past included;
    ops = B x heads x S x Skv x (6 + masks and biases), + 1 per element of Q, K and V for a bias"""
    m = _Multi(query, key, value, num_heads)
    before = valid_past(past_sequence_length, past_sequence_length is not None and past_key is not None)
    a = m.attend(num_heads, past_key, before)
    return Cost(a.macs, a.ops(given(key_padding_mask, attention_bias)) + _bias_ops(m, bias))


def _bias_ops(m: _Multi, bias: Value | None) -> Dim:
    if bias is None:
        return 0
    fresh = 0 if m.cross else m.fresh * (m.hidden + m.v_hidden)
    return m.batch * (m.queries * m.hidden + fresh)


@shape("DecoderMaskedMultiHeadAttention", domain=MICROSOFT)
def decoder_masked_multi_head_attention(
    query: Value,
    key: Value | None = None,
    value: Value | None = None,
    mask_index: Value | None = None,
    attention_bias: Value | None = None,
    past_key: Value | None = None,
    past_value: Value | None = None,
    past_sequence_length: Value | None = None,
    beam_width: Value | None = None,
    cache_indirection: Value | None = None,
    bias: Value | None = None,
    *,
    mask_filter_value: float = -10000.0,
    num_heads: int,
    output_qk: int = 0,
    past_present_share_buffer: int = 0,
    scale: float | None = None,
) -> tuple[Value, ...]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.DecoderMaskedMultiHeadAttention"""
    shared = bool(past_present_share_buffer) and past_key is not None
    return _outputs(_Multi(query, key, value, num_heads), query, (past_key, past_value), num_heads, shared)


@cost("DecoderMaskedMultiHeadAttention", domain=MICROSOFT, kind="attention")
def decoder_masked_multi_head_attention_cost(
    query: Value,
    key: Value | None = None,
    value: Value | None = None,
    mask_index: Value | None = None,
    attention_bias: Value | None = None,
    past_key: Value | None = None,
    past_value: Value | None = None,
    past_sequence_length: Value | None = None,
    beam_width: Value | None = None,
    cache_indirection: Value | None = None,
    bias: Value | None = None,
    *,
    num_heads: int,
    past_present_share_buffer: int = 0,
    out: Value,
) -> Cost:
    """macs = B x heads x Skv x (head + v_head), Skv the past included; ops = B x heads x Skv x (6 + masks and biases),
    + 1 per element of Q, K and V for a bias"""
    m = _Multi(query, key, value, num_heads)
    before = valid_past(past_sequence_length, past_present_share_buffer and past_key is not None)
    a = m.attend(num_heads, past_key, before)
    return Cost(a.macs, a.ops(given(mask_index, attention_bias)) + _bias_ops(m, bias))


class _PackedHeads:
    """Packed tokens (tokens x hidden, or tokens x heads x 3 x head) and the padded batch they came from."""

    def __init__(self, query: Value, value: Value | None, token_offset: Value, num_heads: int) -> None:
        q = ranked(query, "query", 2, 4)
        self.tokens = q[0]
        self.hidden = q[1] if len(q) == 2 else q[1] * q[3]
        self.v_hidden = self.hidden if len(q) == 4 else ranked(value, "value", 2)[1]
        batch, length = ranked(token_offset, "token_offset", 2)
        head, v_head = head_size(self.hidden, num_heads), head_size(self.v_hidden, num_heads)
        self.attend = Attend(batch, num_heads, length, length, head, v_head)


@shape("PackedMultiHeadAttention", domain=MICROSOFT)
def packed_multi_head_attention(
    query: Value,
    key: Value | None = None,
    value: Value | None = None,
    bias: Value | None = None,
    token_offset: Value | None = None,
    cumulative_sequence_length: Value | None = None,
    attention_bias: Value | None = None,
    *,
    mask_filter_value: float = -10000.0,
    num_heads: int,
    scale: float | None = None,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.PackedMultiHeadAttention"""
    p = _PackedHeads(query, value, need(token_offset, "token_offset"), num_heads)
    return Value(query.encoding, (p.tokens, p.v_hidden))


@cost("PackedMultiHeadAttention", domain=MICROSOFT, kind="attention")
def packed_multi_head_attention_cost(
    query: Value,
    key: Value | None = None,
    value: Value | None = None,
    bias: Value | None = None,
    token_offset: Value | None = None,
    cumulative_sequence_length: Value | None = None,
    attention_bias: Value | None = None,
    *,
    num_heads: int,
    out: Value,
) -> Cost:
    """macs = B x heads x S x S x (head + v_head), every sequence at its padded length;
    ops = B x heads x S x S x (6 + biases), + 1 per element of Q, K and V for a bias"""
    p = _PackedHeads(query, value, need(token_offset, "token_offset"), num_heads)
    added = p.tokens * (2 * p.hidden + p.v_hidden) if bias is not None else 0
    return Cost(p.attend.macs, p.attend.ops(given(attention_bias)) + added)
