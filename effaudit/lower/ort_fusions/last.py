"""Convolutions on integers over tensors whose channels come last, and what turns tensors into these and back.

`NhwcTransformer` and the transpositions that `TransposeOptimizer` then moves through elementwise operators and pools
(onnxruntime/core/optimizer/nhwc_transformer.cc). As in `blocks`, a tensor with a twin is read from it by whatever can.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from effaudit.dims import Dim
from effaudit.graph import UINT8, Graph, Node
from effaudit.lower.ort_fusions.draft import Draft, without
from effaudit.ops._registry import MICROSOFT, ONNX

_POOLS: Final = frozenset(("QLinearAveragePool", "QLinearGlobalAveragePool"))
_THROUGH: Final = frozenset("QLinearAdd QLinearMul QLinearSigmoid QLinearLeakyRelu QLinearConcat".split())


def channels_last(graph: Graph) -> Graph:
    """The graph with the channels of quantized convolutions last."""
    if not any(node.op == "QLinearConv" for node in graph.nodes):
        return graph
    return _Last(graph).run()


class _Last:
    def __init__(self, graph: Graph) -> None:
        self.draft = Draft(graph)
        self.twins: dict[str, str] = {}
        self.turned: dict[str, str] = {}

    def run(self) -> Graph:
        for i in self.draft.indices():
            node = self.draft.nodes[i]
            if not node.outputs or self.draft.dims(node.outputs[0]) is None:
                continue
            if (node.op, node.domain) in (("QLinearConv", ONNX), ("QLinearConv", MICROSOFT)):
                self._convolution(i, node)
            elif node.op == "MaxPool" and not node.domain:
                self._pool(i, node, "NhwcMaxPool")
            elif node.op in _POOLS and node.domain == MICROSOFT:
                self._pool(i, node, node.op)
            elif node.op in _THROUGH and node.domain == MICROSOFT:
                self._through(i, node)
        for name, twin in self.twins.items():
            if self.draft.edges(name) or name in self.draft.pinned:
                rank = len(self.draft.dims(name) or ())
                self._transpose(f"{name}/first", twin, name, (0, rank - 1, *range(1, rank - 1)))
        return self.draft.graph()

    def _transpose(self, label: str, source: str, out: str, perm: tuple[int, ...]) -> None:
        self.draft.add(Node(label, "", "Transpose", (source,), (out,), {"perm": perm}))

    def _input(self, name: str) -> str:
        if name in self.twins:
            return self.twins[name]
        if name not in self.turned:
            shape = self.draft.ranked(name)
            copy = self.draft.tensor(f"{name}/last", name, _last(shape))
            self._transpose(f"{name}/last", name, copy, (0, *range(2, len(shape)), 1))
            self.turned[name] = copy
        return self.turned[name]

    def _made(self, i: int, node: Node) -> None:
        draft, out = self.draft, node.outputs[0]
        shape = draft.ranked(out)
        twin = draft.tensor(f"{out}/channels_last", out, _last(shape))
        draft.put(i, replace(node, outputs=(twin,)))
        self.twins[out] = twin

    def _ranked(self, node: Node, place: int = 0) -> bool:
        shapes = (self.draft.dims(node.inputs[place]), self.draft.dims(node.outputs[0]))
        return all(shape is not None and len(shape) > 2 for shape in shapes)

    def _convolution(self, i: int, node: Node) -> None:
        draft = self.draft
        if draft.dtype(node.inputs[0]) != UINT8.dtype or not draft.is_constant(node.inputs[3]):
            return
        if self._ranked(node) and not node.attrs.get("channels_last", 0):
            attrs = {**node.attrs, "channels_last": 1}
            inputs = (self._input(node.inputs[0]), *node.inputs[1:])
            self._made(i, replace(node, domain=MICROSOFT, inputs=inputs, attrs=attrs))

    def _pool(self, i: int, node: Node, op: str) -> None:
        twin = self.twins.get(node.inputs[0])
        if twin is None or len(node.outputs) != 1 or not self._ranked(node):
            return
        more = {} if op == "NhwcMaxPool" else {"channels_last": 1}
        attrs = {**without(node, "storage_order"), **more}
        self._made(i, replace(node, domain=MICROSOFT, op=op, inputs=(twin, *node.inputs[1:]), attrs=attrs))

    def _through(self, i: int, node: Node) -> None:
        """An operator on elements, all of whose tensors that vary have twins of one shape."""
        places = _places(node)
        twins = {place: self.twins.get(node.inputs[place]) for place in places}
        if None in twins.values() or not self._ranked(node, places[0]):
            return
        if node.op == "QLinearConcat":
            if node.attrs.get("axis") != 1:
                return
            rank = len(self.draft.dims(node.outputs[0]) or ())
            node = replace(node, attrs={**node.attrs, "axis": rank - 1})
        elif len({self.draft.dims(node.inputs[place]) for place in places}) != 1:
            return
        inputs = tuple(twins.get(place) or name for place, name in enumerate(node.inputs))
        self._made(i, replace(node, inputs=inputs))


def _places(node: Node) -> tuple[int, ...]:
    """The inputs that are tensors, not scales or zero points."""
    if node.op == "QLinearConcat":
        return tuple(range(2, len(node.inputs), 3))
    return (0, 3) if node.op in ("QLinearAdd", "QLinearMul") else (0,)


def _last(shape: tuple[Dim, ...]) -> tuple[Dim, ...]:
    return (shape[0], *shape[2:], shape[1])
