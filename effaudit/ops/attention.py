"""Attention of ai.onnx: scaled dot product, rotary embedding, linear attention. Counting: see `_attention`."""

from __future__ import annotations

from typing import Any

from effaudit import dims
from effaudit.dims import Dim
from effaudit.errors import Undecided
from effaudit.graph import DOUBLE, ENCODINGS, FLOAT, Value
from effaudit.ops._attention import ROTARY_OPS, Attend, head_size
from effaudit.ops._inputs import agreed, given, ranked
from effaudit.ops._registry import Context, Cost, cost, shape

PREVIEW = "ai.onnx.preview"


class _Heads:
    """Q, K and V as (batch, heads, length, size) each, whichever of the two layouts the node uses."""

    def __init__(
        self,
        q: Value,
        k: Value,
        v: Value,
        past: tuple[Value | None, Value | None] = (None, None),
        heads: tuple[int | None, int | None] = (None, None),
    ) -> None:
        query, key, value = ranked(q, "Q", 3, 4), ranked(k, "K", 3, 4), ranked(v, "V", 3, 4)
        self.packed = len(query) == 3
        b_q, h_q, s_q, d_q = _split(query, heads[0], "q_num_heads")
        b_k, h_k, s_k, d_k = _split(key, heads[1], "kv_num_heads")
        b_v, h_v, s_v, self.v_head = _split(value, heads[1], "kv_num_heads")
        self.kv_heads = agreed("the number of key and value heads", h_k, h_v)
        if isinstance(h_q, int) and isinstance(self.kv_heads, int) and (not self.kv_heads or h_q % self.kv_heads):
            raise ValueError(f"{h_q} query heads do not divide into {self.kv_heads} key heads")
        keys = agreed("the length of K and V", s_k, s_v)
        if past[0] is not None and past[1] is not None:
            before = ranked(past[0], "past_key", 4)[2], ranked(past[1], "past_value", 4)[2]
            keys = keys + agreed("the length of the past", *before)
        head = agreed("the head size", d_q, d_k)
        batch = agreed("the batch size", b_q, b_k, b_v)
        self.attend = Attend(batch, h_q, s_q, keys, head, self.v_head)

    @property
    def y(self) -> tuple[Dim, ...]:
        a = self.attend
        if self.packed:
            return (a.batch, a.queries, a.heads * a.v_head)
        return (a.batch, a.heads, a.queries, a.v_head)


def _split(shape: tuple[Dim, ...], heads: int | None, what: str) -> tuple[Dim, Dim, Dim, Dim]:
    """(batch, heads, length, head size) of a rank-4 tensor, or of a rank-3 one whose heads lie in its last axis."""
    if len(shape) == 4:
        return shape[0], shape[1], shape[2], shape[3]
    if heads is None:
        raise ValueError(f"inputs of rank 3 need {what}")
    return shape[0], heads, shape[1], head_size(shape[2], heads, what)


@shape("Attention")
def attention(
    q: Value,
    k: Value,
    v: Value,
    attn_mask: Value | None = None,
    past_key: Value | None = None,
    past_value: Value | None = None,
    nonpad_kv_seqlen: Value | None = None,
    *,
    is_causal: int = 0,
    kv_num_heads: int | None = None,
    left_window_size: int = -1,
    q_num_heads: int | None = None,
    qk_matmul_output_mode: int = 0,
    right_window_size: int = -1,
    scale: float | None = None,
    softcap: float = 0.0,
    softmax_precision: int | None = None,
) -> tuple[Value, ...]:
    """https://onnx.ai/onnx/operators/onnx__Attention.html"""
    heads = _Heads(q, k, v, (past_key, past_value), (q_num_heads, kv_num_heads))
    a = heads.attend
    return (
        Value(q.encoding, heads.y),
        Value(k.encoding, (a.batch, heads.kv_heads, a.keys, a.head)),
        Value(v.encoding, (a.batch, heads.kv_heads, a.keys, a.v_head)),
        Value(q.encoding, (a.batch, a.heads, a.queries, a.keys)),
    )


