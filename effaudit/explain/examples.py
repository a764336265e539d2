"""An example of every operator in the generic form: written down where shapes hang together, else found by trying."""

from __future__ import annotations

from itertools import product
from typing import Final

from effaudit.errors import EffauditError
from effaudit.explain.call import price_call
from effaudit.explain.generic import call_of
from effaudit.explain.lookup import Operator
from effaudit.explain.takes import names_of
from effaudit.operators.rules import Definition

_CONV: Final = "x=1x64x56x56 w=128x64x3x3 b=128 pads=1,1,1,1"
_RECURRENT: Final = "x=100x1x128 w=1x{0}x128 r=1x{0}x256"
_WRITTEN: Final = {
    "::Conv": _CONV,
    "::ConvInteger": "x=1x64x56x56 w=128x64x3x3 pads=1,1,1,1",
    "::ConvTranspose": "x=1x64x28x28 w=64x32x2x2 strides=2,2",
    "::MatMul": "a=128x512 b=512x2048:weight",
    "::Gemm": "a=128x512 b=512x2048:weight c=2048:weight",
    "::Einsum": "inputs0=8x128x64 inputs1=8x64x128 equation=bij,bjk->bik",
    "::LSTM": _RECURRENT.format(1024),
    "::GRU": _RECURRENT.format(768),
    "::RNN": _RECURRENT.format(256),
    "::Gather": "data=30522x768:weight indices=1x128",
    "::Attention": "q=1x12x128x64 k=1x12x128x64 v=1x12x128x64",
    "::Reshape": "data=1x64x56x56 shape=[1,64,-1]",
    "::Transpose": "data=1x64x56x56 perm=0,2,3,1",
    "::MaxPool": "x=1x64x56x56 kernel_shape=2,2 strides=2,2",
    "::AveragePool": "x=1x64x56x56 kernel_shape=2,2 strides=2,2",
    "::Cast": "input=1x64x56x56 to=10",
    "::Range": "start=0:value limit=128:value delta=1:value",
    "::AffineGrid": "theta=1x2x3 size=[1,64,56,56]",
    "::BitCast": "input=1x64x56x56 to=6",
    "::CausalConvWithState": "input=1x64x128 weight=64x1x4",
    "::Concat": "inputs0=1x64x56x56 inputs1=1x64x56x56 axis=1",
    "::Crop": "input=1x64x56x56 border=1,1,1,1",
    "::DepthToSpace": "input=1x64x56x56 blocksize=2",
    "::SpaceToDepth": "input=1x64x56x56 blocksize=2",
    "::GridSample": "x=1x64x56x56 grid=1x28x28x2",
    "::LinearAttention": "query=1x128x768 key=1x128x768 value=1x128x768 q_num_heads=12 "
    "kv_num_heads=12 update_rule=linear",
    "::MaxUnpool": "x=1x64x28x28 i=1x64x28x28:int64 kernel_shape=2,2 strides=2,2",
    "::MelWeightMatrix": "num_mel_bins=80:value dft_length=400:value sample_rate=16000:value "
    "lower_edge_hertz=0.0:value upper_edge_hertz=8000.0:value",
    "::QLinearConv": "x=1x64x56x56 x_scale=scalar x_zero_point=scalar w=128x64x3x3 w_scale=scalar w_zero_point=scalar "
    "y_scale=scalar y_zero_point=scalar pads=1,1,1,1",
    "::QLinearMatMul": "a=128x512 a_scale=scalar a_zero_point=scalar b=512x2048:int8:weight b_scale=scalar "
    "b_zero_point=scalar:int8 y_scale=scalar y_zero_point=scalar",
    "::RandomNormal": "shape=1,64,56,56",
    "::RandomUniform": "shape=1,64,56,56",
    "::Resize": "x=1x64x28x28 scales=[1.0,1.0,2.0,2.0] mode=linear",
    "::RoiAlign": "x=1x256x56x56 rois=100x4 batch_indices=100:int64 output_height=7 output_width=7 sampling_ratio=2",
    "::TfIdfVectorizer": "x=1x128:int64 max_gram_length=2 min_gram_length=1 max_skip_count=0 ngram_indexes=0,1,2,3,4,5",
    "com.microsoft::DecoderMaskedMultiHeadAttention": "query=1x1x768 key=1x1x768 value=1x1x768 num_heads=12",
    "com.microsoft::DynamicQuantizeLSTM": "x=100x1x128 w=1x128x1024:int8 r=1x256x1024:int8",
    "com.microsoft::EmbedLayerNormalization": "input_ids=1x128:int32 word_embedding=30522x768 "
    "position_embedding=512x768 gamma=768 beta=768",
    "com.microsoft::GroupNorm": "x=1x56x56x64 gamma=64 beta=64 groups=8 activation=0",
    "com.microsoft::SkipGroupNorm": "x=1x56x56x64 gamma=64 beta=64 skip=1x56x56x64 groups=8 activation=0",
    "com.microsoft::GridSample": "x=1x64x56x56 grid=1x28x28x2",
    "com.microsoft::MatMulNBits": "a=128x4096 b=11008x32x64 scales=352256 K=4096 N=11008 bits=4 block_size=128",
    "com.microsoft::MatMulBnb4": "a=128x4096 b=22544384 absmax=704512 K=4096 N=11008 block_size=64 quant_type=1",
    "com.microsoft::MoE": "input=128x512 router_probs=128x8 fc1_experts_weights=8x2048x512 "
    "fc2_experts_weights=8x512x2048",
    "com.microsoft::NhwcMaxPool": "x=1x56x56x64:int8 kernel_shape=2,2 strides=2,2",
    "com.microsoft::QAttention": "input=1x128x768 weight=768x2304:int8 bias=2304 input_scale=scalar "
    "weight_scale=scalar num_heads=12",
    "com.microsoft::QLinearAdd": "a=1x64x56x56 a_scale=scalar a_zero_point=scalar b=1x64x56x56:uint8 b_scale=scalar "
    "b_zero_point=scalar c_scale=scalar c_zero_point=scalar",
    "com.microsoft::QLinearMul": "a=1x64x56x56 a_scale=scalar a_zero_point=scalar b=1x64x56x56:uint8 b_scale=scalar "
    "b_zero_point=scalar c_scale=scalar c_zero_point=scalar",
    "com.microsoft::RelativePositionBias": "bias_table=32x12 query_length=128:value key_length=128:value "
    "max_distance=128",
    "com.microsoft::SparseAttention": "query=1x1x4096 key=1x1x1024 value=1x1x1024 past_key=1x8x2048x128 "
    "past_value=1x8x2048x128 block_row_indices=1x33 block_col_indices=1x32 total_sequence_length=2048:value "
    "key_total_sequence_lengths=1 num_heads=32 kv_num_heads=8 sparse_block_size=64",
}
_SHAPES: Final = ("1x64x56x56", "64", "1x64", "1x64x56", "[1]", "64x64", "1x64x64", "scalar", "1:value")
_MATRIX: Final = "64x64"  # what most definitions of products and elementwise operators take alike
_TRIES: Final = 400


def generic_example(found: Operator) -> str:
    """Arguments of the generic form that the operator takes, or "" where none were found."""
    written = _WRITTEN.get(f"{found.domain}::{found.op}")
    if written is not None and not isinstance(found.rules, Definition):
        return written
    takes = names_of(found.rules)
    names = takes.inputs[: takes.required] or ((f"{takes.variadic}0",) if takes.variadic else ())
    if not names and takes.inputs:
        names = takes.inputs[:1]
    if found.rules.shape is None or not names or len(names) > 4 or takes.needed:
        return ""
    tried = (_MATRIX, *_SHAPES) if isinstance(found.rules, Definition) else _SHAPES
    for i, shapes in enumerate(product(tried, repeat=len(names))):
        if i > _TRIES:
            return ""
        arguments = dict(zip(names, shapes, strict=True))
        try:
            priced = price_call(call_of(found, arguments), found.rules)
        except EffauditError:
            continue
        if priced.graph.values["out"].shape is not None:
            return " ".join(f"{name}={text}" for name, text in arguments.items())
    return ""
