"""com.microsoft operators on tokens and strings: packing, hashing, splitting.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from effaudit import dims
from effaudit.dims import Dim
from effaudit.errors import Undecided
from effaudit.graph import ENCODINGS, INT32, INT64, STRING, Value
from effaudit.ops._inputs import given, ranked
from effaudit.ops._registry import MICROSOFT, Context, Cost, cost, numel, shape, unpriced

UINT32 = ENCODINGS[12]


@shape("RemovePadding", domain=MICROSOFT)
def remove_padding(input: Value, sequence_token_count: Value, *, ctx: Context) -> tuple[Value, ...]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.RemovePadding"""
    batch, length, hidden = ranked(input, "input", 3)
    tokens = ctx.data_dim("sequence_token_count is fed", 0, batch * length)
    counts = sequence_token_count.encoding
    return (
        Value(input.encoding, (tokens, hidden)),
        Value(counts, (batch, length)),
        Value(counts, (batch + 1,)),
        Value(counts, (1,)),
    )


@shape("RestorePadding", domain=MICROSOFT)
def restore_padding(input: Value, token_offset: Value) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.RestorePadding"""
    return Value(input.encoding, (*ranked(token_offset, "token_offset", 2), ranked(input, "input", 2)[1]))


@cost("RemovePadding", domain=MICROSOFT, kind="movement")
@cost("RestorePadding", domain=MICROSOFT, kind="movement")
def padding_cost(*inputs: Value, out: Value) -> Cost:
    """no arithmetic: reads and writes every token once"""
    return Cost()


@shape("Unique", domain=MICROSOFT)
def unique(x: Value, *, ctx: Context) -> tuple[Value, Value, Value]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.Unique"""
    (size,) = ranked(x, "x", 1)
    kept = ctx.data_dim("how many values differ", 0 if size == 0 else 1, size)
    return Value(x.encoding, (kept,)), Value(INT64, (size,)), Value(INT64, (kept,))


@cost("Unique", domain=MICROSOFT, kind="movement")
def unique_cost(x: Value, *, out: Value) -> Cost:
    """ops = numel(in) (one test per element; the look-up inside is not counted)"""
    return Cost(0, x.numel)


@shape("MurmurHash3", domain=MICROSOFT)
def murmur_hash3(x: Value, *, positive: int = 1, seed: int = 0) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MurmurHash3"""
    return Value(UINT32 if positive else INT32, x.shape)


@cost("MurmurHash3", domain=MICROSOFT, kind="elementwise")
def murmur_hash3_cost(x: Value, *, out: Value) -> Cost:
    """ops = numel(x) x (7 per 4 bytes (two products, two rotations, xor, multiply, add) + 9 to finish);
    unknown for strings"""
    if x.encoding == STRING:
        raise Undecided("the lengths of the strings fed")
    return Cost(0, x.numel * (7 * -(-x.encoding.bits // 32) + 9))


@shape("NGramRepeatBlock", domain=MICROSOFT)
def ngram_repeat_block(input_ids: Value, scores: Value, *, ngram_size: int) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.NGramRepeatBlock"""
    return Value(scores.encoding, ranked(scores, "scores", 2))


@cost("NGramRepeatBlock", domain=MICROSOFT, kind="other")
def ngram_repeat_block_cost(input_ids: Value, scores: Value, *, ngram_size: int, out: Value) -> Cost:
    """ops = B x max(S - n + 1, 0) x (n - 1) comparisons, every window compared whole"""
    batch, length = ranked(input_ids, "input_ids", 2)
    if ngram_size < 1:
        raise ValueError(f"ngram_size is {ngram_size}")
    return Cost(0, batch * dims.maximum(length - ngram_size + 1, 0) * (ngram_size - 1))


def _hash_width(max_ngram_size: int, n_head_per_ngram: int) -> int:
    if max_ngram_size < 2:
        raise ValueError(f"max_ngram_size is {max_ngram_size}; 2 at least")
    return (max_ngram_size - 1) * n_head_per_ngram


