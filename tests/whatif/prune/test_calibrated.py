"""Weights chosen by what they are multiplied with: against loops over the definition, and ONNX Runtime's outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from effaudit import whatif
from effaudit.audited import Audited, examine
from effaudit.errors import UsageError
from effaudit.load.values import values as elements
from tests.whatif.running import Array, changed, model, run

RNG = np.random.default_rng(5)


def drawn(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def net() -> tuple[onnx.ModelProto, dict[str, Array]]:
    """Two convolutions, one of them grouped, one transposed, a Gemm and a MatMul."""
    node = helper.make_node
    held = {
        "a": drawn(8, 6, 3, 3),
        "b": drawn(8, 4, 1, 1),
        "t": drawn(8, 3, 2, 2),
        "g": drawn(5, 12),
        "m": drawn(5, 7),
        "shape": np.array([-1, 12], np.int64),
    }
    nodes = [
        node("Conv", ["x", "a"], ["x1"], name="conv"),
        node("Conv", ["x1", "b"], ["x2"], name="grouped", group=2),
        node("ConvTranspose", ["x2", "t"], ["x3"], name="wider", group=2, strides=[2, 2]),
        node("Reshape", ["x3", "shape"], ["x4"]),
        node("Gemm", ["x4", "g"], ["x5"], name="gemm", transB=1),
        node("MatMul", ["x5", "m"], ["y"], name="matmul"),
    ]
    return model(nodes, {"x": [1, 6, 4, 4]}, {"y": [None, 7]}, held), held


def inputs(folder: Path) -> list[Array]:
    folder.mkdir(exist_ok=True)
    arrays = [drawn(1, 6, 4, 4) * np.array([1, 5, 0.1, 2, 1, 3], np.float32).reshape(1, 6, 1, 1) for _ in range(2)]
    for i, array in enumerate(arrays):
        np.savez(folder / f"{i}.npz", x=array)
    return arrays


def seen(path: Path, name: str, feeds: list[Array], axis: int) -> Array:
    """The squares of each channel of a tensor over all inputs, by ONNX Runtime."""
    found = []
    for feed in feeds:
        if name == "x":
            found.append(feed)
            continue
        opened = onnx.load(path)
        opened.graph.output.append(helper.make_tensor_value_info(name, 1, None))
        onnx.save(opened, path.with_name("opened.onnx"))
        found.append(run(path.with_name("opened.onnx"), {"x": feed})[-1])
    return sum(np.square(np.moveaxis(one, axis, 0).astype(float)).reshape(one.shape[axis], -1).sum(1) for one in found)


# weight -> (what it is multiplied with, its channel axis, the output of an element, its input channel)
READ = {
    "a": ("x", 1, lambda i: i[0], lambda i: i[1]),
    "b": ("x1", 1, lambda i: i[0], lambda i: 4 * (i[0] // 4) + i[1]),
    "t": ("x2", 1, lambda i: 3 * (i[0] // 4) + i[1], lambda i: i[0]),
    "g": ("x4", 1, lambda i: i[0], lambda i: i[1]),
    "m": ("x5", 1, lambda i: i[1], lambda i: i[0]),
}


def saliencies(path: Path, held: dict[str, Array], feeds: list[Array]) -> dict[str, Array]:
    """w^2 ||X_j||^2 of every element, by loops."""
    found = {}
    for name, (source, axis, _, channel) in READ.items():
        squares = seen(path, source, feeds, axis)
        each = np.zeros(held[name].shape)
        for index in np.ndindex(*held[name].shape):
            each[index] = float(held[name][index]) ** 2 * squares[channel(index)]
        found[name] = each
    return found


def zeros(made: Audited, name: str) -> Array:
    return elements(made.raw.constants[name]) == 0


def test_wanda_takes_the_smallest_of_each_output(tmp_path: Path) -> None:
    proto, held = net()
    feeds = inputs(tmp_path / "in")
    text = f"sparsity=25%,criterion=wanda,calibrate={tmp_path / 'in'}"
    change, _, made, before, after = changed(tmp_path, proto, "prune", text)
    scores = saliencies(before, held, feeds)
    for name, (_, _, output, _) in READ.items():
        gone = zeros(made, name)
        rows: dict[int, list[tuple[float, bool]]] = {}
        for index in np.ndindex(*gone.shape):
            rows.setdefault(output(index), []).append((scores[name][index], bool(gone[index])))
        for row in rows.values():
            count = round(0.25 * len(row))
            assert sum(one for _, one in row) == count
            assert [one for _, one in sorted(row)] == [True] * count + [False] * (len(row) - count)
        detail = next(one for one in change.details if one.name == name)
        assert detail.figures["saliency_removed"] == pytest.approx(
            scores[name][gone].sum() / scores[name].sum(), rel=1e-4
        )
    assert examine(after).table.total("macs") == made.table.total("macs")


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_second_order_compares_a_tensor_or_all(tmp_path: Path, scope: str) -> None:
    proto, held = net()
    feeds = inputs(tmp_path / "in")
    text = f"sparsity=40%,criterion=second-order,calibrate={tmp_path / 'in'},scope={scope}"
    change, _, made, before, _ = changed(tmp_path, proto, "prune", text)
    scores = saliencies(before, held, feeds)
    groups = [[name] for name in READ] if scope == "layer" else [list(READ)]
    for names in groups:
        flat = np.concatenate([scores[name].ravel() for name in names])
        gone = np.concatenate([zeros(made, name).ravel() for name in names])
        assert gone.sum() == round(0.4 * flat.size)
        assert flat[gone].max() < flat[~gone].min()
    total = sum(one.sum() for one in scores.values())
    lost = sum(scores[name][zeros(made, name)].sum() for name in READ)
    assert change.loss == pytest.approx(lost / total, rel=1e-4)


def test_two_of_four_by_wanda(tmp_path: Path) -> None:
    proto, held = net()
    feeds = inputs(tmp_path / "in")
    _, _, made, before, _ = changed(tmp_path, proto, "prune", f"2:4,criterion=wanda,calibrate={tmp_path / 'in'}")
    scores = saliencies(before, held, feeds)
    rows, gone = scores["g"].reshape(-1, 4), zeros(made, "g").reshape(-1, 4)
    assert (gone.sum(1) == 2).all()
    assert all(row[out].max() < row[~out].min() for row, out in zip(rows, gone, strict=True))
    plain = whatif.apply(examine(before), whatif.parse("prune", "2:4"))[1]
    assert (zeros(plain, "g") != zeros(made, "g")).any()


def test_the_saliency_is_the_squared_error_where_inputs_do_not_overlap(tmp_path: Path) -> None:
    """Rows of X with one channel each: the share of saliency that goes is the share of the outputs' squares."""
    weight, x = drawn(9, 5), np.diag(np.arange(1, 10)).astype(np.float32)
    proto = model([helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": [9, 9]}, {"y": [9, 5]}, {"w": weight})
    (tmp_path / "in").mkdir()
    np.savez(tmp_path / "in" / "0.npz", x=x)
    for criterion in ("wanda", "second-order"):
        text = f"sparsity=30%,criterion={criterion},calibrate={tmp_path / 'in'}"
        change, _, _, before, after = changed(tmp_path, proto, "prune", text)
        (y,), (pruned,) = run(before, {"x": x}), run(after, {"x": x})
        assert change.loss == pytest.approx(float(np.square(y - pruned).sum() / np.square(y).sum()), rel=1e-5)
    magnitude = changed(tmp_path, proto, "prune", "sparsity=30%")[-1]
    assert np.square(y - pruned).sum() < np.square(y - run(magnitude, {"x": x})[0]).sum()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("sparsity=50%,criterion=wanda", "add calibrate=DIR, a folder of .npz inputs, or calibrate=random"),
        ("2:4,criterion=second-order", "add calibrate=DIR"),
        ("sparsity=50%,calibrate=random", "calibrate= is for criterion=wanda or second-order"),
        ("sparsity=50%,criterion=bn", "does not go with sparsity: bn ranks channels; expected wanda or second-order"),
        ("channels=50%,criterion=wanda", "weighs single weights; prune with sparsity=50% or 2:4"),
        ("sparsity=50%,criterion=wanda,calibrate=random,scope=global", "scope does not go with it"),
        ("block=4x1,sparsity=50%,criterion=wanda,calibrate=random", "criterion does not go with block"),
        ("sparsity=50%,seed=3", "seed=3: expected a whole number, beside calibrate=random"),
    ],
)
def test_what_does_not_go_together_is_refused(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        whatif.parse("prune", text)


def test_without_weights_or_activations_it_is_refused(tmp_path: Path) -> None:
    text = "sparsity=50%,criterion=wanda,calibrate=random"
    with pytest.raises(UsageError, match="--prune calibrate=random runs the model, and it holds structure only"):
        whatif.apply(examine("sample:mobilenetv2"), whatif.parse("prune", text))
    assert whatif.text(whatif.parse("prune", text)) == f"--prune {text}"
    proto, _ = net()
    change, *_ = changed(tmp_path, proto, "prune", f"{text},only=gemm|matmul,seed=2")
    assert [one.name for one in change.details] == ["g", "m"]
    assert any("marked random" in note for note in change.notes)
