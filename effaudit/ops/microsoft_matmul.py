"""com.microsoft matrix products: fused, transposed and quantized to integers. macs = numel(out) x K.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from effaudit.dims import Dim
from effaudit.graph import ENCODINGS, FLOAT, INT32, Shape, Value
from effaudit.ops._inputs import given, need, ranked
from effaudit.ops._registry import MICROSOFT, Cost, cost, shape, unpriced
from effaudit.ops.elementwise import ACTIVATIONS
from effaudit.ops.matmul import contracted, gemm_shape, matmul_macs, matmul_shape
from effaudit.ops.quantize import QUANTIZE, RANGE

FAST_GELU = 9  # 0.5 x (1 + tanh(a x + b x^3)): cube 2, scale 2, add, tanh, add, halve, multiply
REQUANTIZE = 2  # scale, round: as in QLinearMatMul


def activation_ops(name: str | bytes | None) -> int:
    """The operations per element of a fused activation given by name ("" and "NONE": none of them).

    Raises ValueError on a name nobody knows.
    """
    text = (name.decode() if isinstance(name, bytes) else name or "").lower()
    if text in ("", "none", "identity"):
        return 0
    known = {"softmax": 5, "silu": ACTIVATIONS["Swish"], **{k.lower(): v for k, v in ACTIVATIONS.items()}}
    if text not in known:
        raise ValueError(f"activation {name!r} is unknown")
    return known[text]


def oriented(a: Shape, transposed: int, batch: int) -> Shape:
    """The operand as the product sees it: `batch` brings its first axis to the place before the last, then `transposed`
    swaps the last two (so that (K, batch.., M) reads as (batch.., M, K) under both)."""
    if len(a) < 2:
        return a
    if batch:
        a = (*a[1:-1], a[0], a[-1])
    return (*a[:-2], a[-1], a[-2]) if transposed else a


@shape("FusedMatMul", domain=MICROSOFT)
def fused_matmul(
    a: Value,
    b: Value,
    *,
    alpha: float = 1.0,
    transA: int = 0,
    transB: int = 0,
    transBatchA: int = 0,
    transBatchB: int = 0,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.FusedMatMul"""
    left = oriented(ranked(a, "A"), transA, transBatchA)
    return Value(a.encoding, matmul_shape(left, oriented(ranked(b, "B"), transB, transBatchB)))


