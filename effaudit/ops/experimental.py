"""Operators that ONNX Runtime keeps in the ai.onnx domain although the standard does not have them.

https://github.com/microsoft/onnxruntime/blob/main/docs/OperatorKernels.md
"""

from __future__ import annotations

from collections.abc import Sequence

from effaudit.dims import Dim
from effaudit.graph import FLOAT, Value
from effaudit.ops._inputs import ranked
from effaudit.ops._registry import MICROSOFT, ONNX, Context, Cost, cost, shape, storage, unpriced
from effaudit.ops._shapes import axis_of
from effaudit.ops.movement import slice_


@shape("SimplifiedLayerNormalization", domain=ONNX)
@shape("SimplifiedLayerNormalization", domain=MICROSOFT)
def simplified_layer_normalization(
    x: Value, scale: Value, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> tuple[Value, Value]:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/OperatorKernels.md (SimplifiedLayerNormalization)"""
    data = ranked(x, "X")
    at = axis_of(axis, len(data))
    return Value(scale.encoding, data), Value(FLOAT, (*data[:at], *(1 for _ in data[at:])))


@cost("SimplifiedLayerNormalization", domain=ONNX, kind="norm")
@cost("SimplifiedLayerNormalization", domain=MICROSOFT, kind="norm")
def simplified_layer_normalization_cost(x: Value, scale: Value, *, out: Value) -> Cost:
    """ops = 3 x numel(out) (square and accumulate; times the inverse root; times the scale)"""
    return Cost(0, 3 * out.numel)


@shape("Affine")
def affine(x: Value, *, alpha: float = 1.0, beta: float = 0.0) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/OperatorKernels.md (Affine)"""
    return Value(x.encoding, x.shape)


@cost("Affine", kind="elementwise")
def affine_cost(x: Value, *, out: Value) -> Cost:
    """ops = 2 x numel(out) (multiply, add)"""
    return Cost(0, 2 * out.numel)


@shape("ImageScaler")
def image_scaler(input: Value, *, bias: Sequence[float] | None = None, scale: float = 1.0) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/OperatorKernels.md (ImageScaler)"""
    return Value(input.encoding, ranked(input, "input", 4))


@cost("ImageScaler", kind="elementwise")
def image_scaler_cost(input: Value, *, out: Value) -> Cost:
    """ops = 2 x numel(out) (multiply, add)"""
    return Cost(0, 2 * out.numel)


@shape("Scale")
def scale(input: Value, *, scale: float = 1.0) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/OperatorKernels.md (Scale)"""
    return Value(input.encoding, input.shape)


@cost("Scale", kind="elementwise")
def scale_cost(input: Value, *, out: Value) -> Cost:
    """ops = numel(out)"""
    return Cost(0, out.numel)


@shape("ParametricSoftplus")
def parametric_softplus(x: Value, *, alpha: float = 1.0, beta: float = 1.0) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/OperatorKernels.md (ParametricSoftplus)"""
    return Value(x.encoding, x.shape)


@cost("ParametricSoftplus", kind="activation")
def parametric_softplus_cost(x: Value, *, out: Value) -> Cost:
    """ops = 5 x numel(out) (two products, exp, add, log)"""
    return Cost(0, 5 * out.numel)


@shape("ScaledTanh")
def scaled_tanh(input: Value, *, alpha: float = 1.0, beta: float = 1.0) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/OperatorKernels.md (ScaledTanh)"""
    return Value(input.encoding, input.shape)


@cost("ScaledTanh", kind="activation")
def scaled_tanh_cost(input: Value, *, out: Value) -> Cost:
    """ops = 3 x numel(out) (two products, tanh)"""
    return Cost(0, 3 * out.numel)


storage("Affine", "ImageScaler", "Scale", "ParametricSoftplus", "ScaledTanh", overwrites=(0,))


@shape("Crop")
def crop(input: Value, *, border: Sequence[int], scale: Sequence[int] | None = None) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/OperatorKernels.md (Crop)"""
    batch, channels, height, width = ranked(input, "input", 4)
    if len(border) != 4 or (scale is not None and len(scale) != 2):
        raise ValueError(f"border {border} and scale {scale}; 4 and 2 numbers are due")
    left, top, right, bottom = border
    kept: tuple[Dim, Dim] = (height - top - bottom, width - left - right)
    return Value(input.encoding, (batch, channels, *(kept if scale is None else tuple(scale))))


@shape("DynamicSlice")
def dynamic_slice(data: Value, starts: Value, ends: Value, axes: Value | None = None, *, ctx: Context) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/OperatorKernels.md (DynamicSlice)"""
    return slice_(data, starts, ends, axes, ctx=ctx)


@shape("MemcpyFromHost", "MemcpyToHost")
def memcpy(x: Value) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/OperatorKernels.md (MemcpyFromHost, MemcpyToHost)"""
    return x


@cost("Crop", kind="movement")
@cost("DynamicSlice", kind="movement")
@cost("MemcpyFromHost", "MemcpyToHost", kind="movement")
def move_cost(*inputs: Value | None, out: Value) -> Cost:
    """no arithmetic: reads and writes every element of its output"""
    return Cost(0, 0, out.nbytes, out.nbytes)


unpriced("GivenTensorFill", "GRUUnit", reason="a leftover of Caffe2 without a specification or a kernel")
unpriced(
    "DisentangledAttention_TRT",
    "EfficientNMS_TRT",
    "MultilevelCropAndResize_TRT",
    "PyramidROIAlign_TRT",
    reason="a TensorRT plugin: what it computes is not in the graph",
)
