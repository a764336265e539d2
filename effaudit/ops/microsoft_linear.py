"""com.microsoft linear attention: a recurrent state instead of a key cache. Counting: see `recurrence_cost`.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from effaudit import dims
from effaudit.dims import Dim
from effaudit.graph import FLOAT, Shape, Value
from effaudit.ops._attention import head_size
from effaudit.ops._inputs import agreed, need, ranked
from effaudit.ops._registry import MICROSOFT, Context, Cost, cost, numel, shape
from effaudit.ops.attention import recurrence_cost

GATE = 5  # scale * softplus(a + bias): add, softplus 3, multiply
SIGMOID = 4
L2_NORM = 2  # square and accumulate, divide


class _Linear:
    """The sizes of a LinearAttention; with more key heads than query heads, key heads share the queries."""

    def __init__(self, query: Value, value: Value, q_heads: int, kv_heads: int) -> None:
        q, v = ranked(query, "query", 3), ranked(value, "value", 3)
        self.batch, self.steps = agreed("the batch size", q[0], v[0]), agreed("the length", q[1], v[1])
        self.head, self.v_head = head_size(q[2], q_heads, "q_num_heads"), head_size(v[2], kv_heads, "kv_num_heads")
        self.out_heads = max(q_heads, kv_heads)


@shape("LinearAttention", domain=MICROSOFT)
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
    state_window: int = 0,
    update_rule: str = "gated_delta",
) -> tuple[Value, Value]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.LinearAttention"""
    r = _Linear(query, value, q_num_heads, kv_num_heads)
    window = (state_window,) if state_window > 0 else ()
    state = past_state.encoding if past_state is not None else query.encoding
    return (
        Value(query.encoding, (r.batch, r.steps, r.out_heads * r.v_head)),
        Value(state, (*window, r.batch, kv_num_heads, r.head, r.v_head)),
    )


@cost("LinearAttention", domain=MICROSOFT, kind="attention")
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
    """macs = B x T x dk x dv x (Hkv to update + max(Hq, Hkv) to read, + Hkv to retrieve with a delta rule);
    ops = numel(out) to scale, gated: + numel(decay) + B x T x Hkv x dk x dv, delta: + 2 x numel(value)"""
    r = _Linear(query, value, q_num_heads, kv_num_heads)
    one, tokens = r.head * r.v_head, r.batch * r.steps
    state, v_width = kv_num_heads * one, kv_num_heads * r.v_head
    return recurrence_cost(tokens, state, r.out_heads * one, v_width, out=out, rule=update_rule, decay=decay)


class _Packed:
    """The sizes of a GatedDeltaNet: `lead` are the token axes (tokens, or batch and length)."""

    def __init__(
        self, query: Value, value: Value | None, initial_state: Value | None, cu_seqlens: Value | None
    ) -> None:
        q = ranked(query, "query", 2, 3, 4)
        state = ranked(initial_state, "initial_state", 4) if initial_state is not None else None
        if value is not None:
            v = ranked(value, "value", 3, 4)
            self.lead: Shape = q[:-2]
            self.heads, self.head, self.v_heads, self.v_head = q[-2], q[-1], v[-2], v[-1]
        else:
            if state is None:
                raise ValueError("packed QKV needs initial_state")
            self.lead = q[:-1]
            self.v_heads, self.v_head, self.head = state[1], state[2], state[3]
            self.heads = dims.floordiv(q[-1] - self.v_heads * self.v_head, 2 * self.head)
        self.batch: Dim | None = None
        if state is not None:
            self.batch = state[0]
        elif cu_seqlens is not None:
            self.batch = ranked(cu_seqlens, "cu_seqlens", 1)[0] - 1

    @property
    def out_heads(self) -> Dim:
        return dims.maximum(self.heads, self.v_heads)


@shape("GatedDeltaNet", domain=MICROSOFT)
def gated_delta_net(
    query: Value,
    key: Value | None = None,
    value: Value | None = None,
    cu_seqlens: Value | None = None,
    decay: Value | None = None,
    beta: Value | None = None,
    initial_state: Value | None = None,
    a_log: Value | None = None,
    dt_bias: Value | None = None,
    capture_count: Value | None = None,
    state_update_active: Value | None = None,
    *,
    beta_activation: str = "none",
    chunk_size: int = 64,
    gate_activation: str = "none",
    qk_l2_norm: int = 0,
    scale: float = 0.0,
    state_update_capacity: int = 0,
    update_rule: str = "gated_delta",
    ctx: Context,
) -> tuple[Value, Value, Value]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.GatedDeltaNet"""
    p = _Packed(query, value, initial_state, cu_seqlens)
    batch = (
        p.batch if p.batch is not None else ctx.unknown_dim("neither initial_state nor cu_seqlens gives the batch size")
    )
    update = p.v_heads + p.heads * p.head + p.v_heads * p.v_head
    return (
        Value(query.encoding, (*p.lead, p.out_heads, p.v_head)),
        Value(FLOAT, (batch, p.v_heads, p.v_head, p.head)),
        Value(FLOAT, (batch, state_update_capacity * update)),
    )


@cost("GatedDeltaNet", domain=MICROSOFT, kind="attention")
def gated_delta_net_cost(
    query: Value,
    key: Value | None = None,
    value: Value | None = None,
    cu_seqlens: Value | None = None,
    decay: Value | None = None,
    beta: Value | None = None,
    initial_state: Value | None = None,
    a_log: Value | None = None,
    dt_bias: Value | None = None,
    capture_count: Value | None = None,
    state_update_active: Value | None = None,
    *,
    beta_activation: str = "none",
    gate_activation: str = "none",
    qk_l2_norm: int = 0,
    update_rule: str = "gated_delta",
    out: Value,
) -> Cost:
    """macs = tokens x Hv x dk x dv x (1 to update + 1 to read, + 1 to retrieve with a delta rule);
    ops = numel(out) to scale, gated: + numel(decay) + tokens x Hv x dk x dv, delta: + 2 x tokens x Hv x dv,
    + 5 per decay and 4 per beta activated, + 2 per normalized element of Q and K"""
    p = _Packed(query, value, initial_state, cu_seqlens)
    tokens, state = numel(p.lead), p.v_heads * p.head * p.v_head
    v_width = p.v_heads * p.v_head
    base = recurrence_cost(tokens, state, state, v_width, out=out, rule=update_rule, decay=decay)
    ops = base.ops
    if gate_activation != "none":
        ops = ops + GATE * need(decay, "decay").numel
    if beta_activation != "none":
        ops = ops + SIGMOID * need(beta, "beta").numel
    if qk_l2_norm:
        ops = ops + L2_NORM * 2 * tokens * p.heads * p.head
    return Cost(base.macs, ops)


@shape("LinearAttentionGate", domain=MICROSOFT)
def linear_attention_gate(a: Value, dt_bias: Value, decay_scale: Value, b: Value | None = None) -> tuple[Value, Value]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.LinearAttentionGate"""
    made = Value(a.encoding, ranked(a, "a", 3))
    return made, made


@cost("LinearAttentionGate", domain=MICROSOFT, kind="activation")
def linear_attention_gate_cost(
    a: Value, dt_bias: Value, decay_scale: Value, b: Value | None = None, *, out: Value
) -> Cost:
    """ops = numel(a) x 5 (add, softplus 3, multiply), + numel(b) x 4 for the sigmoid of beta"""
    return Cost(0, GATE * a.numel + (SIGMOID * b.numel if b is not None else 0))
