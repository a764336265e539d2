"""Ranges are those of the tensors themselves, computed with all of them at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from effaudit.errors import UsageError
from effaudit.load import read
from effaudit.run import TensorRange, execute, ranges
from effaudit.run import _child as child
from tests.laws.models import parse
from tests.save.models import written

NET = """m (float[2,3,4] x, int64 n) => (float[2,3,4] y)
{ a = Relu(x) b = Exp(a) i = Cast <to = 6> (b) w = Constant <value = float {2.0}> () m = Greater(a, w) y = Neg(b) }"""
TENSORS = ("x", "a", "b", "i", "m", "y", "n")


def feeds(count: int = 3) -> list[dict[str, np.ndarray]]:
    draw = np.random.default_rng(0)
    return [{"x": draw.standard_normal((2, 3, 4)).astype(np.float32), "n": np.array(i)} for i in range(count)]


def check(found: TensorRange, arrays: list[np.ndarray], axis: int | None = None) -> None:
    """The range against the tensors of every feed."""
    whole = np.concatenate([array.astype(np.float64).ravel() for array in arrays])
    assert (found.minimum, found.maximum, found.count) == (whole.min(), whole.max(), whole.size)
    assert found.absmax == np.abs(whole).max()
    np.testing.assert_allclose([found.mean, found.rms], [whole.mean(), np.sqrt((whole**2).mean())], rtol=1e-9)
    assert found.counts is not None and found.edges is not None
    np.testing.assert_array_equal(found.counts, np.histogram(whole, found.edges)[0])
    if axis is not None:
        rows = np.concatenate([np.moveaxis(a, axis, 0).reshape(a.shape[axis], -1) for a in arrays], 1)
        assert found.channel_absmax is not None and found.channel_squares is not None
        np.testing.assert_array_equal(found.channel_absmax, np.abs(rows).max(axis=1))
        np.testing.assert_allclose(found.channel_squares, (rows.astype(np.float64) ** 2).sum(axis=1), rtol=1e-9)


def test_ranges_are_those_of_the_tensors(tmp_path: Path) -> None:
    """Of inputs, tensors inside and outputs; floats, integers and conditions; channels along two axes."""
    graph = read(written(tmp_path / "model.onnx", parse(NET)))
    wanted = execute(replace(graph, outputs=("y", "a", "b", "i", "m")), feeds())
    found = ranges(graph, feeds(), TENSORS, axes={"a": 1, "b": -1, "x": 0}, bins=16)
    assert tuple(found) == TENSORS
    for name in TENSORS:
        arrays = [feed[name] for feed in (wanted if name in wanted[0] else feeds())]
        check(found[name], arrays, {"a": 1, "b": -1, "x": 0}.get(name))
    assert found["y"].channel_absmax is None


def test_bins_may_be_left_out_and_paths_are_read(tmp_path: Path) -> None:
    path = written(tmp_path / "model.onnx", parse(NET))
    (found,) = ranges(path, feeds(1), ["b"], bins=0).values()
    assert found.counts is None and found.edges is None
    assert ranges(path, feeds(1), []) == {}


@pytest.mark.parametrize("name", ["nowhere", "k"])
def test_a_tensor_that_is_not_computed(tmp_path: Path, name: str) -> None:
    graph = read(written(tmp_path / "model.onnx", parse(NET)))
    with pytest.raises(UsageError, match=f"{name!r} is no tensor that its main graph computes"):
        ranges(graph, feeds(), ["a", name])


def test_a_tensor_without_elements(tmp_path: Path) -> None:
    path = written(tmp_path / "model.onnx", parse("m (float[N] x) => (float[N] y) { y = Neg(x) }"))
    (found,) = ranges(path, [{"x": np.zeros(0, np.float32)}], ["y"], bins=4).values()
    assert (found.minimum, found.maximum, found.absmax, found.count, found.mean, found.rms) == (0, 0, 0, 0, 0, 0)
    assert found.counts is not None and found.counts.tolist() == [0] * 4


def test_what_is_not_finite_is_counted_apart() -> None:
    seen = child.Seen(0)
    value = np.array([[1.0, np.nan, -3.0], [np.inf, -np.inf, 2.0]], np.float32)
    seen.extremes(value)
    seen.histogram(value, 5)
    assert (seen.low, seen.high, seen.count, seen.infinite, seen.total, seen.squares) == (-3, 2, 3, 3, 0, 14)
    assert seen.counts.tolist() == [1, 0, 0, 0, 2]
    assert seen.channels.tolist() == [[3, 2], [10, 4]]


def test_constant_empty_and_tiny_tensors() -> None:
    for array, counts in (([5.0, 5.0], [2, 0]), ([], [0, 0]), ([0.0, 5e-324, 5e-324], [1, 2])):
        seen = child.Seen(None)
        seen.extremes(np.array(array))
        seen.histogram(np.array(array), 2)
        assert seen.counts.tolist() == counts


def test_large_tensors_are_reduced_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "BLOCK", 64)
    array = np.random.default_rng(0).standard_normal((5, 7, 11)).astype(np.float32)
    seen = child.Seen(1)
    seen.extremes(array)
    seen.histogram(array, 8)
    found = TensorRange(seen.low, seen.high, seen.count, 0, seen.total, seen.squares, seen.counts, *seen.channels)
    check(found, [array], 1)


class Session:
    """Hands out arrays of the size asked for, and remembers what it was asked for at once."""

    def __init__(self, sizes: dict[str, int]) -> None:
        self.sizes = sizes
        self.asked: list[list[str]] = []

    def run(self, names: list[str], feed: object) -> list[np.ndarray]:
        self.asked.append(names)
        return [np.zeros(self.sizes[name], np.uint8) for name in names]


def test_tensors_are_fetched_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never more than may be held, once their sizes are known; a tensor larger than that alone."""
    monkeypatch.setattr(child, "FETCH_BYTES", 100)
    session = Session({"a": 40, "b": 50, "c": 30, "d": 500, "e": 10})
    sizes: dict[str, int] = {"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}  # of shapes that are open before the first run
    for _ in range(2):
        assert [name for name, _ in child._values(session, "abcde", {}, sizes)] == list("abcde")
    assert session.asked == [list("abcde"), ["a", "b"], ["c"], ["d"], ["e"]]
