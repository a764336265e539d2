"""The element type of an input whose argument states none, as the schemas of onnx and ONNX Runtime have it.

Written down by the inputs' names: the schemas themselves are not read at run time. A test compares them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from effaudit.graph import BOOL, FLOAT, INT8, INT32, INT64, UINT8, Encoding
from effaudit.ops._registry import MICROSOFT

_INT64: Final = frozenset(
    """indices shape axes axis repeats pads split starts ends steps depth sizes size target_shape output_shape
    image_shape block_shape b_shape strides position_ids position input_ids segment_ids past_seqlens batch_indices
    write_indices nonpad_kv_seqlen dft_length frame_step frame_length num_mel_bins sample_rate target labels
    max_output_boxes_per_class query_length key_length src_tokens cur_tokens pred_tokens prev_suffix_match_idx
    multipliers vocab_sizes past_ids head_offsets eos_token_id padding_idx""".split()
)
_INT32: Final = frozenset(
    """sequence_lens memory_seq_lens seqlens_k cu_seqlens total_sequence_length past_sequence_length
    past_sequence_lengths past_state_lengths key_total_sequence_lengths auxiliary_lengths cumulative_sequence_length
    cumulative_sequence_lengths sequence_token_count token_offset mask_index key_padding_mask vocab_mask presence_mask
    prefix_vocab_mask max_length min_length num_beams num_return_sequences beam_width logits_processor seed crop_size
    decoder_input_ids extra_decoding_ids past_segment_ids cache_indirection selected_indices selected_counts
    block_row_indices block_col_indices block_table slot_mapping attention_metadata capture_count
    state_update_capture_count state_update_active cross_qk_layer_head g_idx global_""".split()
)
_BOOL: Final = frozenset(
    """condition cond training_mode static_kv use_past has_layer_state has_key_padding_mask
    scale_grad_by_freq""".split()
)
_FLOAT: Final = re.compile(r"(^|_)(scales?|rois?|ratio|threshold|hertz|penalty|temperature)($|_)|^scale[abxy]$")
# com.microsoft has 32-bit numbers where ai.onnx has 64-bit ones.
_MICROSOFT_INT32: Final = frozenset("input_ids segment_ids past_seqlens batch_indices axis".split())
# (operator, input) that the names alone get wrong, as the same name is something else elsewhere.
_OTHERS: Final[Mapping[tuple[str, str], Encoding]] = {
    ("ArrayFeatureExtractor", "y"): INT64,
    ("BeamSearch", "attention_mask"): INT32,
    ("CategoryMapper", "x"): INT64,
    ("ConstantOfShape", "input"): INT64,
    ("DecoderAttention", "key_padding_mask"): BOOL,
    ("EmbedLayerNormalization", "mask"): INT32,
    ("EmbedLayerNormalization", "position_ids"): INT32,
    ("GreedySearch", "attention_mask"): INT32,
    ("ImageDecoder", "encoded_stream"): UINT8,
    ("Loop", "m"): INT64,
    ("MaxUnpool", "i"): INT64,
    ("MaxpoolWithMask", "m"): INT32,
    ("NGramRepeatBlock", "input_ids"): INT64,
    ("QEmbedLayerNormalization", "mask"): INT32,
    ("QGemm", "c"): INT32,
    ("ReverseSequence", "sequence_lens"): INT64,
    ("Sampling", "attention_mask"): INT32,
    ("SparseAttentionIndexer", "mask"): INT64,
    ("TfIdfVectorizer", "x"): INT64,
    ("TopK", "k"): INT64,
    ("Trilu", "k"): INT64,
    ("WhisperBeamSearch", "attention_mask"): INT32,
    ("WordConvEmbedding", "sequence"): INT32,
}
# Inputs of ai.onnx whose values, not shapes, are what a call is about: lists of numbers, and single ones.
_LISTS: Final = frozenset(
    "shape repeats starts ends axes steps split sizes pads output_shape image_shape block_shape size".split()
)
_MORE_LISTS: Final = frozenset(
    (("ConstantOfShape", "input"), ("Resize", "scales"), ("TopK", "k"), ("Upsample", "scales"))
)
_NUMBERS: Final = frozenset(
    (
        *(("Range", name) for name in ("start", "limit", "delta")),
        *(("DFT", name) for name in ("dft_length", "axis")),
        *((window, "size") for window in ("BlackmanWindow", "HammingWindow", "HannWindow")),
        ("CumSum", "axis"),
        ("OneHot", "depth"),
        ("Trilu", "k"),
    )
)
_LOGIC: Final = frozenset(("And", "Or", "Xor", "Not"))
PACKED: Final = frozenset(("MatMulNBits", "MatMulBnb4", "MatMulNBitsMlp", "MatMulNBitsQkv", "MatMulFpQ4"))
_QUANTIZED: Final = re.compile(r"QLinear|QGemm|QAttention|ConvInteger|MatMulInteger|DequantizeLinear")


def default_encoding(domain: str, op: str, name: str) -> Encoding:
    """The element type of an input unless its argument says otherwise; float32 where the schema allows any."""
    return fixed_encoding(domain, op, name) or FLOAT


def fixed_encoding(domain: str, op: str, name: str) -> Encoding | None:
    """The element type of an input, or None where it is float32 or whatever the operator's other inputs have."""
    lower = name.lower()
    other = _OTHERS.get((op, lower))
    if other is not None:
        return other
    if domain == MICROSOFT and lower in _MICROSOFT_INT32:
        return INT32
    for names, encoding in ((_INT64, INT64), (_INT32, INT32), (_BOOL, BOOL)):
        if lower in names:
            return encoding
    if op in _LOGIC:
        return BOOL
    if op.startswith("Bit") and op != "BitCast" and lower in ("a", "b", "x"):
        return INT32
    return _quantized(op, lower) or (FLOAT if _FLOAT.search(lower) else None)


def takes_list(domain: str, op: str, name: str) -> bool:
    """Whether an input is a list of numbers that the output's shape depends on, such as the `axes` of a Squeeze."""
    lower = name.lower()
    return not domain and (lower in _LISTS or (op, lower) in _MORE_LISTS)


def takes_number(domain: str, op: str, name: str) -> bool:
    """Whether an input is one number, such as the `depth` of a OneHot."""
    return not domain and (op, name.lower()) in _NUMBERS


def _quantized(op: str, lower: str) -> Encoding | None:
    if "zero_point" in lower and "scale" not in lower:
        return UINT8
    if op in PACKED and lower == "b":
        return UINT8
    if _QUANTIZED.match(op) and lower in ("x", "a", "w", "b", "input", "weight"):
        return INT32 if "Conv" in op and lower == "b" else INT8 if lower in ("w", "b", "weight") else UINT8
    return None
