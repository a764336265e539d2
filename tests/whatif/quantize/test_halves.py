"""Floats of 16 bits: what stays in float32 beside them, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from effaudit.errors import UsageError
from tests.whatif.quantize.nets import FEEDS, convolutions, drawn, node
from tests.whatif.running import changed, model, run


def test_operators_that_stay_in_float32_are_cast_around(tmp_path: Path) -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["a"], "first"),
        node("TopK", ["a", "k"], ["b", "i"], "top"),
        node("MatMul", ["b", "v"], ["y"], "second"),
    ]
    constants = {"w": drawn(8, 6), "k": np.array([4], np.int64), "v": drawn(4, 3)}
    made = model(nodes, {"x": [2, 8]}, {"y": [2, 3]}, constants)
    change, _, after, source, target = changed(tmp_path, made, "quantize", "fp16")
    assert [n.op for n in change.graph.nodes] == ["Cast", "MatMul", "Cast", "TopK", "Cast", "MatMul", "Cast"]
    types = {name: after.graph.values[name].encoding.dtype for name in ("x", "y", "a", "b")}
    assert types == {"x": "float32", "y": "float32", "a": "float32", "b": "float32"}
    x = {"x": drawn(2, 8, seed=3)}
    assert np.abs(run(source, x)[0] - run(target, x)[0]).max() < 5e-3


def test_bodies_read_what_they_captured_in_float32(tmp_path: Path) -> None:
    branches = {
        key: helper.make_graph(
            [node(op, ["a", "w"], [f"{key}_out"])], key, [], [helper.make_tensor_value_info(f"{key}_out", 1, None)]
        )
        for key, op in (("then_branch", "MatMul"), ("else_branch", "Add"))
    }
    nodes = [
        node("MatMul", ["x", "w"], ["a"], "first"),
        node("If", ["c"], ["b"], "choice", **branches),
        node("MatMul", ["b", "w"], ["y"], "second"),
    ]
    made = model(nodes, {"x": [4, 4], "c": []}, {"y": [4, 4]}, {"w": drawn(4, 4)}, types={"c": TensorProto.BOOL})
    for step in ("fp16", "dynamic"):
        _, before, after, source, target = changed(tmp_path, made, "quantize", step)
        assert after.table.total("macs") == before.table.total("macs")
        for chosen in (True, False):
            feed = {"x": drawn(4, 4, seed=1), "c": np.array(chosen)}
            assert np.abs(run(source, feed)[0] - run(target, feed)[0]).max() < 0.02
    with pytest.raises(UsageError, match="'w': a body of If, Loop or Scan, or a function, reads it too"):
        changed(tmp_path, made, "quantize", "int8,weights-only")


def test_a_constant_that_both_read_is_there_twice(tmp_path: Path) -> None:
    _, _, _, source, target = changed(tmp_path, convolutions(), "quantize", "fp16,skip=first|head")
    names = {one.name for one in onnx.load(target).graph.initializer}
    assert {"w1", "w5", "w2_float16", "w3_float16"} <= names and not {"w1_float16", "w2"} & names
    x = FEEDS[convolutions]
    np.testing.assert_allclose(run(source, x)[0], run(target, x)[0], atol=5e-3)


def test_resize_keeps_its_scales(tmp_path: Path) -> None:
    nodes = [node("Resize", ["x", "", "s"], ["a"], "grow"), node("Conv", ["a", "w"], ["y"], "conv")]
    constants = {"s": np.array([1, 1, 2, 2], np.float32), "w": drawn(2, 3, 3, 3)}
    made = model(nodes, {"x": [1, 3, 4, 4]}, {"y": [1, 2, 6, 6]}, constants)
    change, _, _, source, target = changed(tmp_path, made, "quantize", "fp16")
    assert change.graph.constants["s"].encoding.dtype == "float32"
    x = {"x": drawn(1, 3, 4, 4)}
    np.testing.assert_allclose(run(source, x)[0], run(target, x)[0], atol=5e-3)


def test_bfloat16_is_audited(tmp_path: Path) -> None:
    change, before, after, _, target = changed(tmp_path, convolutions(), "quantize", "bf16")
    assert after.table.total("macs") == before.table.total("macs")
    assert {one.data_type for one in onnx.load(target).graph.initializer} == {TensorProto.BFLOAT16}
    assert any("ONNX Runtime" in note for note in change.notes)


def test_two_kinds_of_halves_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text("first: bf16\n")
    with pytest.raises(UsageError, match="fp16 and bf16 in one table"):
        changed(tmp_path, convolutions(), "quantize", f"fp16,table={tmp_path / 't.yaml'}")


def test_a_mask_of_huge_numbers_is_no_loss(tmp_path: Path) -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["a"], "first"),
        node("Add", ["a", "m"], ["b"], "mask"),
        node("Softmax", ["b"], ["y"], "softmax"),
    ]
    constants = {"w": drawn(8, 8), "m": np.triu(np.full((8, 8), -3e38, np.float32), 1)}
    made = model(nodes, {"x": [8, 8]}, {"y": [8, 8]}, constants)
    change, _, _, _, target = changed(tmp_path, made, "quantize", "fp16")
    assert change.loss is not None and change.loss < 1e-6
    assert (run(target, {"x": drawn(8, 8, seed=1)})[0] > 0).sum() == 36


def test_a_graph_without_weights_has_activations(tmp_path: Path) -> None:
    made = model([node("Relu", ["x"], ["y"], "relu")], {"x": [4]}, {"y": [4]}, {})
    change, *_ = changed(tmp_path, made, "quantize", "fp16")
    assert [n.op for n in change.graph.nodes] == ["Cast", "Relu", "Cast"] and not change.details


def test_a_mixed_table_joins_static_and_other_rules(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text("head: int4,per-channel\nup: fp16,weights-only\n")
    step = f"int8,calibrate=random,table={tmp_path / 't.yaml'}"
    change, before, after, source, target = changed(tmp_path, convolutions(), "quantize", step)
    kinds = {detail.name: detail.figures["dtype"] for detail in change.details if detail.table == "weights"}
    assert kinds == {"w1": "int8", "w2": "int8", "w3": "int8", "w4": "float16", "w5": "int4"}
    assert after.table.total("macs") == before.table.total("macs")
    x = FEEDS[convolutions]
    one, other = run(source, x)[0], run(target, x)[0]
    assert np.linalg.norm(one - other) < 0.3 * np.linalg.norm(one)
