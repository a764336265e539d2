"""What ONNX Runtime knows of shapes when it plans memory: it reuses a buffer only where two shapes are surely equal.

A dim is a number, the name of a dim, or not known. The rules are those of ONNX's shape inference (onnx/defs, 1.23) as
ONNX Runtime calls it (core/graph/graph.cc, 1.27): it sees the elements of constants, and those it follows itself from
Shape through Gather of one element, Squeeze, Unsqueeze, Cast, Concat and arithmetic on scalars
(core/graph/data_propagation/; a Concat with a constant piece is not followed). The shapes the file states are merged
in. The numbers themselves come from the graph; here it is only decided which of them ONNX Runtime has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from effaudit.dims import Dim
from effaudit.graph import Graph, Node, Value
from effaudit.runtimes._ort_inference import EVERY, Inputs, Known, Shape, infer

_FOLLOWED: Final = frozenset("Add Sub Mul Div".split())


def known_shapes(graph: Graph) -> Mapping[str, Shape]:
    """The shape of every tensor of a sorted graph whose rank ONNX Runtime knows."""
    return _Inference(graph).shapes


class _Inference:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.shapes: dict[str, Shape] = {}
        self.constant: set[str] = set(graph.constants)
        self.followed: set[str] = set()
        self.stated: Mapping[str, Value] | None = None
        for name in graph.inputs:
            self._state(name, graph.declared.get(name, graph.values.get(name)))
        for node in graph.nodes:
            if node.op == "Constant":
                self.constant.update(node.outputs)
        for name in self.constant:
            self._state(name, graph.values.get(name) or _of_constant(graph, name))
        for node in graph.nodes:
            if not self.constant.issuperset(filter(None, node.outputs)):
                self._visit(node)

    def _state(self, name: str, value: Value | None) -> None:
        if value is not None and value.shape is not None:
            self.shapes[name] = tuple(map(_named, value.shape))

    def _visit(self, node: Node) -> None:
        self._follow(node)
        given = Inputs(
            node=node,
            opset=self.graph.opsets.get(node.domain, 1),
            shapes=tuple(self.shapes.get(name) if name else None for name in node.inputs),
            elements=tuple(map(self._elements, node.inputs)),
        )
        for name, found in zip(node.outputs, infer(given), strict=False):
            if name:
                self._record(name, found)

    def _record(self, name: str, found: Shape | None) -> None:
        """Numbers that the graph has, for the dims that are known."""
        value = self.graph.values.get(name)
        real = None if value is None else value.shape
        if found == EVERY:
            found = None if real is None else tuple(dim if type(dim) is int else None for dim in real)
        elif found is not None and real is not None and len(real) == len(found):
            found = tuple(_settled(dim, size) for dim, size in zip(found, real, strict=True))
        if found is None or None in found:
            found = self._merged(name, found, real)
        if found is not None:
            self.shapes[name] = found

    def _merged(self, name: str, found: Shape | None, real: tuple[Dim, ...] | None) -> Shape | None:
        """With what the file states."""
        if self.stated is None:
            self.stated = {**self.graph.stated(), **self.graph.declared}
        value = self.stated.get(name)
        if value is None or value.shape is None:
            return found
        said = tuple(map(_named, value.shape))
        if found is None:
            return said
        if len(said) != len(found):
            return found
        return tuple(a if type(a) is int or b is None else b for a, b in zip(found, said, strict=True))

    def _elements(self, name: str) -> tuple[Dim, ...] | None:
        """The elements of an input, where ONNX Runtime has them."""
        if name not in self.constant and name not in self.followed:
            return None
        value = self.graph.values.get(name)
        data = None if value is None else value.data
        return data if data is not None and all(type(one) in (int, float) for one in data) else None

    def _follow(self, node: Node) -> None:
        """Notes the output whose elements ONNX Runtime follows."""
        if node.domain or not node.outputs or not node.inputs:
            return
        source = node.inputs[0]
        if node.op in ("Shape", "Size"):
            shape = self.shapes.get(source)
            followed = shape is not None and all(type(dim) is int for dim in shape)
        elif node.op == "Gather":
            indices = self._elements(node.inputs[1]) if len(node.inputs) > 1 else None
            followed = source in self.followed and indices is not None and len(indices) == 1
        elif node.op in ("Squeeze", "Unsqueeze", "Cast"):
            followed = source in self.followed
        elif node.op in _FOLLOWED or node.op == "Concat":
            followed = self.followed.issuperset(node.inputs)
        else:
            return
        if followed:
            self.followed.add(node.outputs[0])


def _named(dim: Dim) -> Known:
    if type(dim) is int:
        return dim
    text = str(dim)
    return None if text.endswith("]") else text  # x[2]: a dim without a name


def _settled(dim: Known, size: Dim) -> Known:
    """A known dim as the graph has it: -1 stands for a number that only the graph knows."""
    return size if dim == -1 and type(size) is int else None if dim == -1 else dim


def _of_constant(graph: Graph, name: str) -> Value | None:
    constant = graph.constants.get(name)
    return None if constant is None else Value(constant.encoding, constant.shape)
