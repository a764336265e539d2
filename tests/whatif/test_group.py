"""Grouped convolutions, against ONNX Runtime running the ungrouped one with zeros between the groups."""

from __future__ import annotations

from collections.abc import Mapping
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

NETS: Mapping[str, tuple[tuple[int, ...], list[int], int, int]] = {  # weight, input, groups before, groups after
    "two": ((8, 6, 3, 3), [1, 6, 7, 7], 1, 2),
    "depthwise": ((6, 6, 3, 3), [1, 6, 7, 7], 1, 6),
    "pointwise": ((12, 8, 1, 1), [1, 8, 5, 5], 1, 4),
    "finer": ((12, 6, 3), [1, 12, 9], 2, 6),
    "3d": ((4, 4, 2, 2, 2), [1, 4, 5, 5, 5], 1, 2),
}


def masked(weight: Array, before: int, after: int) -> Array:
    """With zeros between the groups, filter by filter."""
    out, each = weight.shape[:2]
    made = np.zeros_like(weight)
    for o in range(out):
        for i in range(each):
            channel = o // (out // before) * each + i
            if channel // (each * before // after) == o // (out // after):
                made[o, i] = weight[o, i]
    return made


@pytest.mark.parametrize("name", NETS)
def test_the_network_is_the_one_with_zeros_between_groups(tmp_path: Path, name: str) -> None:
    shape, given, had, groups = NETS[name]
    net = product("Conv", drawn(*shape), bias=True, shape=given, group=had)
    change, before, made, _, after = changed(tmp_path, net, "group", f"groups={groups}")
    weight = weight_of(net)
    zeros = masked(weight, had, groups)
    wanted = tmp_path / "wanted.onnx"
    onnx.save(with_weight(net, zeros), wanted)
    same_outputs(wanted, after, {"x": drawn(*shape_of(net))})
    same_audit(made, after)
    macs, params = before.table.total("macs").low, before.weights.params - shape[0]
    assert made.table.total("macs").value == macs * had // groups == change.details[0].figures["macs_after"]
    assert made.weights.params - shape[0] == params * had // groups
    gone = 1 - np.square(zeros, dtype=np.float64).sum() / np.square(weight, dtype=np.float64).sum()
    assert change.loss == pytest.approx(gone) and change.retrain
    assert change.details[0].figures["saliency_removed"] == pytest.approx(gone)


def test_what_stays_says_why(tmp_path: Path) -> None:
    held = {"w": drawn(16, 6, 3, 3), "g": drawn(16, 4, 3, 3), "h": drawn(6, 4, 1, 1), "i": drawn(8, 3, 1, 1)}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], name="first"),
        helper.make_node("Conv", ["a", "g"], ["b"], name="has", group=4),
        helper.make_node("Conv", ["z", "h"], ["c"], name="filters", group=2),
        helper.make_node("Conv", ["c", "i"], ["d"], name="odd", group=2),
        helper.make_node("Conv", ["b", "j"], ["y"], name="goes"),
        helper.make_node("Conv", ["u", "k"], ["v"], name="three", group=3),
    ]
    held |= {"j": drawn(4, 16, 1, 1), "k": drawn(9, 4, 1, 1)}
    shapes = {"x": [1, 6, 9, 9], "z": [1, 8, 3, 3], "u": [1, 12, 2, 2]}
    net = model(nodes, shapes, {"y": [None] * 4, "d": [None] * 4, "v": [None] * 4}, held)
    change, *_ = changed(tmp_path, net, "group", "groups=4")
    assert [row.name for row in change.details] == ["goes"]
    assert {one.group: one.reason for one in change.blocked} == {
        "Conv: 2 nodes, the first 'first'": "its 6 channels do not divide into 4 groups",
        "Conv 'has'": "it has 4 groups already",
        "Conv 'filters'": "its 6 filters do not divide into 4 groups",
        "Conv 'three'": "its 3 groups do not divide into 4",
    }
    with pytest.raises(UsageError, match="no convolution can have 4 groups; Conv 'has': it has 4 groups already"):
        changed(tmp_path, net, "group", "groups=4,only=has")


def test_a_model_of_structure_only() -> None:
    net = examine("sample:resnet50")
    change, made = whatif.apply(net, whatif.parse("group", "groups=32,only=*conv2*"))
    assert change.loss is None and len(change.details) == 16
    assert made.table.total("macs").low < net.table.total("macs").low
    assert not any(value.invalid for value in made.graph.values.values())


def test_the_text_of_arguments() -> None:
    for text in ("groups=2", "groups=4,only=a*|b,skip=c"):
        assert whatif.text(whatif.parse("group", text)) == f"--group {text}"


@pytest.mark.parametrize("text", ["", "4", "groups=1", "groups=x", "only=a", "groups=2,rank=3"])
def test_refused_arguments(text: str) -> None:
    with pytest.raises(UsageError, match="--group"):
        whatif.parse("group", text)
