"""com.microsoft attention over caches in pages or over selected keys: how much each query reads is decided at run time.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from effaudit import dims
from effaudit.graph import Value
from effaudit.ops._inputs import need, ranked, scalar_dim
from effaudit.ops._registry import MICROSOFT, Context, shape, unpriced
from effaudit.ops.microsoft_grouped import Grouped


@shape("PagedAttention", domain=MICROSOFT)
def paged_attention(
    query: Value,
    key: Value | None = None,
    value: Value | None = None,
    key_cache: Value | None = None,
    value_cache: Value | None = None,
    cumulative_sequence_length: Value | None = None,
    past_seqlens: Value | None = None,
    block_table: Value | None = None,
    cos_cache: Value | None = None,
    sin_cache: Value | None = None,
    slot_mapping: Value | None = None,
    head_sink: Value | None = None,
    q_norm_weight: Value | None = None,
    k_norm_weight: Value | None = None,
    k_scale: Value | None = None,
    v_scale: Value | None = None,
    attention_metadata: Value | None = None,
    *,
    do_rotary: int = 0,
    is_causal: int = 1,
    k_cache_dtype: str = "",
    k_quant_type: str = "NONE",
    kv_cache_layout: str = "SEPARATE",
    kv_num_heads: int,
    local_window_size: int = -1,
    num_heads: int,
    qk_norm_epsilon: float = 1e-6,
    rotary_interleaved: int = 0,
    rotary_offset: int = 0,
    scale: float | None = None,
    softcap: float = 0.0,
    v_cache_dtype: str = "",
    v_head_size: int = 0,
    v_quant_type: str = "NONE",
) -> tuple[Value, ...]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.PagedAttention"""
    ranked(query, "query", 2)
    g = Grouped(query, key, num_heads, kv_num_heads)
    width = v_head_size if kv_cache_layout == "LATENT" and v_head_size else g.head
    caches = [need(key_cache, "key_cache"), *([value_cache] if value_cache is not None else [])]
    return Value(query.encoding, (*g.lead, num_heads * width)), *(Value(c.encoding, c.shape) for c in caches)


@shape("SparsePagedAttention", domain=MICROSOFT)
def sparse_paged_attention(
    query: Value,
    key: Value | None = None,
    value: Value | None = None,
    key_cache: Value | None = None,
    value_cache: Value | None = None,
    cumulative_sequence_length: Value | None = None,
    past_seqlens: Value | None = None,
    block_table: Value | None = None,
    slot_mapping: Value | None = None,
    selected_indices: Value | None = None,
    selected_counts: Value | None = None,
    auxiliary_key: Value | None = None,
    auxiliary_value: Value | None = None,
    auxiliary_lengths: Value | None = None,
    cos_cache: Value | None = None,
    sin_cache: Value | None = None,
    head_sink: Value | None = None,
    q_norm_weight: Value | None = None,
    k_norm_weight: Value | None = None,
    k_scale: Value | None = None,
    v_scale: Value | None = None,
    attention_metadata: Value | None = None,
    *,
    attention_mode: str = "selected_only",
    auxiliary_cache_layout: str = "contiguous",
    auxiliary_kv_shared: int = 0,
    do_rotary: int = 0,
    is_causal: int = 1,
    k_quant_type: str = "NONE",
    kv_num_heads: int,
    local_window_size: int = -1,
    num_heads: int,
    qk_norm_epsilon: float = 1e-6,
    rotary_interleaved: int = 0,
    rotary_offset: int = 0,
    scale: float | None = None,
    selected_kv_source: str = "main",
    softcap: float = 0.0,
    v_quant_type: str = "NONE",
) -> tuple[Value, ...]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.SparsePagedAttention"""
    ranked(query, "query", 2)
    g = Grouped(query, key, num_heads, kv_num_heads)
    k, v = need(key_cache, "key_cache"), need(value_cache, "value_cache")
    return Value(query.encoding, g.y), Value(k.encoding, k.shape), Value(v.encoding, v.shape)


@shape("DynamicSparseAttention", domain=MICROSOFT)
def dynamic_sparse_attention(
    query: Value,
    key: Value | None = None,
    value: Value | None = None,
    past_key: Value | None = None,
    past_value: Value | None = None,
    auxiliary_key: Value | None = None,
    auxiliary_value: Value | None = None,
    selected_indices: Value | None = None,
    selected_counts: Value | None = None,
    seqlens_k: Value | None = None,
    total_sequence_length: Value | None = None,
    cos_cache: Value | None = None,
    sin_cache: Value | None = None,
    position_ids: Value | None = None,
    q_norm_weight: Value | None = None,
    k_norm_weight: Value | None = None,
    head_sink: Value | None = None,
    *,
    attention_mode: str = "selected_only",
    auxiliary_kv_shared: int = 0,
    do_rotary: int = 0,
    is_causal: int = 1,
    kv_num_heads: int,
    local_window_size: int = -1,
    num_heads: int,
    qk_norm_epsilon: float = 1e-6,
    rotary_interleaved: int = 0,
    rotary_offset: int = 0,
    scale: float | None = None,
    selected_kv_source: str = "main",
    smooth_softmax: int = 0,
    ctx: Context,
) -> tuple[Value, ...]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.DynamicSparseAttention"""
    g = Grouped(query, key, num_heads, kv_num_heads)
    batch, _ = ranked(query, "query", 3)[:2]
    total = scalar_dim(total_sequence_length)
    before = ranked(past_key, "past_key", 4)[2] if past_key is not None else g.fresh
    if total is None and past_key is not None:
        total = ctx.data_dim("total_sequence_length is fed at run time")
    keys = before if total is None else dims.maximum(before, total)
    cache = Value((past_key or query).encoding, (batch, kv_num_heads, keys, g.head))
    return Value(query.encoding, g.y), cache, cache


unpriced(
    "PagedAttention",
    domain=MICROSOFT,
    reason="the sequence lengths it attends over (past_seqlens) are values fed at run time",
)
unpriced(
    "SparsePagedAttention",
    "DynamicSparseAttention",
    domain=MICROSOFT,
    reason="how many keys each query attends to (selected_counts) is a value fed at run time",
)
