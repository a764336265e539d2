"""com.microsoft attention that holds its own input projections. Counting: see `_attention`; projections are macs.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from effaudit import dims
from effaudit.dims import Dim
from effaudit.errors import Undecided
from effaudit.graph import Shape, Value
from effaudit.ops._attention import ROTARY_OPS, Attend, head_size
from effaudit.ops._inputs import agreed, given, ranked, scalar_dim
from effaudit.ops._registry import MICROSOFT, Cost, cost, shape

FED_PAST = "past_sequence_length, a value fed at run time"


class Fused(NamedTuple):
    """An attention with merged projection weights (input size x (hidden + hidden + v_hidden))."""

    attend: Attend
    tokens: Dim
    width: Dim  # projected elements per token
    projection: Dim  # macs of the projections
    present: Shape
    v_hidden: Dim

    def cost(self, masks: int, per_projected: int, rotary: int = 0) -> Cost:
        """`per_projected` operations on every projected element, `rotary` where queries and keys are rotated."""
        a = self.attend
        ops = a.ops(masks) + per_projected * self.tokens * self.width
        if rotary:
            ops = ops + ROTARY_OPS * 2 * self.tokens * a.heads * a.head
        return Cost(a.macs + self.projection, ops)


def fused(
    x: Value,
    weights: Value,
    num_heads: int,
    past: Value | None = None,
    sizes: Sequence[int] | None = None,
    before: Dim | None = None,
) -> Fused:
    """The sizes of a self attention over `x`. `before`: the valid length of a `past` that is a shared buffer."""
    batch, length, inner = ranked(x, "input", 3)
    rows, width = ranked(weights, "weights", 2)
    inner = agreed("the input size", inner, rows)
    hidden: Dim
    v_hidden: Dim
    if sizes:
        if len(sizes) != 3 or (isinstance(width, int) and sum(sizes) != width):
            raise ValueError(f"qkv_hidden_sizes {list(sizes)} do not add up to the {width} columns of the weights")
        hidden, v_hidden = sizes[0], sizes[2]
    else:
        hidden = v_hidden = dims.floordiv(width, 3)
    head, v_head = head_size(hidden, num_heads), head_size(v_hidden, num_heads)
    cached = ranked(past, "past", 5)[3] if past is not None else 0
    keys = length + (cached if before is None else before)
    present = (2, batch, num_heads, keys if before is None else cached, head)
    attend = Attend(batch, num_heads, length, keys, head, v_head)
    return Fused(attend, batch * length, width, batch * length * inner * width, present, v_hidden)


def valid_past(past_sequence_length: Value | None, shared: int) -> Dim | None:
    """The valid length of a shared past buffer. Raises Undecided where only the run tells."""
    if not shared:
        return None
    known = scalar_dim(past_sequence_length)
    if known is None:
        raise Undecided(FED_PAST)
    return known


@shape("Attention", domain=MICROSOFT)
def attention(
    input: Value,
    weights: Value,
    bias: Value | None = None,
    mask_index: Value | None = None,
    past: Value | None = None,
    attention_bias: Value | None = None,
    past_sequence_length: Value | None = None,
    *,
    do_rotary: int = 0,
    mask_filter_value: float = -10000.0,
    num_heads: int,
    past_present_share_buffer: int = 0,
    qkv_hidden_sizes: Sequence[int] | None = None,
    rotary_embedding_dim: int = 0,
    scale: float | None = None,
    unidirectional: int = 0,
) -> tuple[Value, Value]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.Attention"""
    shared = past_present_share_buffer and past is not None
    f = fused(input, weights, num_heads, past, qkv_hidden_sizes, 0 if shared else None)
    a = f.attend
    return Value(input.encoding, (a.batch, a.queries, f.v_hidden)), Value(input.encoding, f.present)


@cost("Attention", domain=MICROSOFT, kind="attention")
def attention_cost(
    input: Value,
    weights: Value,
    bias: Value | None = None,
    mask_index: Value | None = None,
    past: Value | None = None,
    attention_bias: Value | None = None,
    past_sequence_length: Value | None = None,
    *,
    do_rotary: int = 0,
    num_heads: int,
    past_present_share_buffer: int = 0,
    qkv_hidden_sizes: Sequence[int] | None = None,
    out: Value,
) -> Cost:
    """macs = B x S x input size x columns of W + B x heads x S x Skv x (head + v_head), Skv the past included;
    ops = B x heads x S x Skv x (6 + masks and biases), + B x S x columns of W for a bias, + 3 per rotated element"""
    before = valid_past(past_sequence_length, past_present_share_buffer)
    f = fused(input, weights, num_heads, past, qkv_hidden_sizes, before)
    return f.cost(given(mask_index, attention_bias), given(bias), do_rotary)