@shape("NGramHashMapping", domain=MICROSOFT)
def ngram_hash_mapping(
    input_ids: Value,
    multipliers: Value,
    vocab_sizes: Value,
    past_ids: Value | None = None,
    head_offsets: Value | None = None,
    eos_token_id: Value | None = None,
    segment_ids: Value | None = None,
    *,
    max_ngram_size: int,
    n_head_per_ngram: int,
    pad_id: int,
    reset_on_eos: int = 0,
) -> tuple[Value, Value]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.NGramHashMapping"""
    batch, length = ranked(input_ids, "input_ids", 2)
    width = _hash_width(max_ngram_size, n_head_per_ngram)
    return (
        Value(input_ids.encoding, (batch, length, width)),
        Value(input_ids.encoding, (batch, max_ngram_size - 1)),
    )


@shape("VarlenNGramHashMapping", domain=MICROSOFT)
def varlen_ngram_hash_mapping(
    input_ids: Value,
    multipliers: Value,
    vocab_sizes: Value,
    cumulative_sequence_length: Value,
    past_ids: Value | None = None,
    head_offsets: Value | None = None,
    eos_token_id: Value | None = None,
    segment_ids: Value | None = None,
    past_segment_ids: Value | None = None,
    capture_count: Value | None = None,
    *,
    max_ngram_size: int,
    n_head_per_ngram: int,
    pad_id: int,
    reset_on_eos: int = 0,
    state_update_capacity: int = 0,
) -> tuple[Value, ...]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.VarlenNGramHashMapping"""
    (tokens,) = ranked(input_ids, "input_ids", 1)
    batch = ranked(cumulative_sequence_length, "cumulative_sequence_length", 1)[0] - 1
    ids, history = input_ids.encoding, max_ngram_size - 1
    return (
        Value(ids, (tokens, _hash_width(max_ngram_size, n_head_per_ngram))),
        Value(ids, (batch, history)),
        Value(cumulative_sequence_length.encoding, (batch, history)),
        Value(ids, (batch, state_update_capacity, history)),
    )


@cost("NGramHashMapping", domain=MICROSOFT, kind="elementwise")
def ngram_hash_mapping_cost(
    input_ids: Value,
    multipliers: Value,
    vocab_sizes: Value,
    past_ids: Value | None = None,
    head_offsets: Value | None = None,
    *rest: Value | None,
    max_ngram_size: int,
    out: Value,
) -> Cost:
    """ops = tokens x (2 x max_ngram_size - 1) (products, xors), + numel(hash_ids) remainders, as many for offsets"""
    return Cost(0, input_ids.numel * (2 * max_ngram_size - 1) + out.numel * (1 + given(head_offsets)))


@cost("VarlenNGramHashMapping", domain=MICROSOFT, kind="elementwise")
def varlen_ngram_hash_mapping_cost(
    input_ids: Value,
    multipliers: Value,
    vocab_sizes: Value,
    cumulative_sequence_length: Value,
    past_ids: Value | None = None,
    head_offsets: Value | None = None,
    *rest: Value | None,
    max_ngram_size: int,
    out: Value,
) -> Cost:
    """ops = tokens x (2 x max_ngram_size - 1) (products, xors), + numel(hash_ids) remainders, as many for offsets"""
    return Cost(0, input_ids.numel * (2 * max_ngram_size - 1) + out.numel * (1 + given(head_offsets)))


@shape("BifurcationDetector", domain=MICROSOFT)
def bifurcation_detector(
    src_tokens: Value,
    cur_tokens: Value,
    prev_suffix_match_idx: Value,
    pred_tokens: Value | None = None,
    *,
    max_ngram_size: int = 3,
    min_ngram_size: int = 1,
    ctx: Context,
) -> tuple[Value, Value]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.BifurcationDetector"""
    (current,) = ranked(cur_tokens, "cur_tokens", 1)
    tokens: Dim = current
    if pred_tokens is not None:
        (predicted,) = ranked(pred_tokens, "pred_tokens", 1)
        tokens = ctx.data_dim("the tokens fed decide how many are accepted", 0, current + predicted)
    return Value(cur_tokens.encoding, (tokens,)), Value(prev_suffix_match_idx.encoding, ())


@shape("Tokenizer", domain=MICROSOFT)
def tokenizer(
    x: Value,
    *,
    mark: int,
    mincharnum: int,
    pad_value: str,
    separators: tuple[str, ...] | None = None,
    tokenexp: str = "",
    ctx: Context,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.Tokenizer"""
    data = ranked(x, "X", 1, 2)
    if numel(data) == 0:
        return Value(STRING, (*data[:-1], 0))
    return Value(STRING, (*data, ctx.data_dim("the strings fed decide how many tokens they split into")))


unpriced("BifurcationDetector", domain=MICROSOFT, kind="text", reason="the tokens fed decide how far it searches")
unpriced("Tokenizer", domain=MICROSOFT, kind="text", reason="the strings fed decide how much it matches")
unpriced(
    "EPContext",
    "Snpe",
    domain=MICROSOFT,
    reason="a binary compiled for one execution provider: what it computes is not in the graph",
)
