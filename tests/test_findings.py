"""Findings: what is found, and that what they advise helps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper, save

import effaudit

FLOAT = TensorProto.FLOAT


def written(
    path: Path, nodes: list[object], inputs: dict[str, list[int | str]], opset: int = 17, **data: object
) -> str:
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in data.items()]
    made = [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs.items()]
    outputs = [helper.make_empty_tensor_value_info(nodes[-1].output[0])]  # type: ignore[attr-defined]
    graph = helper.make_graph(nodes, "g", made, outputs, tensors)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("acme", 1)]
    model: ModelProto = helper.make_model(graph, ir_version=8, opset_imports=opsets)
    save(model, str(path))
    return str(path)


def remedy(path: str, rule: str, **given: object) -> str:
    found = {f.rule: f for f in effaudit.audit(path, **given).findings}  # type: ignore[arg-type]
    assert rule in found, found
    return found[rule].remedy


def test_an_operator_nobody_knows(tmp_path: Path) -> None:
    path = written(tmp_path / "m.onnx", [helper.make_node("Thing", ["x"], ["y"], domain="acme")], {"x": [1, 4]})
    assert "--operators FILE" in remedy(path, "unpriced")


def test_sizes_that_do_not_fit(tmp_path: Path) -> None:
    node = helper.make_node("Add", ["x", "y"], ["z"])
    path = written(tmp_path / "m.onnx", [node], {"x": ["n", 3], "y": [5, 3]})
    assert "give others with --dim" in remedy(path, "unpriced", dims={"n": 4})
    assert not effaudit.audit(path, dims={"n": 5}).findings
    # n = 1 is assumed, and broadcasts
    assert remedy(path, "dims-assumed") == "give the real ones: --dim n=1"


def test_an_assumption_that_does_not_fit_is_not_advised(tmp_path: Path) -> None:
    nodes = [helper.make_node("Concat", ["x", "x"], ["a"], axis=0), helper.make_node("MatMul", ["a", "w"], ["z"])]
    path = written(tmp_path / "m.onnx", nodes, {"x": [2, "k"]}, w=np.zeros((37, 5), np.float32))
    assert remedy(path, "dims-assumed") == "give the real ones: --dim k=N"
    assert not effaudit.audit(path, dims={"k": 37}).findings


def test_an_opset_that_broadcasts_by_attribute(tmp_path: Path) -> None:
    node = helper.make_node("Add", ["x", "b"], ["z"], broadcast=1, axis=1)
    path = written(tmp_path / "m.onnx", [node], {"x": [2, 3, 4]}, opset=6, b=np.zeros(3, np.float32))
    assert "opsets before 7" in remedy(path, "unpriced")


def test_a_shape_that_lies_in_a_file_that_is_not_there(tmp_path: Path) -> None:
    nodes = [helper.make_node("Reshape", ["x", "to"], ["a"]), helper.make_node("MatMul", ["a", "w"], ["z"])]
    path = written(tmp_path / "m.onnx", nodes, {"x": [2, 6]}, to=np.array([3, 4]), w=np.zeros((4, 5), np.float32))
    import onnx

    whole = onnx.load(path)
    save(whole, path, save_as_external_data=True, location="w.bin", size_threshold=0)
    assert effaudit.audit(path).totals.macs == 60
    (tmp_path / "w.bin").unlink()
    assert effaudit.audit(path).totals.macs != 60
    assert remedy(path, "missing-weights") == "put the weight file beside the model: shapes depend on it"


@pytest.mark.parametrize("sample", ["bert-base", "resnet50"])
def test_weights_that_are_not_there(sample: str) -> None:
    assert "--weights needs it" in remedy(f"sample:{sample}", "missing-weights")


def test_what_depends_on_no_input(tmp_path: Path) -> None:
    nodes = [helper.make_node("Mul", ["a", "b"], ["w"]), helper.make_node("MatMul", ["x", "w"], ["z"])]
    ones = np.ones((4, 4), np.float32)
    path = written(tmp_path / "m.onnx", nodes, {"x": [2, 4]}, a=ones, b=ones)
    (found,) = effaudit.audit(path).findings
    assert (found.rule, found.count) == ("input-independent", 1)
    assert "16 ops in every run" in found.message and "fold constants" in found.remedy
