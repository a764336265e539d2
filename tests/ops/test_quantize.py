"""Quantization against ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from tests.ops.oracle import check, cost, infer, random, scalar, single_node, value

MS = "com.microsoft"


@pytest.mark.parametrize("opset", [10, 13, 19, 21, 23])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_quantize_per_tensor(opset: int, dtype: Any) -> None:
    x = random(2, 3, 4)
    graph = check("QuantizeLinear", [x, scalar(0.5, np.float32), scalar(1, dtype)], opset=opset)
    assert cost(graph).ops == 3 * 24
    graph = check("DequantizeLinear", [x.astype(dtype), scalar(0.5, np.float32), scalar(1, dtype)], opset=opset)
    assert cost(graph).ops == 2 * 24


@pytest.mark.parametrize("axis", [1, -1])
def test_quantize_per_axis(axis: int) -> None:
    x = random(2, 3, 3)
    scale, zero = random(3) + 1, np.zeros(3, np.int8)
    check("QuantizeLinear", [x, scale, zero], {"axis": axis}, opset=13)
    check("DequantizeLinear", [x.astype(np.int8), scale, zero], {"axis": axis}, opset=13)


def test_quantize_in_blocks_to_sixteen_bits() -> None:
    check("QuantizeLinear", [random(8, 3), random(2, 3) + 1], {"axis": 0, "block_size": 4}, opset=21)
    zero = np.zeros((2, 3), np.int16)
    check("QuantizeLinear", [random(8, 3), random(2, 3) + 1, zero], {"axis": 0, "block_size": 4}, opset=21)


@pytest.mark.parametrize("dtype", [TensorProto.UINT8, TensorProto.INT8, TensorProto.UINT16, TensorProto.INT16])
def test_output_dtype_decides_without_a_zero_point(dtype: int) -> None:
    check("QuantizeLinear", [random(2, 3), scalar(0.5, np.float32)], {"output_dtype": dtype}, opset=21)


def test_without_zero_point_the_result_is_uint8() -> None:
    graph = check("QuantizeLinear", [random(2, 3), scalar(0.5, np.float32)])
    assert value(graph).encoding.dtype == "uint8"


def test_dequantize_takes_the_type_of_its_scale() -> None:
    check("DequantizeLinear", [random(2, 3, dtype=np.uint8), scalar(0.5, np.float16)], opset=19)


def test_dynamic_quantize() -> None:
    graph = check("DynamicQuantizeLinear", [random(2, 3)], outputs=3)
    assert cost(graph).ops == 5 * 6


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16])
def test_microsoft_pair(dtype: Any) -> None:
    x = random(2, 3)
    check("QuantizeLinear", [x, scalar(0.5, np.float32), scalar(0, dtype)], domain=MS)
    check("DequantizeLinear", [x.astype(dtype), scalar(0.5, np.float32), scalar(0, dtype)], domain=MS)
    check("QuantizeLinear", [x, random(3) + 1, np.zeros(3, dtype)], {"axis": 1}, domain=MS)


@pytest.mark.parametrize(
    ("scale", "axis", "message"),
    [
        (random(4), 1, "4 scales for 3 indices of axis 1"),
        (random(3), 5, "axis 5 is outside rank 2"),
        (random(2, 3, 1), 1, "scales of rank 3 for a tensor of rank 2"),
    ],
)
def test_scales_that_do_not_fit(scale: np.ndarray, axis: int, message: str) -> None:
    made = infer(single_node("QuantizeLinear", [random(2, 3), scale], {"axis": axis}, 21)).values["out0"]
    assert made.shape is None
    assert message in made.why
