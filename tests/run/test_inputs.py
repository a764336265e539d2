"""Inputs drawn by chance are within what a model takes; those of a folder are checked before they are loaded."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from effaudit.audited import examine
from effaudit.errors import UsageError
from effaudit.graph import Graph
from effaudit.load import Given, read
from effaudit.run import execute, from_folder, random_inputs
from tests.laws.models import parse
from tests.save.models import run, written

SAMPLES_WITH_INTEGERS = ("dynamic", "lstm", "decoder-gqa", "control-flow")


def graph_of(path: Path, *dims: str) -> Graph:
    return examine(path, Given(dims=dict(dim.split("=") for dim in dims)) if dims else Given()).graph


# ---- by chance
@pytest.mark.parametrize("name", SAMPLES_WITH_INTEGERS)
def test_samples_run_on_them(name: str) -> None:
    audited = examine(f"sample:{name}")
    feeds = random_inputs(audited.graph, 3, seed=7)
    assert len(execute(audited.raw, feeds)) == 3
    again = random_inputs(audited.graph, 3, seed=7)
    for old, new in zip(feeds, again, strict=True):
        assert old.keys() == new.keys()
        assert all(old[key].tobytes() == new[key].tobytes() for key in old)
    other = random_inputs(audited.graph, 1, seed=8)[0]
    assert any(other[key].tobytes() != feeds[0][key].tobytes() for key in other)


def gathering(tmp_path: Path, text: str, rows: int) -> Path:
    """A model with a table of so many rows."""
    model = parse(text)
    table = np.random.default_rng(0).standard_normal((rows, 2)).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(table, "table"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(2, np.int64), "two"))
    return written(tmp_path / "model.onnx", model)


@pytest.mark.parametrize(
    ("nodes", "below"),
    [
        ("y = Gather(table, ids)", 5),
        ("a = Cast <to = 6> (ids) y = Gather(table, a)", 5),
        ("a = Add(ids, two) y = Gather(table, a)", 3),
        ("a = Gather(table, ids) b = Add(ids, two) c = Gather(table, b) y = Add(a, c)", 3),
        ("a = Flatten(ids) b = Transpose(a) y = Gather(table, b)", 5),
    ],
)
def test_indices_lie_within_their_table(tmp_path: Path, nodes: str, below: int) -> None:
    """All of the table is reached, nothing outside it, where the indices come to it on whatever way."""
    path = gathering(tmp_path, f"m (int64[40,50] ids) => (float[?,?,2] y) {{ {nodes} }}", 5)
    feeds = random_inputs(graph_of(path), 2)
    assert set(feeds[0]["ids"].ravel().tolist()) == set(range(below))
    run(path, feeds[0])


def test_masks_positions_lengths_and_the_rest(tmp_path: Path) -> None:
    model = parse("""m (int64[2,6] attention_mask, int64[2,6] position_ids, int64[2] length, bool[2,6] keep_mask,
                       uint8[9,99] image, float16[2,6] x, bool[300] b, int32[50] k, int8[9,99] s)
                     => (float16[2,6] y) { y = Neg(x) }""")
    (feed,) = random_inputs(graph_of(written(tmp_path / "model.onnx", model)), 1)
    assert feed["attention_mask"].tolist() == [[1] * 6] * 2 and feed["keep_mask"].all()
    assert feed["position_ids"].tolist() == [list(range(6))] * 2
    assert feed["length"].tolist() == [6, 6]
    assert (feed["image"].min(), feed["image"].max(), feed["s"].min(), feed["s"].max()) == (0, 255, -128, 127)
    assert feed["x"].dtype == np.float16 and 0.5 < feed["x"].std() < 2
    assert 0 < feed["b"].mean() < 1 and feed["k"].min() >= 0
    assert {name: array.dtype.name for name, array in feed.items()}["k"] == "int32"


def test_lengths_of_a_recurrent_layer_and_trips_of_a_loop(tmp_path: Path) -> None:
    shapes = {"x": [7, 2, 3], "w": [1, 4, 3], "r": [1, 4, 4]}
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()]
    inputs.append(helper.make_tensor_value_info("s", TensorProto.INT32, [2]))
    node = helper.make_node("RNN", ["x", "w", "r", "", "s"], ["y"], hidden_size=4)
    graph = helper.make_graph([node], "g", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (feed,) = random_inputs(graph_of(written(tmp_path / "model.onnx", model)), 1)
    assert feed["s"].tolist() == [7, 7]
    loop = parse("""m (float[2] x, int64 n, bool go) => (float[2] y)
    { y = Loop (n, go, x) <body = l (int64 i, bool go2, float[2] s) => (bool on, float[2] r)
                          { on = Identity(go2) r = Neg(s) }> }""")
    (feed,) = random_inputs(graph_of(written(tmp_path / "model.onnx", loop)), 1)
    assert feed["n"] == 2 and feed["go"]


def test_the_number_of_the_largest_and_masks_of_floats(tmp_path: Path) -> None:
    model = parse("""m (float[2,6] x, int64[1] k, float[2,6] attention_mask) => (float[2,?] v, int64[2,?] i)
                     { a = Add(x, attention_mask) v, i = TopK(a, k) }""")
    path = written(tmp_path / "model.onnx", model)
    (feed,) = random_inputs(graph_of(path), 1)
    assert feed["attention_mask"].tolist() == [[1.0] * 6] * 2 and run(path, feed)[0].shape == (2, 1)


def test_a_cache_that_holds_nothing_yet(tmp_path: Path) -> None:
    """The first step of a decoder: past keys and values of length 0 are fed, and the sample runs on them."""
    dims = {"batch": 1, "past_sequence_length": 0, "sequence_length": 5}
    graph = examine("sample:decoder-gqa", Given(dims=dims)).graph
    (feed,) = random_inputs(graph, 1)
    assert {array.shape[2] for name, array in feed.items() if "past" in name} == {0}
    assert feed["attention_mask"].shape == (1, 5) and feed["attention_mask"].all()
    assert execute("sample:decoder-gqa", [feed])


def test_no_element_is_denormal_or_endless(tmp_path: Path) -> None:
    """Those make some operators many times slower, or answer nothing."""
    model = parse("m (float[99,99] x, float16[99,99] h, double[99] d) => (float[99,99] y) { y = Neg(x) }")
    (feed,) = random_inputs(graph_of(written(tmp_path / "model.onnx", model)), 1)
    for array in feed.values():
        tiny = np.finfo(array.dtype).tiny
        assert np.isfinite(array).all() and ((np.abs(array) >= tiny) | (array == 0)).all()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("m (float[N] x) => (float[N] y) { y = Neg(x) }", r"'x': its dim N is open; set it with --dim N=N"),
        ("m (string[2] x) => (string[2] y) { y = Identity(x) }", "string cannot be drawn"),
        ("m (bfloat16[2] x) => (bfloat16[2] y) { y = Neg(x) }", "bfloat16 cannot be drawn"),
    ],
)
def test_what_cannot_be_drawn(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        random_inputs(read(written(tmp_path / "model.onnx", parse(text))), 1)


# ---- from a folder
TWO = "m (float[1,3] x, int64[N] k) => (float[1,3] y) { y = Neg(x) }"
ONE = "m (float[1,3] x) => (float[1,3] y) { y = Neg(x) }"
X, K = np.ones((1, 3), np.float32), np.arange(4)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def two(tmp_path: Path) -> Graph:
    return read(written(tmp_path / "model.onnx", parse(TWO)))


def test_a_folder_in_the_order_of_its_names(tmp_path: Path, data: Path) -> None:
    for name, scale in (("b", 2), ("a", 1), ("c", 3)):
        np.savez(data / f"{name}.npz", x=X * scale, k=K[:scale])
    np.savez_compressed(data / "d.npz", x=np.asfortranarray(X * 4), k=K.astype(">i8"))
    (data / "notes.txt").write_text("not an input")
    found = from_folder(data, two(tmp_path))
    assert len(found) == 4 and [Path(file).name for file in found.files] == ["a.npz", "b.npz", "c.npz", "d.npz"]
    for _ in range(2):
        assert [feed["x"][0, 0] for feed in found] == [1, 2, 3, 4]
    last = list(found)[-1]
    assert last["k"].dtype == np.dtype("int64") and last["k"].tolist() == [0, 1, 2, 3]
    assert len(execute(tmp_path / "model.onnx", found)) == 4


def test_a_single_array_of_any_name(tmp_path: Path, data: Path) -> None:
    np.savez(data / "a.npz", X)
    (feed,) = from_folder(data, read(written(tmp_path / "model.onnx", parse(ONE))))
    assert list(feed) == ["x"]


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"x": X}, "holds 'x'; expected an array for each input of the model: 'x', 'k'"),
        ({"x": X, "K": K}, "holds 'x', 'K'; expected"),
        ({"x": X, "k": K, "label": K}, "holds 'x', 'k', 'label'; expected"),
        ({"x": X.astype(np.float64), "k": K}, "input 'x' is float64; the model takes float32"),
        ({"x": np.ones((100, 3), np.float32), "k": K}, "100 samples in one array: write a file for every 1"),
        ({"x": X[0], "k": K}, "has the shape 3; the model takes 1x3; the leading dim is missing"),
        ({"x": X, "k": np.array(1)}, "input 'k' has the shape scalar; the model takes N"),
        ({"x": np.array([[{}]]), "k": K}, "input 'x' holds Python objects, which are not unpickled"),
    ],
)
def test_arrays_that_are_no_inputs(tmp_path: Path, data: Path, arrays: dict[str, np.ndarray], reason: str) -> None:
    """The message names the file, too; the first file is right."""
    np.savez(data / "a.npz", x=X, k=K)
    np.savez(data / "b.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=reason) as caught:
        from_folder(data, two(tmp_path))
    assert "b.npz" in str(caught.value) and "\n" not in str(caught.value)


def test_inputs_that_are_no_numbers(tmp_path: Path, data: Path) -> None:
    np.savez(data / "a.npz", x=np.array([[1, np.nan, 3]], np.float32), k=K)
    with pytest.raises(UsageError, match=r"a\.npz: input 'x' holds NaN"):
        list(from_folder(data, two(tmp_path)))


def test_folders_and_files_that_are_none(tmp_path: Path, data: Path) -> None:
    graph = two(tmp_path)
    with pytest.raises(UsageError, match=r"nowhere: cannot be read: No such file.*give a folder of \.npz files"):
        from_folder(tmp_path / "nowhere", graph)
    with pytest.raises(UsageError, match=r"data: holds no \.npz file; .*numpy\.savez\(FILE, x=\.\.\., k=\.\.\.\)"):
        from_folder(data, graph)
    (data / "a.npz").write_bytes(b"nothing of the kind")
    with pytest.raises(UsageError, match=r"a\.npz: not an \.npz file"):
        from_folder(data, graph)
    np.savez(data / "a.npz", x=X, k=K)
    whole = (data / "a.npz").read_bytes()
    (data / "a.npz").write_bytes(whole.replace(b"\x93NUMPY", b"\x93NUMPX"))
    with pytest.raises(UsageError, match=r"a\.npz: the array of input 'x' cannot be read"):
        from_folder(data, graph)
    (data / "a.npz").unlink()
    (data / "a.npz").mkdir()
    with pytest.raises(UsageError, match=r"a\.npz: cannot be read: Is a directory"):
        from_folder(data, graph)


def bomb(path: Path, head: bytes, zeros: int) -> None:
    """A zip of a few kilobytes whose array `k` unpacks to `zeros` bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        buffer = io.BytesIO()
        np.save(buffer, X)
        archive.writestr("x.npy", buffer.getvalue())
        with archive.open("k.npy", "w", force_zip64=True) as member:
            member.write(head)
            for _ in range(zeros >> 20):
                member.write(bytes(1 << 20))


def header(shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<i8", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


@pytest.mark.parametrize(
    "head",
    [header((64 << 20,)), b"\x93NUMPY\x02\x00" + (64 << 20).to_bytes(4, "little"), header((1 << 60,)), b""],
    ids=["large array", "long header", "more than there is", "nothing"],
)
def test_what_unpacks_to_much_is_never_unpacked(tmp_path: Path, data: Path, head: bytes) -> None:
    bomb(data / "a.npz", head, 64 << 20)
    assert (data / "a.npz").stat().st_size < 100_000
    graph = two(tmp_path)
    tracemalloc.start()
    with pytest.raises(UsageError, match=r"a\.npz: .*'k'"):
        from_folder(data, graph)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 << 20


def test_a_file_that_is_cut_short(tmp_path: Path, data: Path) -> None:
    """Its header is whole, so it is found when it is loaded."""
    bomb(data / "a.npz", header((1 << 10,)), 0)
    with pytest.raises(UsageError, match=r"a\.npz: the array of input 'k' cannot be read"):
        list(from_folder(data, two(tmp_path)))
