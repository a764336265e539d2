"""MobileNetV2 with every group of channels halved exactly, built here from its paper's table: nothing is rounded to 8,
and the 1000 classes stay. Sandler et al., https://arxiv.org/abs/1801.04381, table 2."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

# expansion, channels, repeats, stride of the first: table 2, channels halved
TABLE = [(1, 8, 1, 1), (6, 12, 2, 2), (6, 16, 3, 2), (6, 32, 4, 2), (6, 48, 3, 1), (6, 80, 3, 2), (6, 160, 1, 1)]
STEM, HEAD, CLASSES = 16, 640, 1000


class _Net:
    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = [self._held("low", np.float32(0)), self._held("high", np.float32(6))]

    def _held(self, name: str, array: np.ndarray) -> TensorProto:
        return numpy_helper.from_array(np.asarray(array), name)

    def node(self, op: str, *inputs: str, **attrs: object) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], **attrs))
        return name

    def weight(self, *shape: int) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(self._held(name, np.full(shape, 0.5, np.float32)))
        return name

    def conv(self, x: str, cin: int, cout: int, k: int, stride: int, group: int = 1, *, clip: bool = True) -> str:
        sizes = {"kernel_shape": [k, k], "pads": [k // 2] * 4, "strides": [stride] * 2, "group": group}
        x = self.node("Conv", x, self.weight(cout, cin // group, k, k), **sizes)
        x = self.node("BatchNormalization", x, *(self.weight(cout) for _ in range(4)))
        return self.node("Clip", x, "low", "high") if clip else x


def half_mobilenet() -> ModelProto:
    net = _Net()
    x, cin = net.conv("input", 3, STEM, 3, 2), STEM
    for expand, cout, repeats, first in TABLE:
        for i in range(repeats):
            stride, hidden, y = first if i == 0 else 1, cin * expand, x
            if expand != 1:
                y = net.conv(y, cin, hidden, 1, 1)
            y = net.conv(y, hidden, hidden, 3, stride, hidden)
            y = net.conv(y, hidden, cout, 1, 1, clip=False)
            x = net.node("Add", x, y) if stride == 1 and cin == cout else y
            cin = cout
    x = net.node("Flatten", net.node("GlobalAveragePool", net.conv(x, cin, HEAD, 1, 1)))
    last = net.node("Gemm", x, net.weight(CLASSES, HEAD), net.weight(CLASSES), transB=1)
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 224, 224])]
    outputs = [helper.make_tensor_value_info(last, TensorProto.FLOAT, [1, CLASSES])]
    graph = helper.make_graph(net.nodes, "half", inputs, outputs, net.weights)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
