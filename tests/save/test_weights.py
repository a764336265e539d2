"""Where elements go: every encoding, files beside the model, tensors without elements; and what is refused."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from msgspec.structs import replace
from onnx import TensorProto, helper, numpy_helper

from effaudit.errors import LoadError, UsageError
from effaudit.graph import ENCODINGS
from effaudit.load import read
from effaudit.load.minifloat import is_minifloat
from effaudit.load.values import values
from effaudit.save import save_model
from effaudit.save.encode import encoded
from effaudit.whatif.constants import BY_NAME, derived, literal
from tests.laws.models import parse
from tests.save.models import renamed, run, written

NEG = "m (float[2,3] x) => (float[2,3] y) { y = Neg(x) }"
ADD = "m (float[2,3] x) => (float[2,3] y) { a = Relu(x) b = Add(a, w) c = Neg(x) y = Add(b, c) }"
STORED = [(code, encoding) for code, encoding in ENCODINGS.items() if encoding.dtype != "string"]


def tensor(code: int, count: int, bits: int) -> onnx.TensorProto:
    """Random bytes as a tensor: every code of the narrow formats, NaNs among those of the wide ones left out."""
    raw = np.random.default_rng(code).integers(0, 256, (count * bits + 7) // 8, np.uint8)
    if bits < 8:
        raw = np.arange((count * bits + 7) // 8).astype(np.uint8)
        raw[-1] &= (1 << (count * bits % 8 or 8)) - 1
    elif bits == 8:
        raw = np.arange(count).astype(np.uint8)
    if code == TensorProto.BOOL:
        raw &= 1
    return onnx.TensorProto(name="k", data_type=code, dims=[count], raw_data=raw.tobytes())


@pytest.mark.parametrize(("code", "encoding"), STORED, ids=lambda x: getattr(x, "dtype", ""))
def test_every_encoding_comes_back(tmp_path: Path, code: int, encoding: object) -> None:
    """What `values` reads is written as the bytes it was read from: of an odd number of elements."""
    bits = encoding.bits  # type: ignore[attr-defined]
    proto = tensor(code, 255 if bits == 8 else 1023, bits)
    model = parse(NEG)
    model.graph.initializer.append(proto)
    graph = read(written(tmp_path / "model.onnx", model))
    array = values(graph.constants["k"])
    again = literal("k", array, encoding)  # type: ignore[arg-type]
    save_model(replace(graph, constants={"k": again}), tmp_path / "new.onnx")
    (found,) = onnx.load(tmp_path / "new.onnx").graph.initializer
    old, new = (np.frombuffer(t.raw_data, np.uint8) for t in (proto, found))
    np.testing.assert_array_equal(array, values(read(tmp_path / "new.onnx").constants["k"]))
    width = max(bits // 8, 1)
    numbers = ~np.isnan(array) if array.dtype.kind in "fc" and bits >= 8 else np.ones(len(old) // width, bool)
    np.testing.assert_array_equal(old.reshape(-1, width)[numbers], new.reshape(-1, width)[numbers])


ORACLES = {
    "bfloat16": ml_dtypes.bfloat16,
    "float8e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8e4m3fnuz": ml_dtypes.float8_e4m3fnuz,
    "float8e5m2": ml_dtypes.float8_e5m2,
    "float8e5m2fnuz": ml_dtypes.float8_e5m2fnuz,
    "float4e2m1": ml_dtypes.float4_e2m1fn,
}


@pytest.mark.parametrize("dtype", ORACLES)
def test_numbers_are_rounded_as_ml_dtypes_rounds_them(dtype: str) -> None:
    draw = np.random.default_rng(0)
    spread = draw.standard_normal(20_000) * 2.0 ** draw.integers(-20, 3, 20_000)
    top = float(ml_dtypes.finfo(ORACLES[dtype]).max)
    flat = np.concatenate((spread, np.arange(-64, 65) / 16)).clip(-top, top).astype(np.float32)
    if dtype == "bfloat16":  # exactly half-way between neighbours, above an even and an odd one
        flat = np.concatenate((flat, np.array([0x3F808000, 0x3F818000, 0xBF808000], np.uint32).view(np.float32)))
    if is_minifloat(dtype):
        from effaudit.load.minifloat import numbers

        table = np.unique(numbers(dtype)[np.isfinite(numbers(dtype))])
        flat = np.concatenate((flat, (table[1:] + table[:-1]) / 2)).astype(np.float32)
    bits = BY_NAME[dtype].bits
    wanted = flat.astype(ORACLES[dtype])
    codes = wanted.view(np.uint16 if bits == 16 else np.uint8)
    if bits == 4:
        codes = np.append(codes, 0)[: len(codes) + len(codes) % 2]
        codes = (codes[::2] | codes[1::2] << 4).astype(np.uint8)
    assert encoded(flat, BY_NAME[dtype], "k") == codes.tobytes()


def test_beyond_a_format() -> None:
    far = np.array([1e9, -1e9, np.inf, np.nan], np.float32)
    assert list(encoded(far, BY_NAME["float8e4m3fn"], "k"))[:3] == [0x7E, 0xFE, 0x7E]
    assert list(encoded(far, BY_NAME["float8e5m2"], "k"))[:3] == [0x7B, 0xFB, 0x7C]
    for dtype in ("float8e4m3fn", "float8e5m2", "float8e8m0"):
        assert np.isnan(
            np.frombuffer(encoded(far[3:], BY_NAME[dtype], "k"), np.uint8)
            .view({"float8e8m0": ml_dtypes.float8_e8m0fnu}.get(dtype) or ORACLES[dtype])
            .astype(np.float32)
        ).all()
    with pytest.raises(UsageError, match="'k': a NaN, which float4e2m1 cannot hold"):
        encoded(far, BY_NAME["float4e2m1"], "k")


def test_typed_fields_strings_and_sparse_tensors_stay(tmp_path: Path) -> None:
    model = parse(NEG)
    model.graph.initializer.append(helper.make_tensor("half", TensorProto.FLOAT16, [3], [1.0, 2.5, -3.0]))
    model.graph.initializer.append(helper.make_tensor("text", TensorProto.STRING, [2], [b"a", b"\xff"]))
    model.graph.initializer.append(helper.make_tensor("nibbles", TensorProto.INT4, [3], [1, -2, 7]))
    values_, indices = helper.make_tensor("thin", 1, [2], [1.0, 2.0]), helper.make_tensor("", 7, [2], [0, 5])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values_, indices, [6]))
    path = written(tmp_path / "model.onnx", model)
    save_model(renamed(read(path)), tmp_path / "new.onnx")
    again = onnx.load(tmp_path / "new.onnx")
    assert list(again.graph.initializer) == list(model.graph.initializer)
    assert list(again.graph.sparse_initializer) == list(model.graph.sparse_initializer)

    graph = read(path)
    written_anew = {name: replace(one, name=f"{name}2") for name, one in graph.constants.items() if name != "thin"}
    save_model(replace(graph, constants={one.name: one for one in written_anew.values()}), tmp_path / "new.onnx")
    found = {t.name: t for t in onnx.load(tmp_path / "new.onnx").graph.initializer}
    np.testing.assert_array_equal(numpy_helper.to_array(found["half2"]), np.array([1.0, 2.5, -3.0], np.float16))
    np.testing.assert_array_equal(numpy_helper.to_array(found["nibbles2"]).astype(int), [1, -2, 7])
    assert found["text2"].string_data[0] == b"a"


# ---- files beside the model
@pytest.fixture
def external(tmp_path: Path) -> Path:
    """A model in a folder of its own, whose weight lies in a file beside it."""
    path = tmp_path / "home" / "model.onnx"
    path.parent.mkdir()
    onnx.save(parse(ADD, w=(2, 3)), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path


def test_external_data_comes_into_the_model(external: Path, tmp_path: Path) -> None:
    save_model(read(external), tmp_path / "new.onnx")
    assert sorted(os.listdir(tmp_path)) == ["home", "new.onnx"]
    np.testing.assert_array_equal(run(external)[0], run(tmp_path / "new.onnx")[0])


@pytest.mark.parametrize("place", ["initializer", "Constant", "body"])
def test_a_large_model_has_its_weights_beside_it(tmp_path: Path, place: str) -> None:
    """Wherever the tensors are; the old file holds them inside, and none of its bytes may stay."""
    draw = np.random.default_rng(0).standard_normal((2, 64, 64)).astype(np.float32)
    tensors = [numpy_helper.from_array(array, f"k{i}") for i, array in enumerate(draw)]
    nodes = [helper.make_node("Add", ["x", "k0"], ["a"]), helper.make_node("Mul", ["a", "k1"], ["y"])]
    io = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [64, 64]) for name in "xy"]
    if place == "Constant":
        nodes = [helper.make_node("Constant", [], [t.name], value=t) for t in tensors] + nodes
    graph = helper.make_graph(nodes, "g", io[:1], io[1:], tensors if place == "initializer" else ())
    if place == "body":
        inner = helper.make_graph(nodes, "b", [], io[1:], tensors)
        yes = helper.make_node("Constant", [], ["yes"], value=numpy_helper.from_array(np.array(True)))
        branch = helper.make_node("If", ["yes"], ["y"], then_branch=inner, else_branch=inner)
        graph = helper.make_graph([yes, branch], "g", io[:1], io[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = written(tmp_path / "model.onnx", model)
    save_model(read(path), tmp_path / "new.onnx", inline_bytes=10_000)
    assert (tmp_path / "new.onnx").stat().st_size < 4000
    assert (tmp_path / "new.onnx.data").stat().st_size == 2 * 64 * 64 * 4 * (2 if place == "body" else 1)
    onnx.checker.check_model(str(tmp_path / "new.onnx"))
    np.testing.assert_array_equal(run(path)[0], run(tmp_path / "new.onnx")[0])


def test_more_than_2_gb(tmp_path: Path) -> None:
    """Lengths are known before anything is read: 3 GB of weights are seen not to fit, and go beside the model."""
    huge = (3 << 30) // 4
    path = written(tmp_path / "model.onnx", parse(NEG))
    graph = read(path)
    zeros = literal("k", np.broadcast_to(np.float32(0), (4,)))
    tall = replace(zeros, shape=(huge,), numel=huge, nbytes=huge * 4)
    from effaudit.save.model import INLINE_BYTES, _model, _opened
    from effaudit.save.storage import Storage

    with _opened(graph) as (file, origin, _):
        changed = replace(graph, constants={"k": tall}, history=("k",))
        assert _model(changed, origin, file, Storage("", "")).length > INLINE_BYTES
        storage = Storage("new.onnx.data", "")
        assert _model(changed, origin, file, storage).length < 1000
        assert storage.beside == [(0, tall)]


def test_weights_are_streamed(tmp_path: Path) -> None:
    """12 MB of weights, inside and beside the model, in less memory than one of them."""
    draw = np.random.default_rng(0).standard_normal((3, 1 << 20)).astype(np.float32)
    model = parse(NEG)
    model.graph.initializer.extend(numpy_helper.from_array(array, f"k{i}") for i, array in enumerate(draw))
    graph = read(written(tmp_path / "model.onnx", model))
    for graph_, limit in ((graph, 10**9), (graph, 10), (renamed(graph), 10**9)):
        tracemalloc.start()
        save_model(graph_, tmp_path / "new.onnx", inline_bytes=limit)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4 << 20
        np.testing.assert_array_equal(values(read(tmp_path / "new.onnx").constants["k2"]), draw[2])


# ---- tensors without elements
def test_missing_elements_are_refused_or_stay_missing(external: Path, tmp_path: Path) -> None:
    (external.parent / "weights.bin").unlink()
    graph = read(external)
    with pytest.raises(UsageError, match=r"tensor 'w': there are no elements to save: weights\.bin is not there"):
        save_model(graph, tmp_path / "new.onnx")
    assert not (tmp_path / "new.onnx").exists()
    save_model(graph, tmp_path / "new.onnx", weightless=True)
    assert sorted(os.listdir(tmp_path)) == ["home", "new.onnx"]
    found = read(tmp_path / "new.onnx").constants["w"]
    assert (found.location, found.missing, found.nbytes) == ("new.onnx.weights", "new.onnx.weights is not there", 24)
    half = derived(graph.constants["w"], lambda array: array[:1], shape=(1, 3))
    save_model(replace(graph, constants={"w": half}, history=("half",)), tmp_path / "new.onnx", weightless=True)
    assert read(tmp_path / "new.onnx").constants["w"].shape == (1, 3)
    (tmp_path / "new.onnx.weights").write_bytes(b"")
    with pytest.raises(UsageError, match="it is there, so no model without weights can point to it"):
        save_model(graph, tmp_path / "new.onnx", weightless=True)


# ---- refusals
def test_files_of_the_model_are_never_written_over(external: Path) -> None:
    before = {p: p.read_bytes() for p in external.parent.iterdir()}
    for path in before:
        with pytest.raises(UsageError, match="a file of the model itself"):
            save_model(read(external), path)
    os.rename(external.parent / "weights.bin", external.parent / "new.onnx.data")
    model = onnx.load(external, load_external_data=False)
    model.graph.initializer[0].external_data[0].value = "new.onnx.data"
    graph = read(written(external, model))
    with pytest.raises(UsageError, match=r"new\.onnx\.data: a file of the model itself"):
        save_model(graph, external.parent / "new.onnx", inline_bytes=1)
    assert sorted(os.listdir(external.parent)) == ["model.onnx", "new.onnx.data"]


@pytest.mark.parametrize(("to", "reason"), [("nowhere/new.onnx", "no folder"), ("", "give a path"), (".", "directory")])
def test_impossible_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str, reason: str) -> None:
    monkeypatch.chdir(tmp_path)
    written(Path("model.onnx"), parse(NEG))
    with pytest.raises(UsageError, match=reason):
        save_model(read("model.onnx"), to)
    assert os.listdir() == ["model.onnx"]


def test_a_tensor_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    graph = read(written(tmp_path / "model.onnx", parse(ADD, w=(2, 3))))

    def broken() -> np.ndarray:
        raise LoadError("damaged")

    bad = replace(graph.constants["w"], read=broken, raw=None, payload=None)
    short = replace(graph.constants["w"], read=lambda: np.zeros(6, np.float32), raw=None, nbytes=24, shape=(2, 3))
    for constant, limit in ((bad, 10**9), (bad, 1)):
        with pytest.raises(LoadError, match="damaged"):
            save_model(replace(graph, constants={"w": constant}), tmp_path / "new.onnx", inline_bytes=limit)
        assert os.listdir(tmp_path) == ["model.onnx"]
    save_model(replace(graph, constants={"w": short}), tmp_path / "new.onnx")


def test_a_file_that_changed_since_it_was_read(tmp_path: Path) -> None:
    path = written(tmp_path / "model.onnx", parse(NEG))
    graph = read(path)
    written(path, parse(ADD, w=(2, 3)))
    with pytest.raises(LoadError, match="changed since it was read"):
        save_model(graph, tmp_path / "new.onnx")


@pytest.mark.parametrize("name", ["-", "https://example.org/model.onnx"])
def test_what_lies_on_no_disk(tmp_path: Path, name: str) -> None:
    graph = read(written(tmp_path / "model.onnx", parse(NEG)))
    graph = replace(graph, source=replace(graph.source, path=name))
    with pytest.raises(UsageError, match="not a file on disk"):
        save_model(graph, tmp_path / "new.onnx")


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = read(written(tmp_path / "model.onnx", parse(NEG)))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(UsageError, match="No space left on device"):
        save_model(graph, tmp_path / "new.onnx")
    assert os.listdir(tmp_path) == ["model.onnx"]
