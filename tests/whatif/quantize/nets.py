"""Small networks with weights of every kind, made anew for each test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.whatif.running import model

Array = np.ndarray[Any, Any]
node = helper.make_node


def drawn(*shape: int, seed: int = 0) -> Array:
    return (np.random.default_rng(seed).normal(size=shape) / 3).astype(np.float32)


def convolutions(opset: int = 21) -> onnx.ModelProto:
    """Conv with and without groups, ConvTranspose, and a Gemm with transB behind a pool: x [2, 3, 8, 8] -> y [2, 5]."""
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["a"], "first", pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["b"], "relu"),
        node("Conv", ["b", "w2"], ["c"], "depthwise", group=8),
        node("Conv", ["c", "w3", "b3"], ["d"], "pointwise"),
        node("ConvTranspose", ["d", "w4"], ["e"], "up", strides=[2, 2]),
        node("GlobalAveragePool", ["e"], ["f"], "pool"),
        node("Flatten", ["f"], ["g"], "flat"),
        node("Gemm", ["g", "w5", "b5"], ["y"], "head", transB=1),
    ]
    constants = {
        "w1": drawn(8, 3, 3, 3),
        "b1": drawn(8, seed=1),
        "w2": drawn(8, 1, 3, 3, seed=2),
        "w3": drawn(64, 8, 1, 1, seed=3),
        "b3": drawn(64, seed=4),
        "w4": drawn(64, 6, 2, 2, seed=5),
        "w5": drawn(5, 6, seed=6),
        "b5": drawn(5, seed=7),
    }
    return model(nodes, {"x": [2, 3, 8, 8]}, {"y": [2, 5]}, constants, opset=opset)


def products(opset: int = 21) -> onnx.ModelProto:
    """An embedding, products with and without bias, one whose weight is transposed before, and the table once more as
    the last: ids [2, 5] -> y [2, 5, 50]."""
    nodes = [
        node("Gather", ["table", "ids"], ["a"], "embed"),
        node("MatMul", ["a", "w1"], ["b"], "up"),
        node("Add", ["b", "b1"], ["c"], "bias"),
        node("Tanh", ["c"], ["d"], "tanh"),
        node("Transpose", ["w2"], ["w2t"], "turn", perm=[1, 0]),
        node("MatMul", ["d", "w2t"], ["e"], "down"),
        node("Transpose", ["table"], ["tied"], "turn_table", perm=[1, 0]),
        node("MatMul", ["e", "tied"], ["f"], "logits"),
        node("Reshape", ["f", "flat"], ["g"], "flatten"),
        node("Gemm", ["g", "w3", "b3"], ["h"], "mix"),
        node("Reshape", ["h", "whole"], ["y"], "back"),
    ]
    constants = {
        "table": drawn(50, 40),
        "w1": drawn(40, 96, seed=1),
        "b1": drawn(96, seed=2),
        "w2": drawn(40, 96, seed=3),
        "w3": drawn(50, 50, seed=4),
        "b3": drawn(50, seed=5),
        "flat": np.array([10, 50], np.int64),
        "whole": np.array([2, 5, 50], np.int64),
    }
    return model(nodes, {"ids": [2, 5]}, {"y": [2, 5, 50]}, constants, opset=opset, types={"ids": TensorProto.INT64})


def recurrent(opset: int = 17) -> onnx.ModelProto:
    """An LSTM in both directions and a product: x [4, 2, 6] -> y [4, 2, 2, 3]."""
    nodes = [
        node("LSTM", ["x", "w", "r", "b"], ["a"], "lstm", hidden_size=5, direction="bidirectional"),
        node("MatMul", ["a", "out"], ["y"], "head"),
    ]
    constants = {
        "w": drawn(2, 20, 6),
        "r": drawn(2, 20, 5, seed=1),
        "b": drawn(2, 40, seed=2),
        "out": drawn(5, 3, seed=3),
    }
    return model(nodes, {"x": [4, 2, 6]}, {"y": [4, 2, 2, 3]}, constants, opset=opset)


FEEDS = {
    convolutions: {"x": drawn(2, 3, 8, 8, seed=9) * 3},
    products: {"ids": np.arange(10, dtype=np.int64).reshape(2, 5)},
    recurrent: {"x": drawn(4, 2, 6, seed=9) * 3},
}


def without_weights(made: onnx.ModelProto, folder: Path) -> Path:
    """The model with its weights in a file that is not there."""
    path = folder / "weightless.onnx"
    onnx.save(made, path, save_as_external_data=True, location="gone.bin", size_threshold=100)
    (folder / "gone.bin").unlink()
    return path


def decoder(
    layers: int = 1, width: int = 32, hidden: int = 64, tokens: int = 6, *, gated: bool = False
) -> onnx.ModelProto:
    """Layers of attention (one head) and a feed-forward part, all of them MatMul: x [1, tokens, width] -> y."""
    nodes, constants, last = [], {"root": np.float32(width**-0.5).reshape(())}, "x"
    for i in range(layers):
        shapes = {**dict.fromkeys("qkvo", (width, width)), "up": (width, hidden), "down": (hidden, width)}
        shapes |= {"gate": (width, hidden)} if gated else {}
        constants |= {f"{i}.{name}": drawn(*shape, seed=8 * i + j) for j, (name, shape) in enumerate(shapes.items())}
        nodes += [node("MatMul", [last, f"{i}.{name}"], [f"{i}.{name}.y"], f"{i}.{name}") for name in "qkv"]
        nodes += [
            node("Transpose", [f"{i}.k.y"], [f"{i}.kt"], f"{i}.turn", perm=[0, 2, 1]),
            node("MatMul", [f"{i}.q.y", f"{i}.kt"], [f"{i}.scores"], f"{i}.scores"),
            node("Mul", [f"{i}.scores", "root"], [f"{i}.scaled"], f"{i}.scale"),
            node("Softmax", [f"{i}.scaled"], [f"{i}.weights"], f"{i}.softmax", axis=-1),
            node("MatMul", [f"{i}.weights", f"{i}.v.y"], [f"{i}.mixed"], f"{i}.mix"),
            node("MatMul", [f"{i}.mixed", f"{i}.o"], [f"{i}.o.y"], f"{i}.o"),
            node("Add", [f"{i}.o.y", last], [f"{i}.r"], f"{i}.add"),
            node("MatMul", [f"{i}.r", f"{i}.up"], [f"{i}.up.y"], f"{i}.up"),
            node("Relu", [f"{i}.up.y"], [f"{i}.act"], f"{i}.relu"),
        ]
        if gated:
            nodes += [
                node("MatMul", [f"{i}.r", f"{i}.gate"], [f"{i}.gate.y"], f"{i}.gate"),
                node("Mul", [f"{i}.act", f"{i}.gate.y"], [f"{i}.gated"], f"{i}.times"),
            ]
        nodes.append(node("MatMul", [f"{i}.gated" if gated else f"{i}.act", f"{i}.down"], [f"{i}.down.y"], f"{i}.down"))
        nodes.append(node("Add", [f"{i}.down.y", f"{i}.r"], [f"{i}.y"], f"{i}.out"))
        last = f"{i}.y"
    return model(nodes, {"x": [1, tokens, width]}, {last: [1, tokens, width]}, constants)
