"""Small networks, each with a trait that optimizers take hold of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


class Net:
    """A model as it is built: nodes with names, or without where `named` is False."""

    def __init__(self, *, named: bool = True) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.named = named
        self.draw = np.random.default_rng(7)

    def constant(self, value: Any, dtype: str = "float32") -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def weight(self, *shape: int) -> str:
        return self.constant(self.draw.standard_normal(shape) / max(1, int(np.prod(shape[1:]))) ** 0.5)

    def add(self, op: str, *inputs: str, out: str = "", name: str = "", **attrs: Any) -> str:
        out = out or f"t{len(self.nodes)}"
        name = name or (f"n_{out}" if self.named else "")
        self.nodes.append(helper.make_node(op, inputs, [out], name=name, **attrs))
        return out

    def conv(self, x: str, channels: tuple[int, int], size: int = 3, **attrs: Any) -> str:
        w = self.weight(channels[1], channels[0] // attrs.get("group", 1), size, size)
        return self.add("Conv", x, w, self.weight(channels[1]), pads=[size // 2] * 4, kernel_shape=[size] * 2, **attrs)

    def norm(self, x: str, channels: int) -> str:
        variance = self.constant(self.draw.uniform(0.5, 2.0, channels))
        scales = [self.weight(channels) for _ in range(3)]
        return self.add("BatchNormalization", x, *scales, variance)

    def model(self, inputs: dict[str, tuple[int, list[int]]], *outputs: str, opset: int = 17) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
            [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
            self.constants,
        )
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid("local", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)


IMAGE = {"x": (FLOAT, [1, 3, 12, 12])}
TOKENS = {"x": (FLOAT, [1, 6, 16])}


def residual(*, named: bool = True) -> onnx.ModelProto:
    """Conv, BatchNormalization, Relu, Add: fused, and in blocks of channels where the machine has them. 24 channels
    are whole blocks of 8, not of 16."""
    net = Net(named=named)
    x = net.add("Relu", net.norm(net.conv("x", (3, 24)), 24))
    y = net.add("Relu", net.norm(net.conv(x, (24, 24)), 24))
    y = net.norm(net.conv(y, (24, 24)), 24)
    x = net.add("Relu", net.add("Add", y, x, out="sum"), out="joined")
    y = net.add("Add", net.conv(x, (24, 24), group=24), x, out="plain_sum")
    y = net.add("Concat", y, net.add("MaxPool", x, kernel_shape=[3, 3], pads=[1] * 4), axis=1)
    y = net.add("GlobalAveragePool", net.add("Clip", y, net.constant(0.0), net.constant(6.0)))
    net.add("Gemm", net.add("Flatten", y), net.weight(48, 5), out="y")
    return net.model(IMAGE, "y")


def attention() -> onnx.ModelProto:
    """A block of a transformer, spelled out: projections, scaled scores, softmax, LayerNormalization, GELU with erf."""
    net = Net()

    def linear(x: str, a: int, b: int) -> str:
        return net.add("Add", net.add("MatMul", x, net.weight(a, b)), net.weight(b))

    def heads(x: str, perm: list[int]) -> str:
        return net.add("Transpose", net.add("Reshape", x, net.constant([0, 6, 2, 8], "int64")), perm=perm)

    q, v = (heads(linear("x", 16, 16), [0, 2, 1, 3]) for _ in range(2))
    k = heads(linear("x", 16, 16), [0, 2, 3, 1])
    scores = net.add("Div", net.add("MatMul", q, k, out="scores"), net.constant(8**0.5))
    mixed = net.add("MatMul", net.add("Softmax", scores, axis=-1), v)
    joined = net.add("Reshape", net.add("Transpose", mixed, perm=[0, 2, 1, 3]), net.constant([0, 6, 16], "int64"))
    x = net.add("Add", linear(joined, 16, 16), "x")
    x = net.add("LayerNormalization", x, net.weight(16), net.weight(16), axis=-1, out="normed")
    up = linear(x, 16, 32)
    erf = net.add("Add", net.add("Erf", net.add("Div", up, net.constant(2**0.5))), net.constant(1.0))
    gelu = net.add("Mul", net.add("Mul", up, erf), net.constant(0.5), out="gelu")
    x = net.add("Add", linear(gelu, 32, 16), x)
    net.add("LayerNormalization", x, net.weight(16), net.weight(16), axis=-1, out="y")
    return net.model(TOKENS, "y")


def duplicates() -> onnx.ModelProto:
    """Equal nodes with equal inputs, copies, shapes that are constants, and a node that nothing needs."""
    net = Net()
    w = net.weight(16, 16)
    one = net.add("Relu", net.add("MatMul", "x", w, out="first"))
    two = net.add("Tanh", net.add("Identity", net.add("MatMul", "x", w, out="twin"), out="copy"))
    net.add("Exp", "x", out="unused")
    shape = net.add("Shape", "x", out="shape")
    y = net.add("Add", net.add("Reshape", one, shape, out="reshaped"), two)
    net.add("Neg", y, out="y")
    return net.model(TOKENS, "y")


def transposed() -> onnx.ModelProto:
    """Transpositions that an optimizer moves past what lies between them."""
    net = Net()
    x = net.add("Transpose", "x", perm=[0, 2, 3, 1])
    x = net.add("Relu", net.add("Add", net.add("Abs", x), net.weight(3)))
    x = net.add("Transpose", net.add("Mul", x, net.weight(12, 12, 3)), perm=[0, 3, 1, 2])
    net.add("Relu", net.conv(x, (3, 8)), out="y")
    return net.model(IMAGE, "y")


def recurrent() -> onnx.ModelProto:
    net = Net()
    x = net.add("Transpose", "x", perm=[1, 0, 2])
    net.nodes.append(
        helper.make_node(
            "LSTM", [x, net.weight(1, 32, 16), net.weight(1, 32, 8)], ["all", "last"], name="lstm", hidden_size=8
        )
    )
    net.add("Gemm", net.add("Squeeze", "last", net.constant([0], "int64")), net.weight(8, 3), out="y")
    return net.model(TOKENS, "y")


def loop() -> onnx.ModelProto:
    """A body whose MatMul and Add are fused, run three times."""
    net = Net()
    w, b = net.weight(16, 16), net.weight(16)
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["state", w], ["product"], name="b_matmul"),
            helper.make_node("Add", ["product", b], ["biased"], name="b_add"),
            helper.make_node("Relu", ["biased"], ["next"], name="b_relu"),
            helper.make_node("Identity", ["go"], ["on"], name="b_on"),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", FLOAT, [6, 16]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", FLOAT, [6, 16]),
        ],
    )
    x = net.add("Reshape", "x", net.constant([6, 16], "int64"))
    net.add("Loop", net.constant(3, "int64"), "", x, out="looped", body=body)
    net.add("Neg", "looped", out="y")
    return net.model(TOKENS, "y")


def function() -> onnx.ModelProto:
    """A model-local function, called twice, and an operator that ONNX Runtime expands to others."""
    net = Net()
    x = net.add("Gemm", net.add("Flatten", "x"), net.weight(96, 4))
    for _ in range(2):
        out = f"f{len(net.nodes)}"
        net.nodes.append(helper.make_node("Half", [x], [out], name=f"n_{out}", domain="local"))
        x = out
    net.add("HardSwish", x, out="y")
    model = net.model(TOKENS, "y")
    half = [
        helper.make_node("Constant", [], ["two"], value_float=2.0),
        helper.make_node("Tanh", ["a"], ["e"]),
        helper.make_node("Div", ["e", "two"], ["b"]),
    ]
    model.functions.append(helper.make_function("local", "Half", ["a"], ["b"], half, [helper.make_opsetid("", 17)]))
    return model


BUILT: dict[str, Callable[[], onnx.ModelProto]] = {
    "residual": residual,
    "unnamed": lambda: residual(named=False),
    "attention": attention,
    "duplicates": duplicates,
    "transposed": transposed,
    "recurrent": recurrent,
    "loop": loop,
    "function": function,
}
