"""Small networks of the kinds that are quantized before they run, each with every operator of its family."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.whatif.quantize.nets import drawn
from tests.whatif.running import model

Array = np.ndarray[Any, Any]
node = helper.make_node


def _filled(*shape: int, of: float) -> Array:
    return np.full(shape, of, np.float32)


def mobilenet() -> onnx.ModelProto:
    """Inverted residuals with ReLU6: x [1, 3, 16, 16] -> y [1, 10]."""
    nodes = [
        node("Conv", ["x", "stem", "b0"], ["s"], "stem", pads=[1, 1, 1, 1], strides=[2, 2]),
        node("Clip", ["s", "zero", "six"], ["s6"], "stem6"),
    ]
    constants = {"stem": drawn(8, 3, 3, 3), "b0": drawn(8, seed=1), "zero": _filled(of=0.0), "six": _filled(of=6.0)}
    last = "s6"
    for i in range(2):
        p = f"block{i}"
        nodes += [
            node("Conv", [last, f"{p}.w1", f"{p}.b1"], [f"{p}.1"], f"{p}.expand"),
            node("Clip", [f"{p}.1", "zero", "six"], [f"{p}.1c"], f"{p}.expand6"),
            node("Conv", [f"{p}.1c", f"{p}.w2", f"{p}.b2"], [f"{p}.2"], f"{p}.depthwise", group=24, pads=[1, 1, 1, 1]),
            node("Clip", [f"{p}.2", "zero", "six"], [f"{p}.2c"], f"{p}.depthwise6"),
            node("Conv", [f"{p}.2c", f"{p}.w3", f"{p}.b3"], [f"{p}.3"], f"{p}.project"),
            node("Add", [f"{p}.3", last], [f"{p}.y"], f"{p}.residual"),
        ]
        shapes = {"w1": (24, 8, 1, 1), "b1": (24,), "w2": (24, 1, 3, 3), "b2": (24,), "w3": (8, 24, 1, 1), "b3": (8,)}
        constants |= {f"{p}.{name}": drawn(*shape, seed=10 * i + j) for j, (name, shape) in enumerate(shapes.items())}
        last = f"{p}.y"
    nodes += [
        node("GlobalAveragePool", [last], ["pool"], "pool"),
        node("Flatten", ["pool"], ["flat"], "flat"),
        node("Gemm", ["flat", "head", "bh"], ["y"], "head", transB=1),
    ]
    constants |= {"head": drawn(10, 8, seed=40), "bh": drawn(10, seed=41)}
    return model(nodes, {"x": [1, 3, 16, 16]}, {"y": [1, 10]}, constants)


def resnet() -> onnx.ModelProto:
    """A residual block with a convolution beside it, written after the longer branch: x [1, 4, 12, 12] -> y [1, 6]."""
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["a"], "conv1", pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["ar"], "relu1"),
        node("Conv", ["ar", "w2", "b2"], ["c"], "conv2", pads=[1, 1, 1, 1], strides=[2, 2]),
        node("Relu", ["c"], ["cr"], "relu2"),
        node("Conv", ["cr", "w3", "b3"], ["d"], "conv3", pads=[1, 1, 1, 1]),
        node("Conv", ["ar", "ws", "bs"], ["s"], "shortcut", strides=[2, 2]),
        node("Add", ["d", "s"], ["e"], "add"),
        node("Relu", ["e"], ["er"], "relu3"),
        node("MaxPool", ["er"], ["m"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["m", "w4"], ["f"], "conv4"),
        node("Relu", ["f"], ["fr"], "relu4"),
        node("GlobalAveragePool", ["fr"], ["g"], "gap"),
        node("Reshape", ["g", "flat"], ["h"], "reshape"),
        node("Gemm", ["h", "head", "bh"], ["i"], "head"),
        node("Softmax", ["i"], ["y"], "softmax"),
    ]
    shapes = {
        "w1": (8, 4, 3, 3),
        "b1": (8,),
        "w2": (16, 8, 3, 3),
        "b2": (16,),
        "w3": (16, 16, 3, 3),
        "b3": (16,),
        "ws": (16, 8, 1, 1),
        "bs": (16,),
        "w4": (16, 16, 1, 1),
        "head": (16, 6),
        "bh": (6,),
    }
    constants = {name: drawn(*shape, seed=i) for i, (name, shape) in enumerate(shapes.items())}
    return model(nodes, {"x": [1, 4, 12, 12]}, {"y": [1, 6]}, {**constants, "flat": np.array([1, 16])})


def encoder() -> onnx.ModelProto:
    """A layer of a transformer behind an embedding, two heads of 8: ids [1, 6] -> y [1, 6, 16]."""
    nodes = [node("Gather", ["table", "ids"], ["x"], "embed")]
    for name in "qkv":
        perm = [0, 2, 3, 1] if name == "k" else [0, 2, 1, 3]
        nodes += [
            node("MatMul", ["x", f"w{name}"], [f"{name}0"], f"{name}.proj"),
            node("Add", [f"{name}0", f"b{name}"], [f"{name}1"], f"{name}.bias"),
            node("Reshape", [f"{name}1", "split"], [f"{name}2"], f"{name}.split"),
            node("Transpose", [f"{name}2"], [f"{name}3"], f"{name}.turn", perm=perm),
        ]
    nodes += [
        node("MatMul", ["q3", "k3"], ["s0"], "scores"),
        node("Mul", ["s0", "scale"], ["s1"], "scaled"),
        node("Softmax", ["s1"], ["p"], "softmax", axis=-1),
        node("MatMul", ["p", "v3"], ["o0"], "mixed"),
        node("Transpose", ["o0"], ["o1"], "turned", perm=[0, 2, 1, 3]),
        node("Reshape", ["o1", "join"], ["o2"], "joined"),
        node("MatMul", ["o2", "wo"], ["o3"], "out"),
        node("Add", ["o3", "x"], ["r"], "residual"),
        node("LayerNormalization", ["r", "g", "b"], ["n"], "norm", axis=-1),
        node("MatMul", ["n", "w1"], ["h0"], "up"),
        node("Add", ["h0", "b1"], ["h1"], "up.bias"),
        node("Tanh", ["h1"], ["h2"], "tanh"),
        node("MatMul", ["h2", "w2"], ["h3"], "down"),
        node("Add", ["h3", "n"], ["y"], "residual2"),
    ]
    shapes = {
        "table": (20, 16),
        **{f"w{name}": (16, 16) for name in "qkvo"},
        **{f"b{name}": (16,) for name in "qkv"},
        "w1": (16, 32),
        "b1": (32,),
        "w2": (32, 16),
        "g": (16,),
        "b": (16,),
    }
    constants: dict[str, Array] = {name: drawn(*shape, seed=i) for i, (name, shape) in enumerate(shapes.items())}
    constants |= {"scale": _filled(of=0.35), "split": np.array([1, 6, 2, 8]), "join": np.array([1, 6, 16])}
    return model(nodes, {"ids": [1, 6]}, {"y": [1, 6, 16]}, constants, types={"ids": TensorProto.INT64})


def perceptron() -> onnx.ModelProto:
    """Gemm with and without bias, transposed or not, LeakyRelu and Sigmoid between: x [3, 20] -> y [3, 4]."""
    nodes = [
        node("Gemm", ["x", "w1", "b1"], ["a"], "one"),
        node("LeakyRelu", ["a"], ["ar"], "leaky", alpha=0.1),
        node("Gemm", ["ar", "w2", "b2"], ["b"], "two", transB=1),
        node("Sigmoid", ["b"], ["bs"], "sigmoid"),
        node("Mul", ["b", "bs"], ["c"], "swish"),
        node("MatMul", ["c", "w3"], ["d"], "three"),
        node("Relu", ["d"], ["y"], "relu"),
    ]
    constants = {
        "w1": drawn(20, 30),
        "b1": drawn(30, seed=1),
        "w2": drawn(24, 30, seed=2),
        "b2": drawn(24, seed=3),
        "w3": drawn(24, 4, seed=4),
    }
    return model(nodes, {"x": [3, 20]}, {"y": [3, 4]}, constants)


def pyramid() -> onnx.ModelProto:
    """Branches that are split, padded, resized, pooled and joined, and two outputs: x [1, 6, 8, 8] -> y, z."""
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["a"], "conv1", pads=[1, 1, 1, 1]),
        node("Split", ["a", "halves"], ["a1", "a2"], "split", axis=1),
        node("AveragePool", ["a1"], ["b"], "average", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["b", "w2", "b2"], ["c"], "conv2"),
        node("Resize", ["c", "", "twice"], ["d"], "resize", mode="nearest"),
        node("Pad", ["a2", "pads"], ["e"], "pad"),
        node("MaxPool", ["e"], ["f"], "max", kernel_shape=[3, 3]),
        node("Concat", ["d", "f"], ["g"], "concat", axis=1),
        node("Conv", ["g", "w3"], ["h"], "conv3"),
        node("Relu", ["h"], ["y"], "relu"),
        node("Slice", ["y", "from", "to"], ["i"], "slice"),
        node("ConvTranspose", ["i", "w4", "b4"], ["z"], "up", strides=[2, 2]),
    ]
    constants = {
        "w1": drawn(8, 6, 3, 3),
        "b1": drawn(8, seed=1),
        "halves": np.array([4, 4]),
        "w2": drawn(4, 4, 1, 1, seed=2),
        "b2": drawn(4, seed=3),
        "twice": np.array([1, 1, 2, 2], np.float32),
        "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
        "w3": drawn(6, 8, 1, 1, seed=4),
        "from": np.array([0, 0, 0, 0]),
        "to": np.array([1, 6, 4, 4]),
        "w4": drawn(6, 5, 2, 2, seed=5),
        "b4": drawn(5, seed=6),
    }
    return model(nodes, {"x": [1, 6, 8, 8]}, {"y": [1, 6, 8, 8], "z": [1, 5, 8, 8]}, constants)


BUILT = {made.__name__: made for made in (mobilenet, resnet, encoder, perceptron, pyramid)}
