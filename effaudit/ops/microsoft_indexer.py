"""com.microsoft selection of the keys a sparse attention reads.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from effaudit import dims
from effaudit.dims import Dim
from effaudit.graph import INT32, Value
from effaudit.ops._inputs import need, ranked
from effaudit.ops._registry import MICROSOFT, Context, shape, unpriced


def capacity(policy_mode: str, compress_ratio: int, token_budget: int | None, index_topk: int | None) -> int:
    """The number of indices every query gets. Raises ValueError on a policy without its attribute."""
    size = {"qsa": token_budget, "csa": index_topk}.get(policy_mode)
    if size is None or compress_ratio < 1:
        raise ValueError(f"policy_mode {policy_mode!r} needs compress_ratio and token_budget (qsa) or index_topk (csa)")
    return size + compress_ratio - 1 if policy_mode == "qsa" else size


def windows_closed(buffered: Dim, steps: Dim, ratio: int) -> tuple[Dim, Dim] | None:
    """(windows that close, tokens that stay buffered) when `steps` tokens follow `buffered` ones.

    The last complete window stays. None where the buffer's length is symbolic and so may or may not hold one.
    """
    if not isinstance(buffered, int):
        return None
    held = buffered >= ratio
    pending = buffered - (ratio if held else 0) + steps
    closed = dims.floordiv(pending, ratio)
    if not held and isinstance(closed, int) and closed == 0:
        return 0, pending
    if not held and not isinstance(closed, int):
        return None
    return closed, ratio + pending - closed * ratio


@shape("SparseAttentionIndexer", domain=MICROSOFT)
def sparse_attention_indexer(
    query: Value,
    key: Value | None = None,
    query_norm_weight: Value | None = None,
    key_norm_weight: Value | None = None,
    cos_cache: Value | None = None,
    sin_cache: Value | None = None,
    mask: Value | None = None,
    past_key: Value | None = None,
    gate: Value | None = None,
    position_bias: Value | None = None,
    head_weights: Value | None = None,
    position_ids: Value | None = None,
    past_sequence_length: Value | None = None,
    past_proj_buffer: Value | None = None,
    *,
    compress_ratio: int,
    epsilon: float = 1e-6,
    head_weight_scale: float | None = None,
    index_topk: int | None = None,
    policy_mode: str,
    scale: float | None = None,
    token_budget: int | None = None,
    ctx: Context,
) -> tuple[Value, ...]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.SparseAttentionIndexer"""
    batch, length, _ = ranked(query, "query", 3)
    chosen = Value(INT32, (batch, length, capacity(policy_mode, compress_ratio, token_budget, index_topk)))
    before = ranked(past_key, "past_key", 3)
    grown: Dim = before[1] + length
    kept = Value(query.encoding, None, why="only the csa policy buffers projections")
    if policy_mode == "csa":
        sides, lead, buffered, width = ranked(past_proj_buffer, "past_proj_buffer", 4)
        plan = windows_closed(buffered, length, compress_ratio)
        closed, stay = plan or (
            ctx.unknown_dim("the windows that close"),
            ctx.unknown_dim("the tokens that stay buffered"),
        )
        grown = before[1] + closed
        kept = Value(query.encoding, (sides, lead, stay, width))
    keys = before[1] if past_sequence_length is not None else grown
    return chosen, Value(need(past_key, "past_key").encoding, (before[0], keys, before[2])), kept


@shape("PackedSparseAttentionIndexer", domain=MICROSOFT)
def packed_sparse_attention_indexer(
    query: Value,
    key: Value | None = None,
    query_norm_weight: Value | None = None,
    key_norm_weight: Value | None = None,
    cos_cache: Value | None = None,
    sin_cache: Value | None = None,
    cumulative_sequence_lengths: Value | None = None,
    past_sequence_lengths: Value | None = None,
    gate: Value | None = None,
    position_bias: Value | None = None,
    head_weights: Value | None = None,
    position_ids: Value | None = None,
    past_key_state: Value | None = None,
    past_kv_buffer: Value | None = None,
    past_gate_buffer: Value | None = None,
    past_state_lengths: Value | None = None,
    state_update_capture_count: Value | None = None,
    state_update_active: Value | None = None,
    *,
    compress_ratio: int,
    epsilon: float = 1e-6,
    head_weight_scale: float | None = None,
    index_topk: int | None = None,
    policy_mode: str,
    scale: float | None = None,
    state_capacity: int,
    state_update_capacity: int = 0,
    token_budget: int | None = None,
) -> tuple[Value, ...]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.PackedSparseAttentionIndexer"""
    tokens, _ = ranked(query, "query", 2)
    state, buffer = need(past_key_state, "past_key_state"), need(past_kv_buffer, "past_kv_buffer")
    lengths = need(past_state_lengths, "past_state_lengths")
    batch, _, head = ranked(state, "past_key_state", 3)
    gates = past_gate_buffer or buffer
    return (
        Value(INT32, (tokens, capacity(policy_mode, compress_ratio, token_budget, index_topk))),
        Value(INT32, (tokens,)),
        Value(state.encoding, state.shape),
        Value(buffer.encoding, buffer.shape),
        Value(gates.encoding, gates.shape),
        Value(lengths.encoding, lengths.shape),
        Value(query.encoding, (batch, state_update_capacity, head)),
    )


unpriced(
    "SparseAttentionIndexer",
    "PackedSparseAttentionIndexer",
    domain=MICROSOFT,
    reason="how many compressed keys each query is scored against depends on the cache lengths fed at run time",
)