@cost("Attention", kind="attention")
def attention_cost(
    q: Value,
    k: Value,
    v: Value,
    attn_mask: Value | None = None,
    past_key: Value | None = None,
    past_value: Value | None = None,
    nonpad_kv_seqlen: Value | None = None,
    *,
    kv_num_heads: int | None = None,
    q_num_heads: int | None = None,
    softcap: float = 0.0,
    out: Value,
) -> Cost:
    """macs = B x Hq x Sq x Skv x (head + v_head), Skv the past included;
    ops = B x Hq x Sq x Skv x (6 (scale, softmax 5) + 1 with a mask tensor + 3 with a soft cap)"""
    a = _Heads(q, k, v, (past_key, past_value), (q_num_heads, kv_num_heads)).attend
    return Cost(a.macs, a.ops(given(attn_mask), softcap))


@shape("FlexAttention", domain=PREVIEW)
def flex_attention(
    q: Value,
    k: Value,
    v: Value,
    *,
    prob_mod: Any = None,
    scale: float | None = None,
    score_mod: Any = None,
    softmax_precision: int | None = None,
    ctx: Context,
) -> Value:
    """https://onnx.ai/onnx/operators/onnx_aionnxpreview_FlexAttention.html (its bodies take and return the scores)"""
    for value, name in ((q, "Q"), (k, "K"), (v, "V")):
        ranked(value, name, 4)
    heads = _Heads(q, k, v)
    a = heads.attend
    wide = DOUBLE if q.encoding == DOUBLE else FLOAT
    scores = Value(ENCODINGS[softmax_precision] if softmax_precision else wide, (a.batch, a.heads, a.queries, a.keys))
    for body in ("score_mod", "prob_mod"):
        if body in ctx.node.bodies:
            ctx.bodies.run(body, (scores,))
    return Value(q.encoding, heads.y)


@cost("FlexAttention", domain=PREVIEW, kind="attention")
def flex_attention_cost(q: Value, k: Value, v: Value, *, ctx: Context, out: Value) -> Cost:
    """macs = B x Hq x Sq x Skv x (head + v_head); ops = B x Hq x Sq x Skv x 6 (scale, softmax 5); unknown where bodies
    change the scores"""
    if ctx.node.bodies:
        raise Undecided(f"what {' and '.join(sorted(ctx.node.bodies))} do to the scores")
    a = _Heads(q, k, v).attend
    return Cost(a.macs, a.ops())


@shape("RotaryEmbedding")
def rotary_embedding(
    x: Value,
    cos_cache: Value,
    sin_cache: Value,
    position_ids: Value | None = None,
    *,
    interleaved: int = 0,
    num_heads: int | None = None,
    rotary_embedding_dim: int = 0,
) -> Value:
    """https://onnx.ai/onnx/operators/onnx__RotaryEmbedding.html"""
    ranked(x, "X", 3, 4)
    return Value(x.encoding, x.shape)


def rotated(x: Value, num_heads: int | None, rotary_dim: int, per_head: Dim | None = None) -> Dim:
    """The elements of `x` that a rotary embedding turns: all of them, or `rotary_dim` of every head."""
    dims_x = ranked(x, "the rotated input", 3, 4)
    if rotary_dim < 0 or (num_heads or 0) < 0:
        raise ValueError(f"rotary_embedding_dim {rotary_dim} of {num_heads} heads")
    if not rotary_dim:
        return x.numel
    if len(dims_x) == 4:
        return dims_x[0] * dims_x[1] * dims_x[2] * rotary_dim
    heads = num_heads if num_heads else dims.floordiv(dims_x[2], per_head) if per_head else None
    if heads is None:
        raise ValueError("a partial rotation of a rank 3 input needs num_heads")
    return dims_x[0] * dims_x[1] * heads * rotary_dim


