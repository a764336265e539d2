"""The input of one run from a file: read by its headers before the model's open sizes are known; nothing hostile is
unpacked."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from effaudit.errors import UsageError
from effaudit.graph import Graph
from effaudit.load import Given, infer, read
from effaudit.run.inputs import from_file
from tests.laws.models import parse
from tests.save.models import written

TWO = "m (float[N,3] x, int64[N] k) => (float[N,3] y) { y = Neg(x) }"
X, K = np.ones((4, 3), np.float32), np.arange(4)


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    return read(written(tmp_path / "model.onnx", parse(TWO)))


def saved(tmp_path: Path, **arrays: Any) -> Path:
    np.savez(tmp_path / "in.npz", **arrays)
    return tmp_path / "in.npz"


def test_its_shapes_bind_what_the_model_leaves_open(tmp_path: Path, graph: Graph) -> None:
    found = from_file(saved(tmp_path, k=K, x=X), graph)
    assert found.shapes == {"x": (4, 3), "k": (4,)}
    bound = infer(graph, Given(shapes=dict(found.shapes)))
    assert bound.values["y"].shape == (4, 3)
    feed = found.load(bound)
    assert list(feed) == ["x", "k"] and feed["x"].tobytes() == X.tobytes() and feed["k"].tolist() == [0, 1, 2, 3]


def test_every_input_has_the_shape_of_its_array(tmp_path: Path, graph: Graph) -> None:
    """Also where two arrays contradict the name of a dim: ONNX Runtime runs on them, names bind it to nothing."""
    found = from_file(saved(tmp_path, k=np.arange(5), x=X), graph)
    bound = infer(graph, Given(shapes=dict(found.shapes)))
    assert [bound.values[name].shape for name in ("x", "k", "y")] == [(4, 3), (5,), (4, 3)]


def test_the_first_file_of_a_folder_and_what_is_no_number(tmp_path: Path, graph: Graph) -> None:
    """NaN is timed as well as any other."""
    folder = tmp_path / "data"
    folder.mkdir()
    for i, name in enumerate(("b.npz", "a.npz")):
        np.savez(folder / name, x=np.full((4, 3), np.nan, np.float32), k=K + i)
    (folder / "0.txt").write_text("no array")
    found = from_file(folder, graph)
    assert found.file == str(folder / "a.npz")
    feed = found.load(graph)
    assert np.isnan(feed["x"]).all() and feed["k"][0] == 1


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"x": X}, r"holds 'x'; expected an array for each input of the model: 'x', 'k'"),
        ({"x": X, "k": K, "z": K}, "holds 'x', 'k', 'z'; expected"),
        ({"x": X.astype(np.float64), "k": K}, "'x' is float64; the model takes float32"),
        ({"x": X[:, :2], "k": K}, "'x' has the shape 4x2; the model takes Nx3"),
        ({"x": X, "k": K[:, None]}, "'k' has the shape 4x1"),
        ({"x": X, "k": np.array([{}] * 4, object)}, "holds Python objects, which are not unpickled"),
    ],
)
def test_what_the_model_does_not_take(tmp_path: Path, graph: Graph, arrays: Any, reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as caught:
        from_file(saved(tmp_path, **arrays), graph)
    assert str(caught.value).startswith(str(tmp_path / "in.npz")) and "\n" not in str(caught.value)


def test_what_is_no_file_of_arrays(tmp_path: Path, graph: Graph) -> None:
    (tmp_path / "in.npz").write_text("no zip")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"not an \.npz file"):
        from_file(tmp_path / "in.npz", graph)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        from_file(tmp_path / "none.npz", graph)
    with pytest.raises(UsageError, match=r"holds no \.npz file"):
        from_file(tmp_path / "empty", graph)


def test_a_bomb_is_refused_by_its_header(tmp_path: Path, graph: Graph) -> None:
    """A few kilobytes that unpack to gigabytes, and a header that lies about what follows."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 28, 3)})
    ids = io.BytesIO()
    np.save(ids, K)
    for filling in (0, 1 << 24):
        with zipfile.ZipFile(tmp_path / "in.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.npy", header.getvalue() + bytes(filling))
            archive.writestr("k.npy", ids.getvalue())
        tracemalloc.start()
        with pytest.raises(UsageError, match="would take 3,221,225,472 bytes"):
            from_file(tmp_path / "in.npz", graph)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
        tracemalloc.stop()


def test_an_array_that_ends_early(tmp_path: Path, graph: Graph) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (4, 3)})
    ids = io.BytesIO()
    np.save(ids, K)
    with zipfile.ZipFile(tmp_path / "in.npz", "w") as archive:
        archive.writestr("x.npy", header.getvalue())
        archive.writestr("k.npy", ids.getvalue())
    found = from_file(tmp_path / "in.npz", graph)
    with pytest.raises(UsageError, match="the array of input 'x' cannot be read"):
        found.load(graph)