@shape("FusedMatMulActivation", domain=MICROSOFT)
def fused_matmul_activation(
    a: Value,
    b: Value,
    *,
    activation: str,
    activation_alpha: float = 0.0,
    activation_axis: int = 0,
    activation_beta: float = 0.0,
    activation_gamma: float = 0.0,
    alpha: float = 1.0,
    transA: int = 0,
    transB: int = 0,
    transBatchA: int = 0,
    transBatchB: int = 0,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.FusedMatMulActivation"""
    return fused_matmul(
        a, b, transA=transA, transB=transB, transBatchA=transBatchA, transBatchB=transBatchB, alpha=alpha
    )


@cost("FusedMatMul", domain=MICROSOFT, kind="gemm")
def fused_matmul_cost(
    a: Value,
    b: Value,
    *,
    alpha: float = 1.0,
    transA: int = 0,
    transB: int = 0,
    transBatchA: int = 0,
    transBatchB: int = 0,
    out: Value,
) -> Cost:
    """macs = numel(out) x K; ops = numel(out) for alpha != 1"""
    left = oriented(ranked(a, "A"), transA, transBatchA)
    inner = contracted(left, oriented(ranked(b, "B"), transB, transBatchB))
    return Cost(out.numel * inner, out.numel * (alpha != 1.0))


@cost("FusedMatMulActivation", domain=MICROSOFT, kind="gemm")
def fused_matmul_activation_cost(
    a: Value,
    b: Value,
    *,
    activation: str,
    alpha: float = 1.0,
    transA: int = 0,
    transB: int = 0,
    transBatchA: int = 0,
    transBatchB: int = 0,
    out: Value,
) -> Cost:
    """macs = numel(out) x K; ops = numel(out) for alpha != 1, + numel(out) x the activation's number"""
    product = fused_matmul_cost(
        a,
        b,
        alpha=alpha,
        transA=transA,
        transB=transB,
        transBatchA=transBatchA,
        transBatchB=transBatchB,
        out=out,
    )
    return Cost(product.macs, product.ops + out.numel * activation_ops(activation))


@shape("TransposeMatMul", domain=MICROSOFT)
def transpose_matmul(a: Value, b: Value, *, alpha: float = 1.0, transA: int = 0, transB: int = 0) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.TransposeMatMul"""
    return fused_matmul(a, b, alpha=alpha, transA=transA, transB=transB)


@cost("TransposeMatMul", domain=MICROSOFT, kind="gemm")
def transpose_matmul_cost(
    a: Value, b: Value, *, alpha: float = 1.0, transA: int = 0, transB: int = 0, out: Value
) -> Cost:
    """macs = numel(out) x K; ops = numel(out) for alpha != 1"""
    return fused_matmul_cost(a, b, alpha=alpha, transA=transA, transB=transB, out=out)


@shape("FusedGemm", domain=MICROSOFT)
def fused_gemm(
    a: Value,
    b: Value,
    c: Value | None = None,
    *,
    activation: str = "",
    activation_alpha: float = 0.0,
    activation_beta: float = 0.0,
    activation_gamma: float = 0.0,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.FusedGemm"""
    return Value(a.encoding, gemm_shape(ranked(a, "A"), ranked(b, "B"), bool(transA), bool(transB)))


def _inner(a: Value, trans_a: int) -> Dim:
    return ranked(a, "A", 2)[0 if trans_a else 1]


@cost("FusedGemm", domain=MICROSOFT, kind="gemm")
def fused_gemm_cost(
    a: Value,
    b: Value,
    c: Value | None = None,
    *,
    activation: str = "",
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    out: Value,
) -> Cost:
    """macs = M x N x K; ops = M x N each for C, alpha != 1 and beta != 1, + M x N x the activation's number"""
    extra = given(c) + (alpha != 1.0) + (c is not None and beta != 1.0)
    return Cost(out.numel * _inner(a, transA), out.numel * (extra + activation_ops(activation)))


@shape("GemmFastGelu", domain=MICROSOFT)
def gemm_fast_gelu(x: Value, w: Value, bias: Value | None = None) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.GemmFastGelu"""
    return Value(x.encoding, matmul_shape(ranked(x, "X"), ranked(w, "W")))


@cost("GemmFastGelu", domain=MICROSOFT, kind="gemm")
def gemm_fast_gelu_cost(x: Value, w: Value, bias: Value | None = None, *, out: Value) -> Cost:
    """macs = numel(out) x K; ops = numel(out) x 9 (tanh approximation), + numel(out) for a bias"""
    return Cost(matmul_macs(x, w, out), out.numel * (FAST_GELU + given(bias)))


@shape("GemmFloat8", domain=MICROSOFT)
def gemm_float8(
    a: Value,
    b: Value,
    c: Value | None = None,
    scalea: Value | None = None,
    scaleb: Value | None = None,
    scaley: Value | None = None,
    *,
    activation: str = "",
    alpha: float = 1.0,
    beta: float = 0.0,
    dtype: int = 1,
    transA: int = 0,
    transB: int = 0,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.GemmFloat8"""
    return Value(ENCODINGS[dtype], gemm_shape(ranked(a, "A"), ranked(b, "B"), bool(transA), bool(transB)))


@cost("GemmFloat8", domain=MICROSOFT, kind="gemm")
def gemm_float8_cost(
    a: Value,
    b: Value,
    c: Value | None = None,
    scalea: Value | None = None,
    scaleb: Value | None = None,
    scaley: Value | None = None,
    *,
    activation: str = "",
    beta: float = 0.0,
    transA: int = 0,
    out: Value,
) -> Cost:
    """macs = M x N x K; ops = M x N each for the scale, C (where beta != 0, twice) and + the activation's number"""
    scaled = given(scalea, scaleb, scaley) > 0
    extra = scaled + (2 if c is not None and beta else 0) + activation_ops(activation)
    return Cost(out.numel * _inner(a, transA), out.numel * extra)


@shape("MatMulInteger16", domain=MICROSOFT)
def matmul_integer16(a: Value, b: Value) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MatMulInteger16"""
    unsigned = a.encoding.dtype.startswith("u") and b.encoding.dtype.startswith("u")
    return Value(ENCODINGS[12] if unsigned else INT32, matmul_shape(ranked(a, "A"), ranked(b, "B")))


@cost("MatMulInteger16", domain=MICROSOFT, kind="gemm")
def matmul_integer16_cost(a: Value, b: Value, *, out: Value) -> Cost:
    """macs = numel(out) x K"""
    return Cost(matmul_macs(a, b, out))


@shape("MatMulIntegerToFloat", domain=MICROSOFT)
def matmul_integer_to_float(
    a: Value,
    b: Value,
    a_scale: Value,
    b_scale: Value,
    a_zero_point: Value | None = None,
    b_zero_point: Value | None = None,
    bias: Value | None = None,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MatMulIntegerToFloat"""
    return Value(a_scale.encoding, matmul_shape(ranked(a, "A"), ranked(b, "B")))


@cost("MatMulIntegerToFloat", domain=MICROSOFT, kind="gemm")
def matmul_integer_to_float_cost(
    a: Value,
    b: Value,
    a_scale: Value,
    b_scale: Value,
    a_zero_point: Value | None = None,
    b_zero_point: Value | None = None,
    bias: Value | None = None,
    *,
    out: Value,
) -> Cost:
    """macs = numel(out) x K; ops = numel(out) to rescale, + numel(out) for a bias; zero points are folded (no ops)"""
    return Cost(matmul_macs(a, b, out), out.numel * (1 + given(bias)))


@shape("DynamicQuantizeMatMul", domain=MICROSOFT)
def dynamic_quantize_matmul(
    a: Value, b: Value, b_scale: Value, b_zero_point: Value | None = None, bias: Value | None = None
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.DynamicQuantizeMatMul"""
    return Value(a.encoding, matmul_shape(ranked(a, "A"), ranked(b, "B")))


@cost("DynamicQuantizeMatMul", domain=MICROSOFT, kind="gemm")
def dynamic_quantize_matmul_cost(
    a: Value, b: Value, b_scale: Value, b_zero_point: Value | None = None, bias: Value | None = None, *, out: Value
) -> Cost:
    """macs = numel(out) x K;
    ops = numel(A) x 5 (min, max, quantize 3), + numel(out) to rescale, + numel(out) for a bias"""
    return Cost(matmul_macs(a, b, out), (RANGE + QUANTIZE) * a.numel + out.numel * (1 + given(bias)))


@shape("QGemm", domain=MICROSOFT)
def qgemm(
    a: Value,
    a_scale: Value,
    a_zero_point: Value,
    b: Value,
    b_scale: Value,
    b_zero_point: Value,
    c: Value | None = None,
    y_scale: Value | None = None,
    y_zero_point: Value | None = None,
    *,
    alpha: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.QGemm
    (float where no output zero point is given)"""
    encoding = y_zero_point.encoding if y_zero_point is not None else FLOAT
    return Value(encoding, gemm_shape(ranked(a, "A"), ranked(b, "B"), bool(transA), bool(transB)))


@cost("QGemm", domain=MICROSOFT, kind="gemm")
def qgemm_cost(
    a: Value,
    a_scale: Value,
    a_zero_point: Value,
    b: Value,
    b_scale: Value,
    b_zero_point: Value,
    c: Value | None = None,
    y_scale: Value | None = None,
    y_zero_point: Value | None = None,
    *,
    transA: int = 0,
    out: Value,
) -> Cost:
    """macs = M x N x K; ops = M x N x 2 to requantize (scale, round), x 1 to rescale into float, + M x N for C"""
    rescale = REQUANTIZE if y_scale is not None else 1
    return Cost(out.numel * _inner(a, transA), out.numel * (rescale + given(c)))


@shape("QOrderedMatMul", domain=MICROSOFT)
def qordered_matmul(
    a: Value,
    scale_a: Value,
    b: Value,
    scale_b: Value,
    scale_y: Value,
    bias: Value | None = None,
    c: Value | None = None,
    scale_c: Value | None = None,
    *,
    order_A: int,
    order_B: int,
    order_Y: int,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.QOrderedMatMul"""
    return Value(a.encoding, matmul_shape(ranked(a, "A", 2, 3), ranked(b, "B", 2, 3)))


@cost("QOrderedMatMul", domain=MICROSOFT, kind="gemm")
def qordered_matmul_cost(
    a: Value,
    scale_a: Value,
    b: Value,
    scale_b: Value,
    scale_y: Value,
    bias: Value | None = None,
    c: Value | None = None,
    scale_c: Value | None = None,
    *,
    out: Value,
) -> Cost:
    """macs = numel(out) x K; ops = numel(out) x 2 to requantize (scale, round), + numel(out) for a bias,
    + numel(out) x 2 for C (scale, add)"""
    return Cost(matmul_macs(a, b, out), out.numel * (REQUANTIZE + given(bias) + 2 * given(c)))


@shape("SparseToDenseMatMul", domain=MICROSOFT)
def sparse_to_dense_matmul(a: Value, b: Value, *, alpha: float = 1.0, transA: int = 0, transB: int = 0) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.SparseToDenseMatMul"""
    left = oriented(ranked(a, "A", 2), transA, 0)
    return Value(need(b, "B").encoding, matmul_shape(left, oriented(ranked(b, "B"), transB, 0)))


unpriced(
    "SparseToDenseMatMul",
    domain=MICROSOFT,
    reason="its work is the number of elements the sparse operand stores, which its shape does not tell",
)
