"""com.microsoft matrix products with packed low-bit weights. macs = rows x K x N, as of the product they stand for.

ops: dequantizing every weight once per run, 2 each where a zero point is subtracted and a scale multiplied, 1 where
only a scale is; code books are look-ups.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from effaudit.dims import Dim
from effaudit.graph import Shape, Value
from effaudit.ops._inputs import agreed, given, need, ranked
from effaudit.ops._registry import MICROSOFT, Context, Cost, cost, numel, shape
from effaudit.ops._shapes import known_ints
from effaudit.ops.microsoft_matmul import activation_ops
from effaudit.ops.quantize import DEQUANTIZE, QUANTIZE

RMS_NORM = 3  # square and accumulate, times the inverse root, times the weight


def rows(a: Value, inner: Dim) -> Shape:
    """The leading axes of the activations. Raises ValueError where their last axis is not `inner`."""
    lead = ranked(a, "A")
    if not lead or (isinstance(inner, int) and inner < 1):
        raise ValueError(f"A of rank {len(lead)} with {inner} input features")
    agreed("K", lead[-1], inner)
    return lead[:-1]


def packed_in(bits: int, block_size: int) -> None:
    """Raises ValueError on a width or a block that no packing has."""
    if not 1 <= bits <= 8:
        raise ValueError(f"bits is {bits}; 1 to 8")
    if block_size < 16 or block_size & (block_size - 1):
        raise ValueError(f"block_size is {block_size}; a power of two from 16 on")


@shape("MatMulNBits", domain=MICROSOFT)
def matmul_nbits(
    a: Value,
    b: Value,
    scales: Value,
    zero_points: Value | None = None,
    g_idx: Value | None = None,
    bias: Value | None = None,
    *,
    K: int,
    N: int,
    accuracy_level: int = 0,
    bits: int = 4,
    block_size: int,
    weight_prepacked: int = 0,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MatMulNBits"""
    packed_in(bits, block_size)
    stored = ranked(b, "B")
    if len(stored) == 3 and not weight_prepacked:
        agreed("N", N, stored[0])
    return Value(a.encoding, (*rows(a, K), N))


@cost("MatMulNBits", domain=MICROSOFT, kind="gemm")
def matmul_nbits_cost(
    a: Value,
    b: Value,
    scales: Value,
    zero_points: Value | None = None,
    g_idx: Value | None = None,
    bias: Value | None = None,
    *,
    K: int,
    N: int,
    out: Value,
) -> Cost:
    """macs = rows x K x N; ops = 2 x K x N to dequantize (subtract, multiply), + numel(out) for a bias"""
    return Cost(numel(rows(a, K)) * K * N, DEQUANTIZE * K * N + given(bias) * out.numel)


