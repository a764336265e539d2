"""Batch norms in weights, against ONNX Runtime running the model before and after."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from effaudit import whatif
from effaudit.audited import examine
from tests.corpus.score import folder
from tests.whatif.running import Array, changed, model, same_outputs

RNG = np.random.default_rng(7)
SHAPE = [1, 6, 9, 9]


def values(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def norm(source: str, out: str, channels: int, label: str = "bn") -> tuple[onnx.NodeProto, dict[str, Array]]:
    """A batch norm of random statistics."""
    held = {f"{label}.g": values(channels), f"{label}.b": values(channels), f"{label}.m": values(channels)}
    held[f"{label}.v"] = RNG.uniform(0.05, 3, channels).astype(np.float32)
    return helper.make_node("BatchNormalization", [source, *held], [out], name=label, epsilon=1e-3), held


def after(
    op: str, weight: Array, bias: Array | None = None, shape: list[int] = SHAPE, relu: bool = False, **attrs: object
) -> onnx.ModelProto:
    """x -> op -> batch norm (-> Relu)."""
    channels = weight.shape[1] * int(str(attrs.get("group", 1))) if op == "ConvTranspose" else weight.shape[0]
    if op in ("Gemm", "MatMul") and not attrs.get("transB"):
        channels = weight.shape[-1]
    held = {"w": weight} | ({} if bias is None else {"c": bias})
    nodes = [helper.make_node(op, ["x", *held], ["a"], name="product", **attrs)]
    bn, statistics = norm("a", "n" if relu else "y", channels)
    nodes.append(bn)
    if relu:
        nodes.append(helper.make_node("Relu", ["n"], ["y"]))
    rank = [None] * len(shape)
    return model(nodes, {"x": shape}, {"y": rank}, held | statistics)


NETS: dict[str, Callable[[], onnx.ModelProto]] = {
    "conv": lambda: after("Conv", values(8, 6, 3, 3), values(8), pads=[1, 1, 1, 1]),
    "no-bias": lambda: after("Conv", values(8, 6, 3, 3), strides=[2, 2]),
    "depthwise": lambda: after("Conv", values(6, 1, 3, 3), group=6, pads=[1, 1, 1, 1]),
    "grouped": lambda: after("Conv", values(9, 2, 3, 3), values(9), group=3, relu=True),
    "conv-1d": lambda: after("Conv", values(4, 6, 3), shape=[1, 6, 9]),
    "conv-3d": lambda: after("Conv", values(4, 2, 1, 2, 3), shape=[1, 2, 4, 5, 6]),
    "transposed": lambda: after("ConvTranspose", values(6, 5, 2, 2), values(5), strides=[2, 2]),
    "transposed-grouped": lambda: after("ConvTranspose", values(6, 4, 3, 3), group=3, relu=True),
    "gemm": lambda: after("Gemm", values(6, 5), values(5), shape=[4, 6], alpha=0.5, beta=3.0),
    "gemm-turned": lambda: after("Gemm", values(5, 6), values(1, 5), shape=[4, 6], transB=1),
    "gemm-no-bias": lambda: after("Gemm", values(5, 6), shape=[4, 6], transB=1, alpha=2.0),
    "gemm-one-bias": lambda: after("Gemm", values(6, 5), values(1), shape=[4, 6]),
    "matmul": lambda: after("MatMul", values(6, 5), shape=[4, 6]),
}


@pytest.mark.parametrize("name", NETS)
def test_a_norm_behind_a_product_goes_into_it(tmp_path: Path, name: str) -> None:
    source = NETS[name]()
    change, before, made, one, other = changed(tmp_path, source, "fold", "bn")
    shape = [d.dim_value for d in source.graph.input[0].type.tensor_type.shape.dim]
    same_outputs(one, other, {"x": values(*shape)})
    assert not any(node.op == "BatchNormalization" for node in made.raw.nodes)
    assert len(made.raw.nodes) == len(before.raw.nodes) - (name != "matmul")
    assert made.table.total("macs") == before.table.total("macs")
    assert made.weights.buffers == 0
    assert change.details[0].figures["into"] == "product"
    error = change.details[0].figures["max_error"]
    assert isinstance(error, float) and 0 <= error <= 6e-8  # half a unit in the last place of float32
    assert not change.blocked and change.loss == 0 and not change.retrain


def test_without_a_norm_its_parameters_and_operations_are_gone() -> None:
    net = examine("sample:mobilenetv2")
    change, made = whatif.apply(net, whatif.parse("fold", "bn"))
    channels = net.weights.buffers // 2
    assert made.weights.params == net.weights.params - channels  # scale and shift gone, a bias made of them
    assert made.weights.buffers == 0 and made.table.total("macs") == net.table.total("macs")
    norms = sum(net.graph.values[n.outputs[0]].numel for n in net.graph.nodes if n.op == "BatchNormalization")
    assert net.table.total("ops").low - made.table.total("ops").low == norms  # 2 per element less 1 for the bias
    assert change.details[0].figures["max_error"] is None


def test_shared_weights_are_copied(tmp_path: Path) -> None:
    bn, held = norm("a", "n", 4)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        bn,
        helper.make_node("Conv", ["x", "w"], ["b"]),
        helper.make_node("Add", ["n", "b"], ["y"]),
    ]
    net = model(nodes, {"x": SHAPE}, {"y": [None] * 4}, held | {"w": values(4, 6, 3, 3)})
    _, before, made, one, other = changed(tmp_path, net, "fold", "bn")
    same_outputs(one, other, {"x": values(*SHAPE)})
    assert made.weights.params == before.weights.params + 4 * 6 * 9 - 4


def test_weights_in_nodes_and_statistics_that_are_shared(tmp_path: Path) -> None:
    bn, held = norm("a", "n", 6)
    again = helper.make_node("BatchNormalization", ["c", *held], ["y"], epsilon=1e-3)
    tensor = onnx.numpy_helper.from_array(values(6, 6, 1, 1), "value")
    nodes = [
        helper.make_node("Constant", [], ["w"], value=tensor),
        helper.make_node("Conv", ["x", "w"], ["a"]),
        bn,
        helper.make_node("Conv", ["n", "u"], ["c"]),
        again,
    ]
    net = model(nodes, {"x": SHAPE}, {"y": [None] * 4}, held | {"u": values(6, 6, 1, 1)})
    _, _, made, one, other = changed(tmp_path, net, "fold", "bn")
    same_outputs(one, other, {"x": values(*SHAPE)})
    assert [node.op for node in made.raw.nodes] == ["Constant", "Conv", "Conv"]


@pytest.mark.parametrize("kept", ["readers", "output", "training", "input", "computed weights", "one value"])
def test_norms_that_stay_say_why(tmp_path: Path, kept: str) -> None:
    bn, held = norm("a", "y", 6)
    nodes, outputs = [helper.make_node("Conv", ["x", "w"], ["a"]), bn], {"y": [None] * 4}
    held["w"] = values(6, 6, 1, 1)
    want = "others read its input"
    if kept == "readers":
        nodes.append(helper.make_node("Relu", ["a"], ["z"]))
        outputs["z"] = [None] * 4
    elif kept == "output":
        outputs["a"] = [None] * 4
    elif kept == "training":
        bn.attribute.append(helper.make_attribute("training_mode", 1))
        bn.output.extend(["mean", "var"])
        want = "training"
    elif kept == "input":
        nodes[0] = helper.make_node("Relu", ["x"], ["a"])
        del held["w"]
        want = "no convolution"
    elif kept == "computed weights":
        nodes[:0] = [helper.make_node("Mul", ["w", "s"], ["v"])]
        nodes[1].input[1] = "v"
        held["s"] = values(1)
        want = "not stored"
    else:
        nodes[:0] = [helper.make_node("Identity", ["bn.m"], ["m2"])]
        bn.input[3] = "m2"
        want = "no stored constant"
    net = model(nodes, {"x": SHAPE}, outputs, held)
    change, before, made, one, other = changed(tmp_path, net, "fold", "bn")
    if kept != "training":
        same_outputs(one, other, {"x": values(*SHAPE)}, 0)
    assert len(made.raw.nodes) == len(before.raw.nodes)
    assert len(change.blocked) == 1 and want in change.blocked[0].reason
    if kept in ("computed weights", "one value"):  # what stands between goes with the other kinds
        change, _, made, one, other = changed(tmp_path, net, "fold", "all")
        same_outputs(one, other, {"x": values(*SHAPE)})
        assert [node.op for node in made.raw.nodes] == ["Conv"]


def test_a_variance_of_minus_epsilon_is_not_folded(tmp_path: Path) -> None:
    bn, held = norm("a", "y", 6)
    held["bn.v"] = np.full(6, -1.0, np.float32)
    nodes = [helper.make_node("Conv", ["x", "w"], ["a"]), bn]
    net = model(nodes, {"x": SHAPE}, {"y": [None] * 4}, held | {"w": values(6, 6, 1, 1)})
    change, _, made, *_ = changed(tmp_path, net, "fold", "bn")
    assert len(made.raw.nodes) == 2 and "finite" in change.blocked[0].reason


@pytest.mark.parametrize("op", ["Conv", "Gemm", "MatMul", "grouped"])
def test_a_norm_ahead_of_a_product_without_padding_goes_into_it(tmp_path: Path, op: str) -> None:
    shape = SHAPE if op in ("Conv", "grouped") else [4, 6]
    bn, held = norm("x", "n", 6)
    weight = {"Conv": values(5, 6, 3, 3), "grouped": values(6, 2, 3, 3), "Gemm": values(5, 6), "MatMul": values(6, 5)}
    attrs: dict[str, Any] = {"Conv": {}, "grouped": {"group": 3}, "Gemm": {"transB": 1, "alpha": 2.0}, "MatMul": {}}[op]
    held["w"] = weight[op]
    product = helper.make_node("Conv" if op == "grouped" else op, ["n", "w"], ["y"], **attrs)
    net = model([bn, product], {"x": shape}, {"y": [None] * len(shape)}, held)
    _, _, made, one, other = changed(tmp_path, net, "fold", "bn")
    same_outputs(one, other, {"x": values(*shape)})
    assert not any(node.op == "BatchNormalization" for node in made.raw.nodes)


def test_a_norm_ahead_of_padding_stays(tmp_path: Path) -> None:
    bn, held = norm("x", "n", 6)
    product = helper.make_node("Conv", ["n", "w"], ["y"], pads=[0, 0, 0, 1])
    net = model([bn, product], {"x": SHAPE}, {"y": [None] * 4}, held | {"w": values(5, 6, 3, 3)})
    change, _, made, *_ = changed(tmp_path, net, "fold", "bn")
    assert len(made.raw.nodes) == 2 and "padding" in change.blocked[0].reason


def test_constant_scales_and_shifts_go_in_as_well(tmp_path: Path) -> None:
    bn, held = norm("m", "n", 5)
    held |= {"w": values(5, 6, 1, 1), "s": values(5, 1, 1), "t": values(1), "d": values(1, 5, 1, 1) + 3}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("Mul", ["s", "a"], ["b"]),
        helper.make_node("Sub", ["b", "t"], ["m"]),
        bn,
        helper.make_node("Div", ["n", "d"], ["y"]),
    ]
    net = model(nodes, {"x": SHAPE}, {"y": [None] * 4}, held)
    change, _, made, one, other = changed(tmp_path, net, "fold", "bn")
    same_outputs(one, other, {"x": values(*SHAPE)})
    assert len(made.raw.nodes) == 1 and "1 of 1 batch norms and 3 constant" in change.notes[0]


def test_the_bias_of_a_matrix_product_stays_an_addition(tmp_path: Path) -> None:
    held = {"w": values(6, 5), "b": values(5), "s": values(5)}
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("Add", ["a", "b"], ["c"])]
    alone = model([*nodes[:1], helper.make_node("Add", ["a", "b"], ["y"])], {"x": [2, 3, 6]}, {"y": [None] * 3}, held)
    change, before, made, *_ = changed(tmp_path, alone, "fold", "bn")
    assert made.raw.nodes == before.raw.nodes and not change.details
    net = model([*nodes, helper.make_node("Mul", ["s", "c"], ["y"])], {"x": [2, 3, 6]}, {"y": [None] * 3}, held)
    _, _, made, one, other = changed(tmp_path, net, "fold", "bn")
    same_outputs(one, other, {"x": values(2, 3, 6)})
    assert [node.op for node in made.raw.nodes] == ["MatMul", "Add"]


def test_a_constant_that_broadcasts_the_tensor_is_not_folded(tmp_path: Path) -> None:
    held = {"w": values(5, 6, 1, 1), "s": values(1, 1, 1, 9)}
    nodes = [helper.make_node("Conv", ["x", "w"], ["a"]), helper.make_node("Mul", ["a", "s"], ["y"])]
    _, before, made, *_ = changed(tmp_path, model(nodes, {"x": SHAPE}, {"y": [None] * 4}, held), "fold", "bn")
    assert made.raw.nodes == before.raw.nodes


def test_half_precision_is_rounded_once(tmp_path: Path) -> None:
    bn, held = norm("a", "y", 4)
    nodes = [helper.make_node("Conv", ["x", "w"], ["a"]), bn]
    held["w"] = values(4, 6, 3, 3)
    halves = {name: array.astype(np.float16) for name, array in held.items()}
    net = model(nodes, {"x": SHAPE}, {"y": [None] * 4}, halves, dtype=TensorProto.FLOAT16)
    change, _, made, one, other = changed(tmp_path, net, "fold", "bn")
    same_outputs(one, other, {"x": values(*SHAPE).astype(np.float16)}, 3e-3)
    error = change.details[0].figures["max_error"]
    assert isinstance(error, float) and 0 < error <= 2**-11
    assert {tensor.constant.encoding.dtype for tensor in made.weights.tensors} == {"float16"}


@pytest.mark.parametrize(
    "name", ["resnet18.ts.op17.notfold", "inception_next_tiny.ts.op17", "levit_128s.ts.op17", "hrnet_w18_small.ts.op17"]
)
def test_networks_of_the_corpus(name: str) -> None:
    corpus = folder()
    path = None if corpus is None else corpus / "models" / f"{name}.onnx"
    if path is None or not path.is_file():
        pytest.skip("no corpus here")
    net = examine(path)
    change, made = whatif.apply(net, whatif.parse("fold", "bn"))
    left = sum(node.op == "BatchNormalization" for node in made.raw.nodes)
    there = sum(node.op == "BatchNormalization" for node in net.raw.nodes)
    assert f"{there - left} of {there}" in change.notes[0] and (left < there or not there)
    assert made.table.total("macs") == net.table.total("macs") and made.table.complete == net.table.complete
    assert not any(value.invalid for value in made.graph.values.values())
    assert made.memory.live_bytes.low <= net.memory.live_bytes.low
