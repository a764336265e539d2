"""com.microsoft arithmetic on 8-bit tensors: what it stands for is dequantize, compute in float, quantize.

ops: 2 per input element to dequantize, the float operator's number, 3 per output element to quantize.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from collections.abc import Sequence

from effaudit.dims import Dim
from effaudit.graph import ENCODINGS, INT8, INT32, Shape, Value
from effaudit.ops._inputs import given, need, ranked
from effaudit.ops._registry import MICROSOFT, Cost, cost, shape, storage
from effaudit.ops._shapes import axis_of, broadcast, broadcast_all
from effaudit.ops.elementwise import ACTIVATIONS
from effaudit.ops.quantize import DEQUANTIZE, QUANTIZE

SOFTMAX = 5
LAYER_NORM = 5


@shape("QLinearAdd", "QLinearMul", domain=MICROSOFT)
def qlinear_binary(
    a: Value,
    a_scale: Value,
    a_zero_point: Value | None = None,
    b: Value | None = None,
    b_scale: Value | None = None,
    b_zero_point: Value | None = None,
    c_scale: Value | None = None,
    c_zero_point: Value | None = None,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.QLinearAdd"""
    return Value(a.encoding, broadcast(ranked(a, "A"), ranked(b, "B")))


@cost("QLinearAdd", "QLinearMul", domain=MICROSOFT, kind="elementwise")
def qlinear_binary_cost(
    a: Value,
    a_scale: Value,
    a_zero_point: Value | None = None,
    b: Value | None = None,
    b_scale: Value | None = None,
    b_zero_point: Value | None = None,
    c_scale: Value | None = None,
    c_zero_point: Value | None = None,
    *,
    out: Value,
) -> Cost:
    """ops = 2 x numel(A) + 2 x numel(B) to dequantize, + 4 x numel(out) (add or multiply, quantize 3)"""
    return Cost(0, DEQUANTIZE * (a.numel + need(b, "B").numel) + (1 + QUANTIZE) * out.numel)


storage("QLinearAdd", "QLinearMul", domain=MICROSOFT, overwrites=(0, 3))


def _same(x: Value) -> Value:
    return Value(x.encoding, x.shape)


def _around(x: Value, per_element: int) -> Cost:
    """Of an operator between dequantize and quantize."""
    return Cost(0, (DEQUANTIZE + per_element + QUANTIZE) * x.numel)


