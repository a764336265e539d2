"""Graphs whose needs are known to the byte."""

from __future__ import annotations

from pathlib import Path

from onnx import ModelProto, helper

from tests.examples.graphs import FLOAT, INT8, Net

KIB, MIB = 1024, 1024**2


def saved(folder: Path, graph: ModelProto, name: str = "model.onnx") -> str:
    path = folder / name
    path.write_bytes(graph.SerializeToString())
    return str(path)


def million(activations: int) -> ModelProto:
    """Exactly 1,000,000 8-bit weights; `activations` bytes alive at once, and not one more."""
    net = Net(INT8)
    x = net.input(1, activations // 2)
    y = net.node("Relu", [x], (1, activations // 2))
    small = net.node("Slice", [y, *(net.constant([n]) for n in (0, 1000, 1))], (1, 1000))
    return net.model(net.node("MatMul", [small, net.weight(1000, 1000)], (1, 1000)))


def open_batch(rows: str = "batch", features: int = 1000, dtype: int = INT8) -> ModelProto:
    """A product whose first dim nobody gave."""
    net = Net(dtype)
    graph = net.model(net.node("MatMul", [net.input(1, features), net.weight(features, features)], (1, features)))
    graph.graph.input[0].type.tensor_type.shape.dim[0].dim_param = rows
    return graph


def unknown_operator(features: int = 64) -> ModelProto:
    """An operator that nothing is known of makes the tensor that the rest works on."""
    net = Net(FLOAT)
    x = net.input(1, features)
    graph = net.model(net.node("Relu", [net.node("Mystery", [x], (1, features))], (1, features)))
    graph.graph.node[0].domain = "com.example"
    graph.opset_import.append(helper.make_opsetid("com.example", 1))
    del graph.graph.output[0].type.tensor_type.shape.dim[:]
    graph.graph.output[0].type.tensor_type.ClearField("shape")
    return graph


def diamond(side: int = 64, branches: int = 6) -> ModelProto:
    """Branches that are wide and then narrow, written widest first one beside the other: their order decides."""
    net = Net(INT8)
    x = net.input(1, side)
    wide = [net.node("Expand", [x, net.constant([8, side])], (8, side)) for _ in range(branches)]
    narrow = [net.node("ReduceMax", [w], (1, side), keepdims=1, axes=[0]) for w in wide]
    total = narrow[0]
    for one in narrow[1:]:
        total = net.node("Max", [total, one], (1, side))
    return net.model(total)
