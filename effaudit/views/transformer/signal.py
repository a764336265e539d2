"""The data flow of activations: which node hands its elements to which, and which nodes multiply by weights.

Not every edge of a graph carries the signal: shapes, indices, conditions and the scalars of dynamic quantization do
not. Everything here is linear in the nodes.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Final

import msgspec

from effaudit.dataflow import Flow
from effaudit.graph import Graph, Node, Value
from effaudit.table import CostTable
from effaudit.views.attends import is_product

# Only their first input's elements are passed on; the others are shapes, indices, limits, scales.
_FIRST: Final = frozenset(
    """Reshape Expand Tile Slice Unsqueeze Squeeze Pad Resize Split SplitToSequence Clip Dropout QuantizeLinear
    DequantizeLinear Trilu CumSum GatherElements GatherND RotaryEmbedding TopK ReduceMean ReduceSum ReduceMax ReduceMin
    ReduceL2 ReduceProd ReduceSumSquare Transpose Cast Identity ScatterND ScatterElements""".split()
)
_NONE: Final = frozenset("Shape Size ConstantOfShape Range NonZero EyeLike Constant".split())
# Nodes behind which a tensor is still the same elements, in another place or format.
TRANSPARENT: Final = frozenset(
    """Identity Cast Reshape Transpose Squeeze Unsqueeze Flatten Dropout QuantizeLinear DequantizeLinear
    DynamicQuantizeLinear""".split()
)
CONVS: Final = frozenset(
    "Conv ConvInteger QLinearConv FusedConv NhwcFusedConv NhwcConv DynamicQuantizeConv ConvIntegerToFloat".split()
)


class Signal(msgspec.Struct, frozen=True):
    """By node index: `sources` hand it their elements, `readers` take its own; `root` is the node whose elements its
    output still holds. `weighted`: it multiplies by weights (or holds a body that multiplies)."""

    graph: Graph
    table: CostTable
    varying: frozenset[str]
    maker: Mapping[str, int]
    sources: tuple[tuple[int, ...], ...]
    readers: tuple[tuple[int, ...], ...]
    root: tuple[int, ...]
    weighted: tuple[bool, ...]

    @property
    def nodes(self) -> tuple[Node, ...]:
        return self.graph.nodes

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of a tensor where it is all numbers."""
        return _numbers(self.graph.values.get(name))

    def size(self, name: str) -> int | None:
        """The number of elements of a tensor where it is a number."""
        return _numel(self.graph.values.get(name))

    def output(self, i: int) -> str:
        return next((name for name in self.nodes[i].outputs if name), "")

    def input(self, i: int, place: int = 0) -> str:
        """The name of an input, "" where it is left out."""
        names = self.nodes[i].inputs
        return names[place] if place < len(names) else ""

    def kernel(self, i: int) -> tuple[int, ...] | None:
        """The shape of a convolution's weights."""
        return self.shape(self.input(i, 3 if self.nodes[i].op == "QLinearConv" else 1))

    def text(self, i: int) -> str:
        """The equation of an einsum, without spaces."""
        equation = self.nodes[i].attrs.get("equation")
        return equation.replace(" ", "") if isinstance(equation, str) else ""

    def out_size(self, i: int) -> int | None:
        return self.size(self.output(i))

    def macs(self, i: int) -> int | None:
        """The MACs of a node where they are a number."""
        row = self.table.rows[i]
        return row.low.macs if isinstance(row.low.macs, int) and row.low.macs == row.high.macs else None

    def contracted(self, i: int) -> int | None:
        """The length a product sums over: MACs per output element."""
        macs, size = self.macs(i), self.out_size(i)
        return macs // size if macs is not None and size and not macs % size else None


def signal(graph: Graph, known: Flow, table: CostTable) -> Signal:
    """The signal of a graph."""
    varying, values, nodes = known.varying, graph.values, graph.nodes
    maker = {name: i for i, node in enumerate(nodes) for name in node.outputs if name}
    sources: list[tuple[int, ...]] = []
    readers: list[list[int]] = [[] for _ in nodes]
    root: list[int] = []
    weighted: list[bool] = []
    for i, node in enumerate(nodes):
        found = dict.fromkeys(maker[name] for name in carried(node, varying, values) if name in maker)
        found.pop(i, None)
        sources.append(tuple(found))
        for j in found:
            readers[j].append(i)
        root.append(root[sources[i][0]] if node.op in TRANSPARENT and len(sources[i]) == 1 else i)
        weighted.append(table.rows[i].high.macs != 0 and known.live[i] and not is_product(node, varying))
    return Signal(
        graph, table, varying, maker, tuple(sources), tuple(map(tuple, readers)), tuple(root), tuple(weighted)
    )


def carried(node: Node, varying: frozenset[str], values: Mapping[str, Value]) -> list[str]:
    """The inputs whose elements a node passes on or computes with; a tensor of one element is no signal."""
    if node.op in _NONE:
        return []
    names: tuple[str, ...] = node.inputs
    if node.op in _FIRST:
        names = names[:1]
    elif node.op == "Gather":
        names = names[:1] if names and names[0] in varying else names[1:2]
    elif node.op == "Where":
        names = names[1:3]
    elif node.bodies:
        names = tuple(dict.fromkeys((*names, *(n for body in node.bodies.values() for n in body.captured))))
    return [name for name in names if name in varying and not _is_single(values.get(name))]


def _is_single(value: Value | None) -> bool:
    """True for a tensor that is known to have one element."""
    return value is not None and value.shape is not None and value.shape.count(1) == len(value.shape)


def _numbers(value: Value | None) -> tuple[int, ...] | None:
    if value is None or value.shape is None:
        return None
    shape = tuple(dim for dim in value.shape if isinstance(dim, int))
    return shape if len(shape) == len(value.shape) else None


def _numel(value: Value | None) -> int | None:
    shape = _numbers(value)
    return None if shape is None else prod(shape)
