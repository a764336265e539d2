"""com.microsoft grouped-query attention over a key and value cache. Counting: see `_attention`.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from effaudit import dims
from effaudit.dims import Dim, Expr
from effaudit.errors import Undecided
from effaudit.graph import Shape, Value
from effaudit.ops._attention import ROTARY_OPS, Attend, head_size
from effaudit.ops._inputs import given, need, ranked, scalar_dim
from effaudit.ops._registry import MICROSOFT, Context, Cost, cost, shape
from effaudit.ops.quantize import DEQUANTIZE, QUANTIZE

FED_TOTAL = "total_sequence_length, a value fed at run time"
NORM_OPS = 3  # root mean square normalization per element: square and add up, times the inverse root, times the weight


class Grouped:
    """The sizes of query, key and value, separate or packed into the query (heads, then twice the key heads)."""

    def __init__(self, query: Value, key: Value | None, num_heads: int, kv_num_heads: int) -> None:
        q = ranked(query, "query", 2, 3)
        if num_heads < 1 or kv_num_heads < 1 or num_heads % kv_num_heads:
            raise ValueError(f"num_heads {num_heads} is no multiple of kv_num_heads {kv_num_heads}")
        self.lead: Shape = q[:-1]
        self.heads, self.kv_heads = num_heads, kv_num_heads
        packed = num_heads + 2 * kv_num_heads
        self.head = head_size(
            q[-1], packed if key is None else num_heads, "the number of packed heads" if key is None else "num_heads"
        )
        self.fresh: Dim = q[-2] if key is None else ranked(key, "key", 2, 3, 4)[-2]

    @property
    def y(self) -> Shape:
        return (*self.lead, self.heads * self.head)

    def rotary_ops(self) -> Dim:
        """Rotation of the query and of the new keys."""
        batch, length = self.lead[0], self.lead[1]
        return ROTARY_OPS * batch * self.head * (length * self.heads + self.fresh * self.kv_heads)


@shape("GroupQueryAttention", domain=MICROSOFT)
def group_query_attention(
    query: Value,
    key: Value | None = None,
    value: Value | None = None,
    past_key: Value | None = None,
    past_value: Value | None = None,
    seqlens_k: Value | None = None,
    total_sequence_length: Value | None = None,
    cos_cache: Value | None = None,
    sin_cache: Value | None = None,
    position_ids: Value | None = None,
    attention_bias: Value | None = None,
    head_sink: Value | None = None,
    k_scale: Value | None = None,
    v_scale: Value | None = None,
    q_norm_weight: Value | None = None,
    k_norm_weight: Value | None = None,
    *,
    causal: int = 1,
    do_rotary: int = 0,
    k_quant_type: str = "NONE",
    kv_cache_bit_width: int = 0,
    kv_num_heads: int,
    local_window_size: int = -1,
    num_heads: int,
    qk_norm_epsilon: float = 1e-6,
    qk_output: int = 0,
    rotary_interleaved: int = 0,
    scale: float | None = None,
    sliding_window_cache: int = 0,
    smooth_softmax: int = -1,
    softcap: float = 0.0,
    v_quant_type: str = "NONE",
    ctx: Context,
) -> tuple[Value, ...]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.GroupQueryAttention
    (present = max(length of the past buffer, total_sequence_length), as the kernels allocate it)"""
    g = Grouped(query, key, num_heads, kv_num_heads)
    batch, length = ranked(query, "query", 3)[:2]
    total = _stated_total(total_sequence_length, attention_bias)
    if past_key is None:
        keys = g.fresh if total is None else total
        cache: Shape = (batch, kv_num_heads, keys, g.head)
        present = (Value(query.encoding, cache), Value(query.encoding, cache))
    else:
        before = ranked(past_key, "past_key", 4)[2]
        if total is None:
            low = max(dims.bounds(length)[0] or 0, 0)
            total = ctx.data_dim("total_sequence_length is fed at run time", low)
        keys = before if sliding_window_cache else dims.maximum(before, total)
        present = (_grown(past_key, keys), _grown(need(past_value, "past_value"), keys))
    scores = Value(query.encoding, (batch, num_heads, length, g.fresh if total is None else total))
    return Value(query.encoding, g.y), *present, scores


def _grown(cache: Value, keys: Dim) -> Value:
    batch, heads, _, width = ranked(cache, "the past", 4)
    return Value(cache.encoding, (batch, heads, keys, width))


def _stated_total(total: Value | None, attention_bias: Value | None) -> Dim | None:
    """The total length as a known value, or as the last dim of a bias that spans it; None where only the run tells."""
    known = scalar_dim(total)
    if known is None and attention_bias is not None:
        known = ranked(attention_bias, "attention_bias", 4)[3]
    return known


def _total(
    total: Value | None, attention_bias: Value | None, past: Value | None, fresh: Dim, present: Value | None
) -> Dim:
    """The total length for the count: known, without a past the new keys, or the symbol the shape rule named.

    Raises Undecided where only the run tells.
    """
    known = _stated_total(total, attention_bias)
    if known is not None:
        return known
    if past is None:
        return fresh
    if present is None or present.shape is None:
        raise Undecided(FED_TOTAL)
    older = {s for dim in past.shape or () for s in dims.symbols(dim)}
    named = [s for s in dims.symbols(present.shape[2]) - older if s.origin == "data"]
    if len(named) != 1:
        raise Undecided(FED_TOTAL)
    return Expr({((named[0], 1),): 1})