@cost("RotaryEmbedding", kind="elementwise")
def rotary_embedding_cost(
    x: Value,
    cos_cache: Value,
    sin_cache: Value,
    position_ids: Value | None = None,
    *,
    num_heads: int | None = None,
    rotary_embedding_dim: int = 0,
    out: Value,
) -> Cost:
    """ops = 3 x rotated elements (two products, one sum): numel(x), or rotary_embedding_dim of every head"""
    return Cost(0, ROTARY_OPS * rotated(x, num_heads, rotary_embedding_dim))


class Recurrence:
    """The sizes of a linear attention: `tokens` in all, a state of `head` x `v_head` per key head."""

    def __init__(self, query: Value, key: Value, value: Value, q_heads: int, kv_heads: int) -> None:
        q, k, v = ranked(query, "query", 3), ranked(key, "key", 3), ranked(value, "value", 3)
        self.batch = agreed("the batch size", q[0], k[0], v[0])
        self.steps = agreed("the length", q[1], k[1], v[1])
        self.q_heads, self.kv_heads = q_heads, kv_heads
        self.head = agreed(
            "the head size", head_size(q[2], q_heads, "q_num_heads"), head_size(k[2], kv_heads, "kv_num_heads")
        )
        self.v_head = head_size(v[2], kv_heads, "kv_num_heads")

    @property
    def tokens(self) -> Dim:
        return self.batch * self.steps

    @property
    def state(self) -> tuple[Dim, ...]:
        return (self.batch, self.kv_heads, self.head, self.v_head)


def recurrence_cost(
    tokens: Dim, state: Dim, read: Dim, v_width: Dim, *, out: Value, rule: str, decay: Value | None
) -> Cost:
    """Of `tokens` steps: a state of `state` elements, `read` products with queries, `v_width` value elements.

    macs: the update k x v and the read q x S, with a delta rule the retrieval S x k as well. ops: 1 per output element
    for the scale; gated: exp per decay element, 1 per state element; delta: subtract and beta, 2 per value element.
    """
    if rule not in ("linear", "gated", "delta", "gated_delta"):
        raise ValueError(f"update_rule {rule!r} is not one of linear, gated, delta, gated_delta")
    delta, gated = rule.endswith("delta"), rule.startswith("gated")
    macs = tokens * (state * (2 if delta else 1) + read)
    ops = out.numel
    if gated and decay is not None:
        ops = ops + decay.numel + tokens * state
    if delta:
        ops = ops + 2 * tokens * v_width
    return Cost(macs, ops)


@shape("LinearAttention")
def linear_attention(
    query: Value,
    key: Value,
    value: Value,
    past_state: Value | None = None,
    decay: Value | None = None,
    beta: Value | None = None,
    *,
    chunk_size: int = 64,
    kv_num_heads: int,
    q_num_heads: int,
    scale: float = 0.0,
    update_rule: str = "gated_delta",
) -> tuple[Value, Value]:
    """https://onnx.ai/onnx/operators/onnx__LinearAttention.html"""
    r = Recurrence(query, key, value, q_num_heads, kv_num_heads)
    state = past_state.encoding if past_state is not None else query.encoding
    return Value(query.encoding, (r.batch, r.steps, q_num_heads * r.v_head)), Value(state, r.state)


@cost("LinearAttention", kind="attention")
def linear_attention_cost(
    query: Value,
    key: Value,
    value: Value,
    past_state: Value | None = None,
    decay: Value | None = None,
    beta: Value | None = None,
    *,
    kv_num_heads: int,
    q_num_heads: int,
    update_rule: str = "gated_delta",
    out: Value,
) -> Cost:
    """macs = B x T x dk x dv x (Hkv to update + Hq to read, + Hkv to retrieve with a delta rule);
    ops = numel(out) to scale, gated: + numel(decay) + B x T x Hkv x dk x dv, delta: + 2 x numel(value)"""
    r = Recurrence(query, key, value, q_num_heads, kv_num_heads)
    one = r.head * r.v_head
    read = q_num_heads * one
    state, v_width = kv_num_heads * one, kv_num_heads * r.v_head
    return recurrence_cost(r.tokens, state, read, v_width, out=out, rule=update_rule, decay=decay)
