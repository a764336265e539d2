"""Smoothed activations, against ONNX Runtime on the same inputs and the formulas written out by numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from effaudit import whatif
from effaudit.audited import examine
from effaudit.errors import UsageError
from effaudit.load.values import values as elements
from effaudit.whatif.smoothquant.smoothed import outliers
from tests.whatif.running import Array, changed, model, run, same_outputs

RNG = np.random.default_rng(3)
WIDTH = 16


def drawn(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def calibration(folder: Path, **arrays: Array) -> Path:
    """A folder of two inputs, the second half as large."""
    folder.mkdir(exist_ok=True)
    for i, share in enumerate((1.0, 0.5)):
        np.savez(folder / f"{i}.npz", **{name: (share * array).astype(np.float32) for name, array in arrays.items()})
    return folder


def behind(norm: str) -> onnx.ModelProto:
    """Two products of one kind each behind a norm, whose scale has an outlier, and one behind a Relu."""
    node = helper.make_node
    held = {
        "g": drawn(WIDTH),
        "b": drawn(WIDTH),
        "w": drawn(WIDTH, 8),
        "t": drawn(6, WIDTH),
        "c": drawn(6),
        "u": drawn(8, 4),
    }
    held["g"][3] = 40.0
    held["w"][5] = 0
    nodes = {
        "layer": [node("LayerNormalization", ["x", "g", "b"], ["n"], axis=-1)],
        "spelled": [
            node("ReduceMean", ["x"], ["m"], axes=[-1]),
            node("Sub", ["x", "m"], ["d"]),
            node("Mul", ["g", "d"], ["s"]),
            node("Add", ["s", "b"], ["n"]),
        ],
        "rms": [node("Mul", ["x", "x"], ["q"]), node("Mul", ["q", "g"], ["n"])],
    }[norm]
    nodes += [
        node("MatMul", ["n", "w"], ["p"], name="plain"),
        node("Gemm", ["n", "t", "c"], ["y"], name="turned", transB=1, alpha=0.5),
        node("Relu", ["p"], ["r"]),
        node("MatMul", ["r", "u"], ["z"], name="second"),
    ]
    return model(nodes, {"x": [10, WIDTH]}, {"y": [10, 6], "z": [10, 4]}, held)


def activations(path: Path, name: str, x: Array) -> Array:
    """A tensor inside, by ONNX Runtime."""
    net = onnx.load(path)
    net.graph.output.append(helper.make_tensor_value_info(name, 1, None))
    opened = path.with_name("opened.onnx")
    onnx.save(net, opened)
    return run(opened, {"x": x})[-1]


@pytest.mark.parametrize(("norm", "alpha"), [("layer", "0.5"), ("spelled", "0.75"), ("rms", "0.5")])
def test_outputs_stay_and_factors_are_those_of_the_paper(tmp_path: Path, norm: str, alpha: str) -> None:
    net, x = behind(norm), drawn(10, WIDTH)
    folder = calibration(tmp_path / "inputs", x=x)
    change, _, made, before, after = changed(tmp_path, net, "smoothquant", f"alpha={alpha},calibrate={folder}")
    same_outputs(before, after, {"x": drawn(10, WIDTH)})
    assert change.loss == 0 and not change.retrain
    assert [one.group for one in change.blocked] == ["MatMul 'second'"] and "insert" in change.blocked[0].reason
    held = {t.name: onnx.numpy_helper.to_array(t) for t in net.graph.initializer}
    seen = np.maximum(
        *(np.abs(activations(before, "n", share * x)).max(0) for share in (np.float32(1), np.float32(0.5)))
    )
    weights = np.maximum(np.abs(held["w"]).max(1), np.abs(held["t"]).max(0))
    a = float(alpha)
    factors = seen**a / weights ** (1 - a)
    new = {name: elements(made.raw.constants[name]) for name in ("g", "w", "t")}
    assert new["g"] == pytest.approx(held["g"] / factors, rel=1e-4)
    assert new["w"] == pytest.approx(held["w"] * factors[:, None], rel=1e-4)
    assert new["t"] == pytest.approx(held["t"] * factors, rel=1e-4)
    assert [node.op for node in made.raw.nodes] == [node.op_type for node in net.graph.node]
    row = next(row.figures for row in change.details if row.name == "plain")
    assert row["largest_factor"] == pytest.approx(factors.max(), rel=1e-4)
    assert row["activation_max_after"] == pytest.approx((seen / factors).max(), rel=1e-4)
    assert row["outlier_channels_before"] == int((seen > 8 * np.median(seen)).sum()) >= 1
    exact = activations(before, "n", x).astype(float)
    for key, s in (("sqnr_db_before", np.ones(WIDTH)), ("sqnr_db", factors)):
        step, wide = (seen / s).max() / 127, np.abs(held["w"] * s[:, None]).max() / 127
        rounded = np.rint(exact / s / step) * step @ (np.rint(held["w"] * s[:, None] / wide) * wide)
        noise = np.square(exact @ held["w"] - rounded).sum()
        sqnr = 10 * np.log10(np.square(exact @ held["w"]).sum() / noise)
        assert row[key] == pytest.approx(sqnr, abs=0.05)
    assert row["sqnr_db"] > row["sqnr_db_before"]  # type: ignore[operator]


def test_a_mul_stands_where_no_norm_does(tmp_path: Path) -> None:
    net = behind("layer")
    folder = calibration(tmp_path / "inputs", x=drawn(10, WIDTH))
    change, before, made, old, new = changed(tmp_path, net, "smoothquant", f"insert,calibrate={folder}")
    same_outputs(old, new, {"x": drawn(10, WIDTH)})
    assert not change.blocked and len(change.details) == 3
    assert [node.op for node in made.raw.nodes].count("Mul") == 1
    found = examine(new)
    assert found.table.total("macs") == made.table.total("macs") == before.table.total("macs")
    assert found.memory.live_bytes == made.memory.live_bytes


def test_a_scale_that_others_read_stays_theirs(tmp_path: Path) -> None:
    """Two norms of one scale, and a tensor that is an output as well."""
    node = helper.make_node
    nodes = [
        node("LayerNormalization", ["x", "g"], ["n"], axis=-1),
        node("MatMul", ["n", "w"], ["y"], name="one"),
        node("LayerNormalization", ["y", "g"], ["z"], axis=-1),
        node("MatMul", ["z", "v"], ["o"], name="out"),
    ]
    held = {"g": drawn(WIDTH), "w": drawn(WIDTH, WIDTH), "v": drawn(WIDTH, 4)}
    net = model(nodes, {"x": [5, WIDTH]}, {"o": [5, 4], "z": [5, WIDTH]}, held)
    change, _, made, before, after = changed(tmp_path, net, "smoothquant", "calibrate=random")
    same_outputs(before, after, {"x": drawn(5, WIDTH)})
    assert [row.name for row in change.details] == ["one"]
    assert [one.group for one in change.blocked] == ["MatMul 'out'"]
    assert elements(made.raw.constants["g"]) == pytest.approx(held["g"])
    assert any("marked random" in note for note in change.notes)
    both = whatif.apply(examine(before), whatif.parse("smoothquant", "insert,calibrate=random,seed=2"))[0]
    assert len(both.details) == 2


def worked() -> onnx.ModelProto:
    """One channel whose largest activation is 8 and whose largest weight is 0.5, as in the worked example."""
    nodes = [helper.make_node("Mul", ["x", "g"], ["n"]), helper.make_node("MatMul", ["n", "w"], ["y"], name="product")]
    held = {"g": np.array([1.0], np.float32), "w": np.array([[0.5, -0.25]], np.float32)}
    return model(nodes, {"x": [2, 1]}, {"y": [2, 2]}, held)


def test_worked_examples(tmp_path: Path) -> None:
    """A factor of 4, after which the largest weight is 2 and the largest activation 2."""
    folder = calibration(tmp_path / "inputs", x=np.array([[8.0], [-3.0]], np.float32))
    change, *_ = changed(tmp_path, worked(), "smoothquant", f"alpha=0.5,calibrate={folder}")
    row = change.details[0].figures
    assert row["largest_factor"] == 4 and row["weight_max_after"] == 2 and row["activation_max_after"] == 2


def test_outliers_are_channels_far_above_the_median() -> None:
    assert outliers(np.array([1.0, 1.0, 1.0, 8.1, 7.9])) == 1
    assert outliers(np.zeros(4)) == 0


def test_what_cannot_be_smoothed_is_refused(tmp_path: Path) -> None:
    for text in ("alpha=0.5", "calibrate=random,alpha=2", "random", "calibrate=random,seed=x"):
        with pytest.raises(UsageError, match="--smoothquant"):
            whatif.parse("smoothquant", text)
    with pytest.raises(UsageError, match="runs the model, and it holds structure only"):
        whatif.apply(examine("sample:decoder-7b"), whatif.parse("smoothquant", "calibrate=random"))
    with pytest.raises(UsageError, match=r"no product reads activations that can be divided; .*insert"):
        whatif.apply(examine("sample:ad"), whatif.parse("smoothquant", "calibrate=random"))
    step = whatif.parse("smoothquant", "insert,calibrate=random,alpha=75%,seed=4,only=a|b")
    assert whatif.text(step) == "--smoothquant insert,alpha=75%,calibrate=random,seed=4,only=a|b"
    assert whatif.parse("smoothquant", whatif.text(step).split()[1]) == step


def test_the_sample_decoder(tmp_path: Path) -> None:
    audited = examine("sample:decoder-gqa")
    change, made = whatif.apply(audited, whatif.parse("smoothquant", "calibrate=random"))
    assert len(change.details) == 2 * 5 + 1  # q, k, v, gate and up of each layer, and the head
    assert made.table.total("macs") == audited.table.total("macs")
