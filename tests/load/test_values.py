"""Values are what was stored, wherever and however the file stores them; onnx.numpy_helper is the oracle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from effaudit.errors import LoadError
from effaudit.load import read
from effaudit.load.values import values

SIZES = (6, 5_000)  # kept in the skeleton, and left in the file


def model(tensor: TensorProto, path: Path, **options: Any) -> Path:
    graph = helper.make_graph([helper.make_node("Identity", ["w"], ["y"])], "g", [], [], [tensor])
    graph.output.append(helper.make_tensor_value_info("y", tensor.data_type, list(tensor.dims)))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path, **options)
    return path


def stored(path: Path) -> np.ndarray:
    return values(read(path).constants["w"])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "dtype", "float32 float64 float16 int8 uint8 int16 uint16 int32 uint32 int64 uint64 bool".split()
)
@pytest.mark.parametrize("raw", [True, False])
def test_plain_types(tmp_path: Path, dtype: str, size: int, raw: bool) -> None:
    array = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 100, (size, 2)).astype(dtype)
    if dtype.startswith(("int", "float")):
        array[0] = -3
    code = helper.np_dtype_to_tensor_dtype(array.dtype)
    tensor = (
        numpy_helper.from_array(array, "w")
        if raw
        else helper.make_tensor("w", code, array.shape, array.ravel().tolist())
    )
    found = stored(model(tensor, tmp_path / "m.onnx"))
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, numpy_helper.to_array(tensor))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("code", [TensorProto.INT4, TensorProto.UINT4])
def test_four_bit_integers(tmp_path: Path, code: int, size: int) -> None:
    low = -8 if code == TensorProto.INT4 else 0
    numbers = np.random.default_rng(1).integers(low, low + 16, size * 3)
    tensor = helper.make_tensor("w", code, (size, 3), numbers.tolist())
    np.testing.assert_array_equal(stored(model(tensor, tmp_path / "m.onnx")), numbers.reshape(size, 3))


@pytest.mark.parametrize("size", SIZES)
def test_bfloat16(tmp_path: Path, size: int) -> None:
    tensor = helper.make_tensor("w", TensorProto.BFLOAT16, (size,), np.linspace(-2, 2, size).tolist())
    np.testing.assert_array_equal(
        stored(model(tensor, tmp_path / "m.onnx")), numpy_helper.to_array(tensor).astype("f4")
    )


@pytest.mark.parametrize("size", SIZES)
def test_external_data(tmp_path: Path, size: int) -> None:
    array = np.random.default_rng(2).standard_normal((size, 3)).astype(np.float32)
    tensor = numpy_helper.from_array(array, "w")
    path = model(tensor, tmp_path / "m.onnx", save_as_external_data=True, location="m.weights", size_threshold=0)
    np.testing.assert_array_equal(stored(path), array)


def test_missing_weights_say_so(tmp_path: Path) -> None:
    tensor = numpy_helper.from_array(np.zeros((2000, 3), np.float32), "w")
    path = model(tensor, tmp_path / "m.onnx", save_as_external_data=True, location="m.weights", size_threshold=0)
    (tmp_path / "m.weights").unlink()
    constant = read(path).constants["w"]
    assert constant.missing
    with pytest.raises(LoadError, match=r"'w'.*m\.weights is not there"):
        values(constant)


def test_a_report_reads_no_weights(tmp_path: Path) -> None:
    array = np.zeros((4_000_000,), np.float32)
    path = model(numpy_helper.from_array(array, "w"), tmp_path / "m.onnx")
    source = read(path).source
    assert source.file_bytes > array.nbytes
    assert source.read_bytes < 100_000