@shape("QAttention", domain=MICROSOFT)
def qattention(
    input: Value,
    weight: Value,
    bias: Value,
    input_scale: Value,
    weight_scale: Value,
    mask_index: Value | None = None,
    input_zero_point: Value | None = None,
    weight_zero_point: Value | None = None,
    past: Value | None = None,
    *,
    do_rotary: int = 0,
    mask_filter_value: float = -10000.0,
    num_heads: int,
    past_present_share_buffer: int = 0,
    scale: float | None = None,
    unidirectional: int = 0,
) -> tuple[Value, Value]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.QAttention"""
    shared = past_present_share_buffer and past is not None
    f = fused(input, weight, num_heads, past, None, 0 if shared else None)
    a = f.attend
    return Value(bias.encoding, (a.batch, a.queries, f.v_hidden)), Value(bias.encoding, f.present)


@cost("QAttention", domain=MICROSOFT, kind="attention")
def qattention_cost(
    input: Value,
    weight: Value,
    bias: Value,
    input_scale: Value,
    weight_scale: Value,
    mask_index: Value | None = None,
    input_zero_point: Value | None = None,
    weight_zero_point: Value | None = None,
    past: Value | None = None,
    *,
    do_rotary: int = 0,
    num_heads: int,
    past_present_share_buffer: int = 0,
    out: Value,
) -> Cost:
    """macs = B x S x input size x columns of W + B x heads x S x Skv x (head + v_head), Skv the past included;
    ops = B x heads x S x Skv x (6 + masks), + B x S x columns of W x 2 (rescale, bias), + 3 per rotated element"""
    before = valid_past(None, past_present_share_buffer)
    return fused(input, weight, num_heads, past, None, before).cost(given(mask_index), 2, do_rotary)


@shape("QOrderedAttention", domain=MICROSOFT)
def qordered_attention(
    input: Value,
    scale_input: Value,
    scale_q_gemm: Value,
    scale_k_gemm: Value,
    scale_v_gemm: Value,
    q_weight: Value,
    k_weight: Value,
    v_weight: Value,
    scale_q_weight: Value,
    scale_k_weight: Value,
    scale_v_weight: Value,
    q_bias: Value,
    k_bias: Value,
    v_bias: Value,
    scale_qkt_gemm: Value | None = None,
    scale_qkt_softmax: Value | None = None,
    scale_values_gemm: Value | None = None,
    mask_index: Value | None = None,
    past: Value | None = None,
    attention_bias: Value | None = None,
    *,
    num_heads: int,
    order_input: int,
    order_output: int,
    order_weight: int,
    qkv_hidden_sizes: Sequence[int] | None = None,
    unidirectional: int = 0,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.QOrderedAttention"""
    batch, length, _ = ranked(input, "input", 3)
    return Value(input.encoding, (batch, length, ranked(v_weight, "V_weight", 2)[1]))


@cost("QOrderedAttention", domain=MICROSOFT, kind="attention")
def qordered_attention_cost(
    input: Value,
    scale_input: Value,
    scale_q_gemm: Value,
    scale_k_gemm: Value,
    scale_v_gemm: Value,
    q_weight: Value,
    k_weight: Value,
    v_weight: Value,
    *rest: Value | None,
    num_heads: int,
    out: Value,
) -> Cost:
    """macs = B x S x (numel(Q_weight) + numel(K_weight) + numel(V_weight)) + B x heads x S x S x (head + v_head);
    ops = B x heads x S x S x (6 + masks), + 3 per projected element (bias; requantize: scale, round)"""
    batch, length, _ = ranked(input, "input", 3)
    hidden, v_hidden = ranked(q_weight, "Q_weight", 2)[1], ranked(v_weight, "V_weight", 2)[1]
    tokens = batch * length
    weights = q_weight.numel + k_weight.numel + v_weight.numel
    masks = given(rest[9] if len(rest) > 9 else None, rest[11] if len(rest) > 11 else None)
    a = Attend(batch, num_heads, length, length, head_size(hidden, num_heads), head_size(v_hidden, num_heads))
    width = hidden + ranked(k_weight, "K_weight", 2)[1] + v_hidden
    return Cost(a.macs + tokens * weights, a.ops(masks) + 3 * tokens * width)