@shape("MatMulBnb4", domain=MICROSOFT)
def matmul_bnb4(
    a: Value,
    b: Value,
    absmax: Value,
    *,
    K: int,
    N: int,
    block_size: int,
    quant_type: int,
    training_mode: int = 0,
    transB: int = 1,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MatMulBnb4"""
    packed_in(4, block_size)
    return Value(a.encoding, (*rows(a, K if transB else N), N if transB else K))


@cost("MatMulBnb4", domain=MICROSOFT, kind="gemm")
def matmul_bnb4_cost(a: Value, b: Value, absmax: Value, *, K: int, N: int, transB: int = 1, out: Value) -> Cost:
    """macs = rows x K x N; ops = K x N to dequantize (multiply; the code book is a look-up)"""
    return Cost(numel(rows(a, K if transB else N)) * K * N, K * N)


@shape("MatMulFpQ4", domain=MICROSOFT)
def matmul_fpq4(a: Value, b: Value, b_shape: Value, *, blk_quant_type: int = 1, ctx: Context) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MatMulFpQ4"""
    stated = _stated(b_shape)
    if stated is None:
        width: Dim = ctx.unknown_dim("B_shape is not known")
        return Value(a.encoding, (*ranked(a, "A")[:-1], width))
    return Value(a.encoding, (*rows(a, stated[0]), stated[1]))


def _stated(b_shape: Value) -> tuple[Dim, ...] | None:
    known = known_ints(b_shape)
    if known is not None and len(known) != 2:
        raise ValueError(f"B_shape holds {len(known)} numbers instead of 2")
    return known


@cost("MatMulFpQ4", domain=MICROSOFT, kind="gemm")
def matmul_fpq4_cost(a: Value, b: Value, b_shape: Value, *, blk_quant_type: int = 1, out: Value) -> Cost:
    """macs = rows x K x N; ops = K x N to dequantize (multiply), twice that with an offset (blk_quant_type 1)"""
    lead, width = ranked(a, "A"), ranked(out, "Y")[-1]
    return Cost(out.numel * lead[-1], lead[-1] * width * (2 if blk_quant_type == 1 else 1))


@shape("MatMulBlockQuantizedFp4Weight", domain=MICROSOFT)
def matmul_fp4(
    a: Value,
    b: Value,
    weight_scale: Value,
    weight_scale_2: Value,
    input_scale: Value | None = None,
    bias: Value | None = None,
    *,
    block_size: int = 16,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MatMulBlockQuantizedFp4Weight"""
    wide, half = ranked(b, "B", 2)
    return Value(a.encoding, (*rows(a, 2 * half), wide))


@cost("MatMulBlockQuantizedFp4Weight", domain=MICROSOFT, kind="gemm")
def matmul_fp4_cost(
    a: Value,
    b: Value,
    weight_scale: Value,
    weight_scale_2: Value,
    input_scale: Value | None = None,
    bias: Value | None = None,
    *,
    out: Value,
) -> Cost:
    """macs = rows x K x N; ops = 2 x K x N to dequantize (two scales), + numel(out) for a bias"""
    wide, half = ranked(b, "B", 2)
    return Cost(out.numel * 2 * half, 2 * wide * 2 * half + given(bias) * out.numel)


@shape("MatMulBlockQuantizedFp8Weight", domain=MICROSOFT)
def matmul_fp8(
    a: Value,
    b: Value,
    b_scale: Value,
    a_scale: Value | None = None,
    bias: Value | None = None,
    *,
    block_size: int = 128,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MatMulBlockQuantizedFp8Weight"""
    wide, inner = ranked(b, "B", 2)
    return Value(a.encoding, (*rows(a, inner), wide))


@cost("MatMulBlockQuantizedFp8Weight", domain=MICROSOFT, kind="gemm")
def matmul_fp8_cost(
    a: Value, b: Value, b_scale: Value, a_scale: Value | None = None, bias: Value | None = None, *, out: Value
) -> Cost:
    """macs = rows x K x N; ops = K x N to dequantize (multiply), + numel(A) x 3 where A is quantized,
    + numel(out) for a bias"""
    return Cost(
        out.numel * ranked(b, "B", 2)[1], b.numel + QUANTIZE * given(a_scale) * a.numel + given(bias) * out.numel
    )


def _normed(a: Value, skip: Value | None, norm_scale: Value | None) -> Dim:
    """What normalizing the activations costs: 3 per element, one more to add a skip connection."""
    return a.numel * (RMS_NORM * given(norm_scale) + given(skip))


@shape("MatMulNBitsMlp", domain=MICROSOFT)
def matmul_nbits_mlp(
    a: Value,
    skip: Value | None = None,
    norm_scale: Value | None = None,
    gate_b: Value | None = None,
    gate_scales: Value | None = None,
    gate_bias: Value | None = None,
    up_b: Value | None = None,
    up_scales: Value | None = None,
    up_bias: Value | None = None,
    *,
    K: int,
    N: int,
    accuracy_level: int = 0,
    activation: str,
    bits: int = 4,
    block_size: int,
    epsilon: float = 1e-5,
) -> tuple[Value, Value]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MatMulNBitsMlp"""
    packed_in(bits, block_size)
    need(gate_b, "gate_B")
    need(up_b, "up_B")
    return Value(a.encoding, (*rows(a, K), N)), Value(a.encoding, a.shape)


@cost("MatMulNBitsMlp", domain=MICROSOFT, kind="gemm")
def matmul_nbits_mlp_cost(
    a: Value,
    skip: Value | None = None,
    norm_scale: Value | None = None,
    gate_b: Value | None = None,
    gate_scales: Value | None = None,
    gate_bias: Value | None = None,
    up_b: Value | None = None,
    up_scales: Value | None = None,
    up_bias: Value | None = None,
    *,
    K: int,
    N: int,
    activation: str = "",
    out: Value,
) -> Cost:
    """macs = 2 x rows x K x N; ops = 4 x K x N to dequantize, + numel(out) x (activation + 1 for the gate + biases),
    + numel(A) x 3 for a norm, + numel(A) for a skip connection"""
    per_output = activation_ops(activation) + 1 + given(gate_bias, up_bias)
    ops = 2 * DEQUANTIZE * K * N + per_output * out.numel + _normed(a, skip, norm_scale)
    return Cost(2 * numel(rows(a, K)) * K * N, ops)


@shape("MatMulNBitsQkv", domain=MICROSOFT)
def matmul_nbits_qkv(
    a: Value,
    skip: Value | None = None,
    norm_scale: Value | None = None,
    q_b: Value | None = None,
    q_scales: Value | None = None,
    q_bias: Value | None = None,
    k_b: Value | None = None,
    k_scales: Value | None = None,
    k_bias: Value | None = None,
    v_b: Value | None = None,
    v_scales: Value | None = None,
    v_bias: Value | None = None,
    *,
    K: int,
    Nkv: int,
    Nq: int,
    accuracy_level: int = 0,
    bits: int = 4,
    block_size: int,
    epsilon: float = 1e-6,
) -> tuple[Value, ...]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MatMulNBitsQkv"""
    packed_in(bits, block_size)
    lead = rows(a, K)
    narrow = Value(a.encoding, (*lead, Nkv))
    return Value(a.encoding, (*lead, Nq)), narrow, narrow, Value(a.encoding, a.shape)


@cost("MatMulNBitsQkv", domain=MICROSOFT, kind="gemm")
def matmul_nbits_qkv_cost(
    a: Value,
    skip: Value | None = None,
    norm_scale: Value | None = None,
    q_b: Value | None = None,
    q_scales: Value | None = None,
    q_bias: Value | None = None,
    k_b: Value | None = None,
    k_scales: Value | None = None,
    k_bias: Value | None = None,
    v_b: Value | None = None,
    v_scales: Value | None = None,
    v_bias: Value | None = None,
    *,
    K: int,
    Nkv: int,
    Nq: int,
    out: Value,
) -> Cost:
    """macs = rows x K x (Nq + 2 x Nkv); ops = 2 x K x (Nq + 2 x Nkv) to dequantize, + rows x width for each bias,
    + numel(A) x 3 for the norm, + numel(A) for a skip connection"""
    width, lead = Nq + 2 * Nkv, numel(rows(a, K))
    biased = Nq * given(q_bias) + Nkv * given(k_bias, v_bias)
    return Cost(lead * K * width, DEQUANTIZE * K * width + lead * biased + _normed(a, skip, norm_scale))