def _resident(total: Dim, capacity: Dim, window: int) -> Dim:
    """The positions a window cache holds after `total` tokens: it evicts capacity - window + 1 of them at once."""
    step = capacity - window + 1
    return total - step * dims.ceildiv(dims.maximum(total - capacity, 0), step)


@cost("GroupQueryAttention", domain=MICROSOFT, kind="attention")
def group_query_attention_cost(
    query: Value,
    key: Value | None = None,
    value: Value | None = None,
    past_key: Value | None = None,
    past_value: Value | None = None,
    seqlens_k: Value | None = None,
    total_sequence_length: Value | None = None,
    cos_cache: Value | None = None,
    sin_cache: Value | None = None,
    position_ids: Value | None = None,
    attention_bias: Value | None = None,
    head_sink: Value | None = None,
    k_scale: Value | None = None,
    v_scale: Value | None = None,
    q_norm_weight: Value | None = None,
    k_norm_weight: Value | None = None,
    *,
    do_rotary: int = 0,
    k_quant_type: str = "NONE",
    kv_num_heads: int,
    local_window_size: int = -1,
    num_heads: int,
    sliding_window_cache: int = 0,
    softcap: float = 0.0,
    v_quant_type: str = "NONE",
    outs: tuple[Value | None, ...],
) -> Cost:
    """macs = B x heads x S x total length x 2 x head (of a window cache: the positions it holds and the new ones);
    ops = B x heads x S x total length x (6 + biases + 3 with a soft cap), + 3 per rotated element,
    + 3 per element of Q and new K with norms, + 2 per row with a sink, + 3 per new and 2 per read element of a
    quantized cache"""
    g = Grouped(query, key, num_heads, kv_num_heads)
    batch, length = ranked(query, "query", 3)[:2]
    present = outs[1] if len(outs) > 1 else None
    keys = _total(total_sequence_length, attention_bias, past_key, g.fresh, present)
    if sliding_window_cache and past_key is not None:
        keys = _resident(keys - g.fresh, ranked(past_key, "past_key", 4)[2], local_window_size) + g.fresh
    a = Attend(batch, num_heads, length, keys, g.head, g.head)
    ops = a.ops(given(attention_bias), softcap)
    if do_rotary:
        ops = ops + g.rotary_ops()
    if q_norm_weight is not None:
        ops = ops + NORM_OPS * batch * g.head * (length * num_heads + g.fresh * kv_num_heads)
    if head_sink is not None:
        ops = ops + 2 * batch * num_heads * length
    quantized = (k_quant_type != "NONE") + (v_quant_type != "NONE")
    per_side = QUANTIZE * g.fresh + DEQUANTIZE * keys
    return Cost(a.macs, ops + quantized * batch * kv_num_heads * g.head * per_side)


@shape("SparseAttention", domain=MICROSOFT)
def sparse_attention(
    query: Value,
    key: Value | None = None,
    value: Value | None = None,
    past_key: Value | None = None,
    past_value: Value | None = None,
    block_row_indices: Value | None = None,
    block_col_indices: Value | None = None,
    total_sequence_length: Value | None = None,
    key_total_sequence_lengths: Value | None = None,
    cos_cache: Value | None = None,
    sin_cache: Value | None = None,
    *,
    do_rotary: int = 0,
    kv_num_heads: int,
    num_heads: int,
    rotary_interleaved: int = 0,
    scale: float | None = None,
    sparse_block_size: int,
) -> tuple[Value, Value, Value]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.SparseAttention"""
    g = Grouped(query, key, num_heads, kv_num_heads)
    k, v = need(past_key, "past_key"), need(past_value, "past_value")
    return Value(query.encoding, g.y), Value(k.encoding, k.shape), Value(v.encoding, v.shape)


@cost("SparseAttention", domain=MICROSOFT, kind="attention")
def sparse_attention_cost(
    query: Value,
    key: Value | None = None,
    value: Value | None = None,
    past_key: Value | None = None,
    past_value: Value | None = None,
    block_row_indices: Value | None = None,
    block_col_indices: Value | None = None,
    total_sequence_length: Value | None = None,
    key_total_sequence_lengths: Value | None = None,
    cos_cache: Value | None = None,
    sin_cache: Value | None = None,
    *,
    do_rotary: int = 0,
    kv_num_heads: int,
    num_heads: int,
    out: Value,
) -> Cost:
    """macs = B x heads x S x total length x 2 x head, as if dense (the block layout is not discounted);
    ops = B x heads x S x total length x 6, + 3 per rotated element"""
    g = Grouped(query, key, num_heads, kv_num_heads)
    batch, length = ranked(query, "query", 3)[:2]
    keys = scalar_dim(total_sequence_length)
    if keys is None:
        raise Undecided(FED_TOTAL)
    a = Attend(batch, num_heads, length, keys, g.head, g.head)
    return Cost(a.macs, a.ops() + (g.rotary_ops() if do_rotary else 0))
