"""Nodes that compute the same of the same: once, but for DequantizeLinear, of which every reader keeps its own.

`CommonSubexpressionElimination` and, for constants of a few elements, `ConstantSharing` (onnxruntime/core/optimizer).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from msgspec.structs import replace

from effaudit.dataflow import is_random
from effaudit.graph import Graph, Node
from effaudit.lower._rewrite import Wiring, with_inputs
from effaudit.lower.qdq import is_dequantize

_SHARED: Final = 8  # elements of a constant that is compared by them, not by its name


def shared(graph: Graph) -> Graph:
    """The sorted graph without nodes that repeat another; those that make a graph output or what a body captures
    stay."""
    pinned = Wiring(graph).pinned
    seen: dict[Hashable, Node] = {}
    renamed: dict[str, str] = {}
    kept: list[Node] = []
    for node in graph.nodes:
        one = with_inputs(node, renamed)
        key = _key(graph, one)
        first = None if key is None else seen.setdefault(key, one)
        if first is None or first is one or not pinned.isdisjoint(one.outputs):
            kept.append(one)
        else:
            renamed.update((own, other) for own, other in zip(one.outputs, first.outputs, strict=True) if own)
    return replace(graph, nodes=tuple(kept)) if renamed else graph


def _key(graph: Graph, node: Node) -> Hashable | None:
    """What two nodes have in common that compute the same; None of one that no other repeats."""
    if node.bodies or is_random(node) or not node.outputs or is_dequantize(node):
        return None
    attrs = tuple(sorted((name, value) for name, value in node.attrs.items() if name != "fused"))
    key = (node.domain, node.op, tuple(_operand(graph, name) for name in node.inputs), tuple(map(bool, node.outputs)))
    try:
        hash(attrs)
    except TypeError:
        return None
    return (*key, attrs)


def _operand(graph: Graph, name: str) -> Hashable:
    value = graph.values.get(name)
    if name not in graph.constants or value is None or value.shape is None or graph.constants[name].numel > _SHARED:
        return name
    return name if value.data is None else (value.encoding.dtype, value.shape, value.data)
