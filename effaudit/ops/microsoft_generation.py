"""com.microsoft decoding loops: a decoder body run once per generated token.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from effaudit.dims import Dim
from effaudit.graph import INT32, Value
from effaudit.ops._inputs import need, ranked, scalar_dim
from effaudit.ops._registry import MICROSOFT, Context, shape, unpriced


def _stated(value: Value | None, name: str, ctx: Context) -> Dim:
    known = scalar_dim(need(value, name))
    return ctx.data_dim(f"{name} is fed") if known is None else known


@shape("BeamSearch", domain=MICROSOFT)
def beam_search(
    input_ids: Value,
    max_length: Value,
    min_length: Value | None = None,
    num_beams: Value | None = None,
    num_return_sequences: Value | None = None,
    length_penalty: Value | None = None,
    repetition_penalty: Value | None = None,
    vocab_mask: Value | None = None,
    prefix_vocab_mask: Value | None = None,
    attention_mask: Value | None = None,
    decoder_input_ids: Value | None = None,
    logits_processor: Value | None = None,
    *,
    ctx: Context,
) -> tuple[Value, ...]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.BeamSearch
    (scores are left unknown: their sizes are the decoder's)"""
    return _beams(input_ids, max_length, num_return_sequences, ctx)


def _beams(input_ids: Value, max_length: Value, returned: Value | None, ctx: Context) -> tuple[Value, ...]:
    kept = _stated(returned, "num_return_sequences", ctx)
    return (Value(INT32, (ranked(input_ids, "input_ids")[0], kept, _stated(max_length, "max_length", ctx))),)


@shape("WhisperBeamSearch", domain=MICROSOFT)
def whisper_beam_search(
    input_ids: Value,
    max_length: Value,
    min_length: Value | None = None,
    num_beams: Value | None = None,
    num_return_sequences: Value | None = None,
    length_penalty: Value | None = None,
    repetition_penalty: Value | None = None,
    vocab_mask: Value | None = None,
    prefix_vocab_mask: Value | None = None,
    attention_mask: Value | None = None,
    decoder_input_ids: Value | None = None,
    logits_processor: Value | None = None,
    cross_qk_layer_head: Value | None = None,
    extra_decoding_ids: Value | None = None,
    temperature: Value | None = None,
    *,
    ctx: Context,
) -> tuple[Value, ...]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.WhisperBeamSearch"""
    return _beams(input_ids, max_length, num_return_sequences, ctx)


@shape("GreedySearch", domain=MICROSOFT)
def greedy_search(
    input_ids: Value,
    max_length: Value,
    min_length: Value | None = None,
    repetition_penalty: Value | None = None,
    vocab_mask: Value | None = None,
    prefix_vocab_mask: Value | None = None,
    attention_mask: Value | None = None,
    *,
    ctx: Context,
) -> tuple[Value, ...]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.GreedySearch"""
    return (Value(INT32, (ranked(input_ids, "input_ids")[0], _stated(max_length, "max_length", ctx))),)


@shape("Sampling", domain=MICROSOFT)
def sampling(
    input_ids: Value,
    max_length: Value,
    min_length: Value | None = None,
    repetition_penalty: Value | None = None,
    vocab_mask: Value | None = None,
    prefix_vocab_mask: Value | None = None,
    attention_mask: Value | None = None,
    presence_mask: Value | None = None,
    seed: Value | None = None,
    *,
    ctx: Context,
) -> tuple[Value, ...]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.Sampling"""
    return (Value(INT32, (ranked(input_ids, "input_ids")[0], _stated(max_length, "max_length", ctx))),)


unpriced(
    "BeamSearch",
    "WhisperBeamSearch",
    "GreedySearch",
    "Sampling",
    domain=MICROSOFT,
    reason="it runs its decoder once per generated token, and the tokens decide when it stops",
)
