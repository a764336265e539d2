"""Quantization between float and integer tensors.

ops per element, here and in every operator that holds such a step: quantize 3 (divide, add the zero point, clip),
dequantize 2 (subtract the zero point, multiply); finding the range of a dynamic quantization 2 more (min, max).
"""

from __future__ import annotations

from typing import Final

from effaudit.graph import ENCODINGS, FLOAT, UINT8, Encoding, Value
from effaudit.ops._inputs import ranked
from effaudit.ops._registry import MICROSOFT, Cost, cost, shape, storage
from effaudit.ops._shapes import axis_of

QUANTIZE: Final = 3
DEQUANTIZE: Final = 2
RANGE: Final = 2


def _checked(x: Value, scale: Value, axis: int | None) -> Value:
    """`x`, whose scale is one number, one per index of `axis`, or one per block. Raises ValueError otherwise."""
    dims, scales = ranked(x, "x"), ranked(scale, "the scale")
    if len(scales) == 1 and scales[0] != 1 and axis is not None and dims:
        along = dims[axis_of(axis, len(dims))]
        if isinstance(along, int) and isinstance(scales[0], int) and along != scales[0]:
            raise ValueError(f"{scales[0]} scales for {along} indices of axis {axis}")
    elif len(scales) > 1 and len(scales) != len(dims):
        raise ValueError(f"scales of rank {len(scales)} for a tensor of rank {len(dims)}")
    return x


def _stored(data_type: int) -> Encoding:
    if data_type not in ENCODINGS:
        raise ValueError(f"data type {data_type} is unknown")
    return ENCODINGS[data_type]


@shape("QuantizeLinear")
def quantize_linear(
    x: Value,
    y_scale: Value,
    y_zero_point: Value | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
    precision: int = 0,
    saturate: int = 1,
) -> Value:
    """https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html"""
    _checked(x, y_scale, axis)
    if y_zero_point is not None:
        return Value(y_zero_point.encoding, x.shape)
    return Value(_stored(output_dtype) if output_dtype else UINT8, x.shape)


@shape("QuantizeLinear", domain=MICROSOFT)
def quantize_linear_microsoft(
    x: Value, y_scale: Value, y_zero_point: Value | None = None, *, axis: int | None = None
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.QuantizeLinear"""
    _checked(x, y_scale, axis)
    return Value(y_zero_point.encoding if y_zero_point is not None else UINT8, x.shape)


@shape("DequantizeLinear")
def dequantize_linear(
    x: Value,
    x_scale: Value,
    x_zero_point: Value | None = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
) -> Value:
    """https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html"""
    _checked(x, x_scale, axis)
    return Value(_stored(output_dtype) if output_dtype else x_scale.encoding, x.shape)


@shape("DequantizeLinear", domain=MICROSOFT)
def dequantize_linear_microsoft(
    x: Value, x_scale: Value, x_zero_point: Value | None = None, *, axis: int | None = None
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.DequantizeLinear"""
    return Value(x_scale.encoding, _checked(x, x_scale, axis).shape)


@cost("QuantizeLinear", kind="quantize")
@cost("QuantizeLinear", domain=MICROSOFT, kind="quantize")
def quantize_cost(x: Value, y_scale: Value, y_zero_point: Value | None = None, *, out: Value) -> Cost:
    """ops = 3 x numel(x) (divide, add the zero point, clip)"""
    return Cost(0, QUANTIZE * out.numel)


@cost("DequantizeLinear", kind="quantize")
@cost("DequantizeLinear", domain=MICROSOFT, kind="quantize")
def dequantize_cost(x: Value, x_scale: Value, x_zero_point: Value | None = None, *, out: Value) -> Cost:
    """ops = 2 x numel(x) (subtract the zero point, multiply)"""
    return Cost(0, DEQUANTIZE * out.numel)


@shape("DynamicQuantizeLinear")
def dynamic_quantize_linear(x: Value) -> tuple[Value, Value, Value]:
    """https://onnx.ai/onnx/operators/onnx__DynamicQuantizeLinear.html"""
    return Value(UINT8, x.shape), Value(FLOAT, ()), Value(UINT8, ())


@cost("DynamicQuantizeLinear", kind="quantize")
def dynamic_quantize_linear_cost(x: Value, *, out: Value) -> Cost:
    """ops = 5 x numel(x) (min, max; divide, add the zero point, clip)"""
    return Cost(0, (RANGE + QUANTIZE) * out.numel)


storage("QuantizeLinear", "DynamicQuantizeLinear", overwrites=(0,))
storage("QuantizeLinear", domain=MICROSOFT, overwrites=(0,))
