"""Random graphs: several inputs and outputs, fan-out, dead branches, branches that no input feeds."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from onnx import ModelProto, NodeProto, helper, numpy_helper

SIDE = 4
UNARY = ("Relu", "Sigmoid", "Identity", "Dropout")


@st.composite
def dags(draw: st.DrawFn, most: int = 14) -> ModelProto:
    """A graph of up to `most` nodes over tensors of 1 x C x 4 x 4."""
    return _Dag(draw).model(draw(st.integers(1, most)))


class _Dag:
    """Draws nodes; `channels` holds what exists so far."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.channels: dict[str, int] = {}
        self.nodes: list[NodeProto] = []
        self.weights: list[Any] = []
        self.inputs = [f"in{i}" for i in range(draw(st.integers(1, 3)))]
        for name in self.inputs:
            self.channels[name] = draw(st.integers(1, 4))

    def model(self, count: int) -> ModelProto:
        if self.draw(st.booleans()):
            self.channels[self._weight(2, SIDE, SIDE)] = 2
        declared = [self._typed(name) for name in self.inputs]
        for _ in range(count):
            getattr(self, self.draw(st.sampled_from(("unary", "unary", "add", "add", "concat", "split", "conv"))))()
        made = [name for name in self.channels if name not in self.inputs and not name.startswith("w")]
        few = min(3, len(made))
        outputs = self.draw(st.lists(st.sampled_from(made), min_size=1, max_size=few, unique=True))
        graph = helper.make_graph(self.nodes, "dag", declared, [self._typed(n) for n in outputs], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    def _typed(self, name: str) -> Any:
        return helper.make_tensor_value_info(name, 1, [1, self.channels[name], SIDE, SIDE])

    def _any(self) -> str:
        return self.draw(st.sampled_from(sorted(self.channels)))

    def _weight(self, *tail: int) -> str:
        name = f"w{len(self.weights)}"
        shape = tail if len(tail) == 4 else (1, *tail)
        self.weights.append(numpy_helper.from_array(np.ones(shape, np.float32), name))
        return name

    def _node(self, op: str, inputs: list[str], channels: list[int], **attrs: Any) -> None:
        names = [f"t{len(self.nodes)}_{i}" for i in range(len(channels))]
        self.nodes.append(helper.make_node(op, inputs, names, name=f"n{len(self.nodes)}", **attrs))
        self.channels.update(zip(names, channels, strict=True))

    def unary(self) -> None:
        source = self._any()
        self._node(self.draw(st.sampled_from(UNARY)), [source], [self.channels[source]])

    def add(self) -> None:
        """Of two tensors of as many channels, or of one channel that broadcasts."""
        left = self._any()
        fits = [n for n, c in self.channels.items() if c in (1, self.channels[left])]
        right = self.draw(st.sampled_from(sorted({*fits, left})))
        self._node("Add", self.draw(st.permutations([left, right])), [self.channels[left]])

    def concat(self) -> None:
        parts = [self._any() for _ in range(self.draw(st.integers(1, 3)))]
        self._node("Concat", parts, [sum(self.channels[p] for p in parts)], axis=1)

    def split(self) -> None:
        fits = sorted(n for n, c in self.channels.items() if c % 2 == 0)
        if not fits:
            return self.unary()
        source = self.draw(st.sampled_from(fits))
        self._node("Split", [source], [self.channels[source] // 2] * 2, axis=1)
        return None

    def conv(self) -> None:
        source, cout = self._any(), self.draw(st.integers(1, 4))
        weight = self._weight(cout, self.channels[source], 3, 3)
        self._node("Conv", [source, weight], [cout], pads=[1, 1, 1, 1])
