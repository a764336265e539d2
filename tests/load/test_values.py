"""Values are what was stored, wherever and however the file stores them; onnx.numpy_helper is the oracle."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from effaudit.errors import LoadError
from effaudit.graph import ENCODINGS, Constant
from effaudit.load import read
from effaudit.load.minifloat import numbers, smallest_normal
from effaudit.load.values import BLOCK, blocks, values

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


# ---- every element type, in every field that may hold it, in blocks

MINIFLOATS = "FLOAT8E4M3FN FLOAT8E4M3FNUZ FLOAT8E5M2 FLOAT8E5M2FNUZ FLOAT8E8M0 FLOAT4E2M1".split()
CODES = [
    code for name, code in TensorProto.DataType.items() if name not in ("UNDEFINED", "STRING") and code in ENCODINGS
]


def constant(tensor: TensorProto, path: Path, external: bool = False) -> Constant:
    options = {"save_as_external_data": True, "location": "w.bin", "size_threshold": 0} if external else {}
    return read(model(tensor, path, **options)).constants["w"]


def typed(tensor: TensorProto) -> TensorProto:
    """The same tensor with its raw bytes in the data field of its type."""
    array = np.frombuffer(tensor.raw_data, np.uint8)
    moved = TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    encoding = ENCODINGS[tensor.data_type]
    dtype = encoding.dtype
    if dtype in ("float32", "complex64"):
        moved.float_data.extend(array.view("<f4").tolist())
    elif dtype in ("float64", "complex128"):
        moved.double_data.extend(array.view("<f8").tolist())
    elif dtype == "int64":
        moved.int64_data.extend(array.view("<i8").tolist())
    elif dtype in ("uint32", "uint64"):
        moved.uint64_data.extend(array.view(f"<u{encoding.bits // 8}").tolist())
    else:
        width = max(encoding.bits, 8) // 8
        kind = "i" if dtype.startswith("int") else "u"
        moved.int32_data.extend(array.view(f"<{kind}{width}").tolist())
    return moved


def expected(tensor: TensorProto) -> np.ndarray:
    """What onnx reads, in the types that `values` promises."""
    array = numpy_helper.to_array(tensor)
    if array.dtype.kind in "iufbc" and array.dtype.type.__module__ == "numpy":
        return array
    kind = ENCODINGS[tensor.data_type].dtype
    return array.astype({"int4": "i1", "uint4": "u1", "int2": "i1", "uint2": "u1"}.get(kind, "f4"))


@settings(max_examples=150)
@given(data=st.data(), code=st.sampled_from(CODES), place=st.sampled_from(("raw", "typed", "external")))
def test_any_bytes_of_any_type(tmp_path_factory: pytest.TempPathFactory, data: Any, code: int, place: str) -> None:
    encoding = ENCODINGS[code]
    size = data.draw(st.sampled_from((0, 1, 3, 7, 2500, 9001)))
    noise = np.random.default_rng(data.draw(st.integers(0, 1000))).bytes(encoding.nbytes(size))
    if encoding.dtype == "bool":
        noise = bytes(b & 1 for b in noise)
    tensor = TensorProto(name="w", data_type=code, dims=(size,), raw_data=noise)
    kept = typed(tensor) if place == "typed" else tensor
    path = tmp_path_factory.mktemp("any") / "m.onnx"
    found = constant(kept, path, external=place == "external")
    if found.missing:  # onnx wrote an empty tensor without data
        assert size == 0
        return
    with np.errstate(invalid="ignore"):
        want = expected(tensor)
    got = values(found)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)
    most = data.draw(st.sampled_from((8, 64, 4096)))
    parts = list(blocks(found, most))
    assert all(part.size <= most for part in parts)
    assert sum(part.size for part in parts) == size
    if parts:
        np.testing.assert_array_equal(np.concatenate(parts), want)


@pytest.mark.parametrize("name", MINIFLOATS)
def test_every_code_of_a_small_float(name: str) -> None:
    code = TensorProto.DataType.Value(name)
    codes = np.arange(1 << ENCODINGS[code].bits, dtype=np.uint8)
    kind = helper.tensor_dtype_to_np_dtype(code)
    oracle = codes.view(kind) if codes.size == 256 else np.array([k.view(kind) for k in codes])
    np.testing.assert_array_equal(numbers(ENCODINGS[code].dtype), oracle.astype(np.float32))
    assert smallest_normal(ENCODINGS[code].dtype) == float(ml_dtypes.finfo(kind).smallest_normal)


def test_negative_numbers_in_an_int32_field(tmp_path: Path) -> None:
    """A negative int32 is a varint of 10 bytes."""
    array = np.random.default_rng(5).integers(-(2**31), 2**31 - 1, 70_001).astype(np.int32)
    tensor = TensorProto(name="w", data_type=TensorProto.INT32, dims=array.shape)
    tensor.int32_data.extend(array.tolist())
    np.testing.assert_array_equal(values(constant(tensor, tmp_path / "m.onnx")), array)


# ---- damaged files: one line that says which file, which tensor, what to do


def large(field: str, count: int, dims: tuple[int, ...], code: int) -> TensorProto:
    tensor = TensorProto(name="w", data_type=code, dims=dims)
    getattr(tensor, field).extend([1] * count)
    return tensor


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ("float_data", TensorProto.FLOAT),
        ("int32_data", TensorProto.INT8),
        ("int32_data", TensorProto.INT4),
        ("int32_data", TensorProto.FLOAT16),
        ("int64_data", TensorProto.INT64),
        ("double_data", TensorProto.DOUBLE),
        ("uint64_data", TensorProto.UINT64),
    ],
)
@pytest.mark.parametrize("count", [4000, 6001])
def test_a_miscounted_field(tmp_path: Path, field: str, code: int, count: int) -> None:
    path = tmp_path / "m.onnx"
    found = constant(large(field, count, (10_000 if code == TensorProto.INT4 else 5000,), code), path)
    for use in (values, lambda c: list(blocks(c))):
        with pytest.raises(LoadError, match=r"m\.onnx: tensor 'w': .*5,000|m\.onnx: tensor 'w': .*needs") as caught:
            use(found)
        assert "export or download it again" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_field_of_an_impossible_size_is_refused_before_reading(tmp_path: Path) -> None:
    found = constant(large("int32_data", 4000, (10**12,), TensorProto.INT8), tmp_path / "m.onnx")
    with pytest.raises(LoadError, match=r"4,000 bytes cannot hold the 1,000,000,000,000 values"):
        values(found)


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(b"\xff" * 11 + b"\x01" * 4989, id="longer than 10 bytes"),
        pytest.param(b"\x01" * 4999 + b"\x80", id="ends inside a number"),
        pytest.param(b"\x80" * 5000, id="no end at all"),
        pytest.param(b"\x81\x01" * 2500, id="too few"),
    ],
)
@pytest.mark.parametrize("shift", [0, 1])
def test_malformed_numbers(tmp_path: Path, bad: bytes, shift: int) -> None:
    path = tmp_path / "m.onnx"
    found = constant(large("int32_data", 5000, (5000 - shift,), TensorProto.INT8), path)
    assert found.payload is not None
    whole = bytearray(path.read_bytes())
    whole[found.payload.offset : found.payload.offset + 5000] = bad
    path.write_bytes(bytes(whole))
    for most in (BLOCK, 8):
        with pytest.raises(LoadError, match=r"m\.onnx: tensor 'w': .*damaged"):
            list(blocks(found, most))


def test_a_file_that_shrank(tmp_path: Path) -> None:
    tensor = numpy_helper.from_array(np.ones(5000, np.float32), "w")
    found = constant(tensor, tmp_path / "m.onnx", external=True)
    (tmp_path / "w.bin").write_bytes(b"\0" * 19_999)
    with pytest.raises(LoadError, match=r"w\.bin: tensor 'w': the file ends at byte 19,999; it needs 20,000"):
        values(found)
    (tmp_path / "w.bin").unlink()
    with pytest.raises(LoadError, match=r"w\.bin: tensor 'w': cannot be read: No such file"):
        values(found)
    os.mkfifo(tmp_path / "w.bin")  # opened without waiting for a writer
    with pytest.raises(LoadError, match=r"w\.bin: tensor 'w': cannot be read"):
        values(found)


def test_what_came_through_a_pipe_is_not_read_again(tmp_path: Path) -> None:
    path = model(numpy_helper.from_array(np.ones(50_000, np.float32), "w"), tmp_path / "m.onnx")
    program = (
        "from effaudit.load import read\nfrom effaudit.load.values import values\n"
        "from effaudit.errors import LoadError\n"
        "try:\n    values(read('-').constants['w'])\nexcept LoadError as error:\n    print(error)"
    )
    with path.open("rb") as file:
        done = subprocess.run([sys.executable, "-c", f"{program}"], stdin=file, capture_output=True, text=True)
    assert done.stdout.startswith("tensor 'w': ") and "stream" in done.stdout, done.stderr


def test_strings_are_no_numbers(tmp_path: Path) -> None:
    found = constant(helper.make_tensor("w", TensorProto.STRING, (2,), [b"a", b"b"]), tmp_path / "m.onnx")
    assert values(found).tolist() == ["a", "b"]
    with pytest.raises(LoadError, match="strings"):
        list(blocks(found))


PEAK = """
import re, sys
from effaudit.load import read
from effaudit.load.values import blocks
total = sum(int(block.size) for block in blocks(read(sys.argv[1]).constants["w"]))
# not getrusage: its peak includes that of the process this one was forked from
print(total, int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from /proc")
@pytest.mark.parametrize("field", ["float_data", "int32_data"])
def test_a_large_field_is_read_in_bounded_memory(tmp_path: Path, field: str) -> None:
    """100 MB of a typed field: numpy and the interpreter are 40 MB of what is measured."""
    count = 25_000_000 if field == "float_data" else 50_000_000
    code = TensorProto.FLOAT if field == "float_data" else TensorProto.UINT8
    tag, wide = (4, 4) if field == "float_data" else (5, 2)
    body = b"\0" * (count * 4) if wide == 4 else b"\x81\x01" * count
    tensor = TensorProto(name="w", data_type=code, dims=(count,)).SerializeToString()
    tensor += bytes([tag << 3 | 2]) + varint(len(body)) + body
    graph = helper.make_graph([helper.make_node("Identity", ["w"], ["y"])], "g", [], []).SerializeToString()
    graph += bytes([5 << 3 | 2]) + varint(len(tensor)) + tensor
    whole = helper.make_model(helper.make_graph([], "g", [], []), ir_version=10)
    whole.ClearField("graph")
    path = tmp_path / "m.onnx"
    path.write_bytes(whole.SerializeToString() + bytes([7 << 3 | 2]) + varint(len(graph)) + graph)
    del body, tensor, graph
    done = subprocess.run([sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True)
    total, megabytes = map(int, done.stdout.split())
    assert total == count
    assert megabytes < 90


def varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])
