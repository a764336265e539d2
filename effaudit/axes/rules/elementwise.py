"""Operators that work element by element, with broadcasting."""

from __future__ import annotations

from effaudit.axes._registry import couples
from effaudit.axes.call import Call
from effaudit.axes.terms import Term, product, unify
from effaudit.ops._registry import MICROSOFT


@couples(
    *"Abs Neg Floor Ceil Round Sign Reciprocal Sqrt Exp Log Erf Not BitwiseNot IsNaN IsInf Sin Cos Tan".split(),
    *"Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Add Sub Mul Div Mod Pow And Or Xor BitwiseAnd BitwiseOr".split(),
    *"BitwiseXor BitShift Equal Greater GreaterOrEqual Less LessOrEqual Sum Max Min Mean Where Cast".split(),
    *"CastLike BitCast Identity Relu LeakyRelu ThresholdedRelu Sigmoid HardSigmoid Tanh Elu Selu Celu".split(),
    *"Softplus Softsign HardSwish Mish Gelu Swish Shrink PRelu Clip Dropout ParametricSoftplus".split(),
    *"ScaledTanh Bernoulli".split(),
)
@couples("Gelu", "FastGelu", "QuickGelu", "BiasGelu", "BiasDropout", "BiasAdd", "ScaledSiLU", domain=MICROSOFT)
def elementwise(call: Call) -> None:
    """https://github.com/onnx/onnx/blob/main/docs/Broadcasting.md"""
    for out in range(len(call.node.outputs)):
        if call.makes(out):
            for slot in range(len(call.node.inputs)):
                call.broadcast(call.axes(slot), call.out(out))


@couples("QLinearAdd", "QLinearMul", domain=MICROSOFT)
def qlinear_binary(call: Call) -> None:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftqlinearadd"""
    for slot in (0, 3):
        call.broadcast(call.axes(slot), call.out())


@couples("QLinearSigmoid", "QLinearLeakyRelu", domain=MICROSOFT)
def qlinear_unary(call: Call) -> None:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftqlinearsigmoid"""
    call.same(call.axes(0), call.out())


@couples("Softmax", "LogSoftmax", "Hardmax", "LRN", "LpNormalization", "MeanVarianceNormalization", "CumSum", "CumProd")
@couples("QLinearSoftmax", domain=MICROSOFT)
def same(call: Call) -> None:
    """The output has the axes of the first input: https://onnx.ai/onnx/operators/onnx__Softmax.html"""
    call.same(call.axes(0), call.out())


@couples("Trilu")
def trilu(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__Trilu.html: elements are told by their place"""
    call.same(call.axes(0), call.out())
    call.fix(call.out()[-2:], "elements on it are told by their place")


@couples("QuantizeLinear", "DequantizeLinear")
@couples("QuantizeLinear", "DequantizeLinear", domain=MICROSOFT)
def quantize(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html: scales per tensor, per axis or per block of an axis"""
    x, y = call.axes(0), call.out()
    call.same(x, y)
    for slot in (1, 2):
        scale = call.axes(slot)
        if len(scale) == 1 and scale[0].size > 1:
            call.vector(slot, x[call.attr("axis", 1)])
        elif len(scale) == len(x):
            for a, b in zip(scale, x, strict=True):
                if a.size == b.size:
                    call.broadcast((a,), (b,))
                elif a.size > 1 and b.size % a.size == 0:
                    unify(b, product((a, Term(b.size // a.size, blocked="its scales are per block"))))
                elif a.size != 1:
                    call.fix((a, b), "its scales are per block")


@couples("DynamicQuantizeLinear")
def dynamic_quantize(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__DynamicQuantizeLinear.html"""
    call.same(call.axes(0), call.out())
