"""Separable convolutions, against numpy's decomposition of each channel and ONNX Runtime running both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from effaudit import whatif
from effaudit.audited import examine
from effaudit.errors import UsageError
from tests.whatif.running import Array, changed, model, same_outputs
from tests.whatif.test_lowrank import drawn, product, same_audit, shape_of, weight_of, with_weight

NETS: dict[str, Callable[[], onnx.ModelProto]] = {
    "conv": lambda: product("Conv", drawn(16, 6, 3, 3), bias=True, pads=[1, 0, 1, 2], strides=[2, 1], dilations=[1, 2]),
    "same": lambda: product("Conv", drawn(16, 6, 3, 3), auto_pad="SAME_LOWER", strides=[2, 2], kernel_shape=[3, 3]),
    "conv-1d": lambda: product("Conv", drawn(12, 6, 5), shape=[1, 6, 20], group=1),
    "conv-3d": lambda: product("Conv", drawn(12, 2, 2, 3, 2), bias=True, shape=[1, 2, 4, 5, 6]),
    "one channel": lambda: product("Conv", drawn(12, 1, 3, 3), shape=[1, 1, 8, 8]),
}


def nearest(weight: Array) -> Array:
    """The best matrix of rank 1 of each channel, by numpy."""
    made = np.empty_like(weight, dtype=np.float64)
    for i in range(weight.shape[1]):
        u, s, v = np.linalg.svd(weight[:, i].reshape(weight.shape[0], -1).astype(np.float64), full_matrices=False)
        made[:, i] = (s[0] * np.outer(u[:, 0], v[0])).reshape(made[:, i].shape)
    return made


@pytest.mark.parametrize("name", NETS)
def test_the_network_is_the_one_with_the_nearest_weights(tmp_path: Path, name: str) -> None:
    net = NETS[name]()
    change, before, made, _, after = changed(tmp_path, net, "separable", "all")
    weight = weight_of(net)
    near = nearest(weight)
    wanted = tmp_path / "wanted.onnx"
    onnx.save(with_weight(net, near.astype(np.float32)), wanted)
    same_outputs(wanted, after, {"x": drawn(*shape_of(net))})
    same_audit(made, after)
    out, channels, positions = weight.shape[0], weight.shape[1], weight[0, 0].size
    macs = before.table.total("macs").value
    assert macs is not None
    after_macs = macs * (channels * positions + channels * out) // (out * channels * positions)
    assert made.table.total("macs").value == after_macs == change.details[0].figures["macs_after"]
    off = np.linalg.norm(weight - near) / np.linalg.norm(weight)
    figures = change.details[0].figures
    assert figures["error"] == pytest.approx(off, rel=1e-5) and change.loss == pytest.approx(off**2, rel=1e-5)
    assert figures["max_abs_error"] == pytest.approx(np.abs(weight - near).max(), rel=1e-4)
    assert figures["times_fewer"] == pytest.approx(1 / (1 / out + 1 / positions))
    assert change.retrain and [node.op for node in made.raw.nodes] == ["Conv", "Conv"]


def test_the_ratio_of_the_textbooks(tmp_path: Path) -> None:
    """128 channels, 3 x 3: 1/(1/128 + 1/9) = 8.409 times fewer MACs, 54,992,896 at 56 x 56, and as many fewer weights.

    https://arxiv.org/abs/1704.04861
    """
    net = product("Conv", drawn(128, 128, 3, 3), shape=[1, 128, 56, 56], pads=[1, 1, 1, 1])
    change, before, made, *_ = changed(tmp_path, net, "separable", "all")
    assert made.table.total("macs").value == 54_992_896
    macs, params = before.table.total("macs").low, before.weights.params
    assert macs / 54_992_896 == params / made.weights.params == change.details[0].figures["times_fewer"]
    assert round(macs / 54_992_896, 3) == 8.409


def test_separable_weights_lose_nothing(tmp_path: Path) -> None:
    weight = drawn(16, 6, 1, 1) * drawn(1, 6, 3, 3)
    weight[:, 2] = 0
    net = product("Conv", weight, bias=True, pads=[1, 1, 1, 1])
    change, _, _, before, after = changed(tmp_path, net, "separable", "all")
    same_outputs(before, after, {"x": drawn(*shape_of(net))})
    assert change.loss is not None and change.loss < 1e-12


def test_what_stays_says_why(tmp_path: Path) -> None:
    held = {"w": drawn(16, 6, 3, 3), "d": drawn(16, 1, 3, 3), "p": drawn(4, 16, 1, 1), "o": drawn(1, 4, 3, 3)}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], name="wide"),
        helper.make_node("Conv", ["a", "d"], ["b"], name="deep", group=16),
        helper.make_node("Conv", ["b", "p"], ["c"], name="flat"),
        helper.make_node("Conv", ["c", "o"], ["y"], name="last"),
    ]
    net = model(nodes, {"x": [1, 6, 12, 12]}, {"y": [None] * 4}, held)
    change, *_ = changed(tmp_path, net, "separable", "all")
    assert [row.name for row in change.details] == ["wide"]
    assert {one.group: one.reason for one in change.blocked} == {
        "Conv 'deep'": "it has 16 groups of channels already",
        "Conv 'flat'": "its window is a single position: it mixes channels alone",
        "Conv 'last'": "as two it takes 40 MACs per position, 36 as it is",
    }
    with pytest.raises(UsageError, match="no convolution takes fewer MACs as two; Conv 'last': as two it takes 40"):
        changed(tmp_path, net, "separable", "only=last")


def test_shared_filters_are_made_once(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["a", "w"], ["y"], pads=[1, 1, 1, 1]),
    ]
    net = model(nodes, {"x": [1, 6, 9, 9]}, {"y": [None] * 4}, {"w": drawn(6, 6, 3, 3)})
    _, _, made, _, after = changed(tmp_path, net, "separable", "all")
    assert made.weights.params == 6 * 9 + 36 and len(made.raw.nodes) == 4
    same_audit(made, after)


def test_a_model_of_structure_only() -> None:
    net = examine("sample:resnet50")
    change, made = whatif.apply(net, whatif.parse("separable", "skip=*conv1*"))
    assert change.loss is None and change.retrain
    saved = sum(int(row.figures["macs_before"] or 0) - int(row.figures["macs_after"] or 0) for row in change.details)
    assert made.table.total("macs").low == net.table.total("macs").low - saved
    assert not any(value.invalid for value in made.graph.values.values())


@pytest.mark.parametrize(("text", "shortest"), [("all", "all"), ("only=a*|b", ""), ("all,skip=c", "skip=c")])
def test_the_text_of_arguments(text: str, shortest: str) -> None:
    step = whatif.parse("separable", text)
    assert whatif.text(step) == f"--separable {shortest or text}"
    assert whatif.parse("separable", shortest or text) == step


@pytest.mark.parametrize("text", ["", "any", "all,only=a", "rank=3"])
def test_refused_arguments(text: str) -> None:
    with pytest.raises(UsageError, match="--separable"):
        whatif.parse("separable", text)