@shape("QLinearLeakyRelu", domain=MICROSOFT)
def qlinear_leaky_relu(
    x: Value,
    x_scale: Value,
    x_zero_point: Value | None = None,
    y_scale: Value | None = None,
    y_zero_point: Value | None = None,
    *,
    alpha: float = 0.01,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.QLinearLeakyRelu"""
    return _same(x)


@cost("QLinearLeakyRelu", domain=MICROSOFT, kind="activation")
def qlinear_leaky_relu_cost(x: Value, *rest: Value | None, out: Value) -> Cost:
    """ops = 7 x numel(out) (dequantize 2, compare and multiply, quantize 3)"""
    return _around(out, ACTIVATIONS["LeakyRelu"])


@shape("QLinearSigmoid", domain=MICROSOFT)
def qlinear_sigmoid(
    x: Value,
    x_scale: Value,
    x_zero_point: Value | None = None,
    y_scale: Value | None = None,
    y_zero_point: Value | None = None,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.QLinearSigmoid"""
    return _same(x)


@cost("QLinearSigmoid", domain=MICROSOFT, kind="activation")
def qlinear_sigmoid_cost(x: Value, *rest: Value | None, out: Value) -> Cost:
    """ops = 9 x numel(out) (dequantize 2, sigmoid 4, quantize 3)"""
    return _around(out, ACTIVATIONS["Sigmoid"])


@shape("QLinearSoftmax", domain=MICROSOFT)
def qlinear_softmax(
    x: Value,
    x_scale: Value,
    x_zero_point: Value | None = None,
    y_scale: Value | None = None,
    y_zero_point: Value | None = None,
    *,
    axis: int = -1,
    opset: int,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.QLinearSoftmax"""
    axis_of(axis, len(ranked(x, "X")))
    return _same(x)


@cost("QLinearSoftmax", domain=MICROSOFT, kind="softmax")
def qlinear_softmax_cost(x: Value, *rest: Value | None, out: Value) -> Cost:
    """ops = 10 x numel(out) (dequantize 2, softmax 5, quantize 3)"""
    return _around(out, SOFTMAX)


@shape("QOrderedGelu", domain=MICROSOFT)
def qordered_gelu(x: Value, scale_x: Value, scale_y: Value, *, order_X: int = 1, order_Y: int = 1) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.QOrderedGelu"""
    return _same(x)


@cost("QOrderedGelu", domain=MICROSOFT, kind="activation")
def qordered_gelu_cost(x: Value, scale_x: Value, scale_y: Value, *, out: Value) -> Cost:
    """ops = 10 x numel(out) (dequantize 2, Gelu 5, quantize 3)"""
    return _around(out, ACTIVATIONS["Gelu"])


@shape("QOrderedLayerNormalization", domain=MICROSOFT)
def qordered_layer_normalization(
    x: Value,
    scale_x: Value,
    scale: Value,
    b: Value | None = None,
    scale_y: Value | None = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    order_X: int = 1,
    order_Y: int = 1,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.QOrderedLayerNormalization"""
    return _same(x)


@cost("QOrderedLayerNormalization", domain=MICROSOFT, kind="norm")
def qordered_layer_normalization_cost(
    x: Value, scale_x: Value, scale: Value, b: Value | None = None, scale_y: Value | None = None, *, out: Value
) -> Cost:
    """ops = 10 x numel(out) (dequantize 2, norm 5, 4 without a shift, quantize 3)"""
    return _around(out, LAYER_NORM - 1 + given(b))


storage("QLinearLeakyRelu", "QLinearSigmoid", "QLinearSoftmax", "QOrderedGelu", domain=MICROSOFT, overwrites=(0,))


@shape("QLinearConcat", domain=MICROSOFT)
def qlinear_concat(y_scale: Value, y_zero_point: Value, *inputs: Value, axis: int) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.QLinearConcat"""
    parts = [ranked(part, "a part") for part in inputs[::3]]
    if not parts or len(inputs) % 3:
        raise ValueError(f"{len(inputs)} inputs; a tensor, its scale and its zero point each")
    at = axis_of(axis, len(parts[0]))
    total: Dim = 0
    for part in parts:
        if len(part) != len(parts[0]):
            raise ValueError(f"parts of rank {len(parts[0])} and {len(part)}")
        total = total + part[at]
    return Value(y_zero_point.encoding, (*parts[0][:at], total, *parts[0][at + 1 :]))


@cost("QLinearConcat", domain=MICROSOFT, kind="movement")
def qlinear_concat_cost(y_scale: Value, y_zero_point: Value, *inputs: Value, out: Value) -> Cost:
    """ops = 5 x numel(out) (dequantize 2, quantize 3)"""
    return _around(out, 0)


@shape("QLinearWhere", domain=MICROSOFT)
def qlinear_where(
    condition: Value,
    x: Value,
    x_scale: Value,
    x_zero_point: Value,
    y: Value,
    y_scale: Value,
    y_zero_point: Value,
    z_scale: Value,
    z_zero_point: Value,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.QLinearWhere"""
    parts = [ranked(condition, "condition"), ranked(x, "X"), ranked(y, "Y")]
    return Value(z_zero_point.encoding, broadcast_all(parts))


@cost("QLinearWhere", domain=MICROSOFT, kind="elementwise")
def qlinear_where_cost(condition: Value, *rest: Value, out: Value) -> Cost:
    """ops = 6 x numel(out) (choose, dequantize 2, quantize 3)"""
    return _around(out, 1)


def reduced(data: Shape, axes: Sequence[int], keepdims: int) -> Shape:
    """The shape without the reduced axes, or with 1 in their place."""
    at = {axis_of(axis, len(data)) for axis in axes}
    if keepdims:
        return tuple(1 if i in at else d for i, d in enumerate(data))
    return tuple(d for i, d in enumerate(data) if i not in at)


@shape("QLinearReduceMean", domain=MICROSOFT)
def qlinear_reduce_mean(
    data: Value,
    data_scale: Value,
    data_zero_point: Value | None = None,
    reduced_scale: Value | None = None,
    reduced_zero_point: Value | None = None,
    *,
    axes: Sequence[int],
    keepdims: int,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.QLinearReduceMean"""
    return Value(data.encoding, reduced(ranked(data, "data"), axes, keepdims))


@cost("QLinearReduceMean", domain=MICROSOFT, kind="reduction")
def qlinear_reduce_mean_cost(data: Value, *rest: Value | None, out: Value) -> Cost:
    """ops = 3 x numel(data) (dequantize 2, add up), + 3 x numel(out) to quantize"""
    return Cost(0, (DEQUANTIZE + 1) * data.numel + QUANTIZE * out.numel)


@shape("ReduceSumInteger", domain=MICROSOFT)
def reduce_sum_integer(data: Value, *, axes: Sequence[int], keepdims: int) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.ReduceSumInteger"""
    wide = INT32 if data.encoding == INT8 else ENCODINGS[12]
    return Value(wide, reduced(ranked(data, "data"), axes, keepdims))


@cost("ReduceSumInteger", domain=MICROSOFT, kind="reduction")
def reduce_sum_integer_cost(data: Value, *, out: Value) -> Cost:
    """ops = numel(data) - numel(out) additions"""
    return Cost(0, data.numel - out.numel)


@shape("MulInteger", domain=MICROSOFT)
def mul_integer(
    a: Value, a_zero_point: Value | None = None, b: Value | None = None, b_zero_point: Value | None = None
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MulInteger"""
    return Value(INT32, broadcast(ranked(a, "A"), ranked(b, "B")))


@cost("MulInteger", domain=MICROSOFT, kind="elementwise")
def mul_integer_cost(
    a: Value,
    a_zero_point: Value | None = None,
    b: Value | None = None,
    b_zero_point: Value | None = None,
    *,
    out: Value,
) -> Cost:
    """ops = numel(out), + numel(A) and + numel(B) for their zero points"""
    return Cost(0, out.numel + given(a_zero_point) * a.numel + given(b_zero_point) * need(b, "B").numel)


@shape("QuantizeWithOrder", domain=MICROSOFT)
def quantize_with_order(input: Value, scale_input: Value, *, order_input: int, order_output: int) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.QuantizeWithOrder"""
    return Value(INT8, input.shape)


@cost("QuantizeWithOrder", domain=MICROSOFT, kind="quantize")
def quantize_with_order_cost(input: Value, scale_input: Value, *, out: Value) -> Cost:
    """ops = 3 x numel(out) (divide, round, clip)"""
    return Cost(0, QUANTIZE * out.numel)


@shape("DequantizeWithOrder", domain=MICROSOFT)
def dequantize_with_order(input: Value, scale_input: Value, *, order_input: int, order_output: int, to: int) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.DequantizeWithOrder"""
    return Value(ENCODINGS[to], input.shape)


@cost("DequantizeWithOrder", domain=MICROSOFT, kind="quantize")
def dequantize_with_order_cost(input: Value, scale_input: Value, *, out: Value) -> Cost:
    """ops = numel(out) (multiply; no zero point)"""
    return Cost(0, out.numel)
