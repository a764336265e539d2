"""Nodes whose results ONNX Runtime computes ahead, or drops, when it optimizes (`ConstantFolding` and the eliminations
of level 1, onnxruntime/core/optimizer, 1.27).

What depends on no input is folded (a DequantizeLinear and what is made of it is not), so is what hangs only on the
shapes of tensors whose dims are numbers. Identity, and Dropout in inference mode, are their input.
"""

from __future__ import annotations

from msgspec.structs import replace

from effaudit.dataflow import flow
from effaudit.graph import Constant, Graph, Node
from effaudit.lower._rewrite import Wiring
from effaudit.lower.constants import computed_ahead, without_copies


def folded(graph: Graph) -> Graph:
    """The sorted graph without the nodes that do not run in an optimized session."""
    made = without_copies(_by_shape(computed_ahead(graph)))
    live = flow(made).live
    if all(live):
        return made
    return replace(made, nodes=tuple(node for node, runs in zip(made.nodes, live, strict=True) if runs))


def _by_shape(graph: Graph) -> Graph:
    """Without nodes whose elements are numbers known before any run."""
    pinned = Wiring(graph).pinned
    constants = dict(graph.constants)
    kept: list[Node] = []
    for node in graph.nodes:
        made = [] if node.bodies else [_known(graph, name) for name in node.outputs if name]
        if not made or None in made or not pinned.isdisjoint(node.outputs):
            kept.append(node)
        else:
            constants.update((one.name, one) for one in made if one is not None)
    return graph if len(kept) == len(graph.nodes) else replace(graph, nodes=tuple(kept), constants=constants)


def _known(graph: Graph, name: str) -> Constant | None:
    """A tensor of numbers, all known, as a constant."""
    value = graph.values.get(name)
    if value is None or value.shape is None or not all(type(dim) is int for dim in value.shape):
        return None
    data = value.data
    if data is None or not all(type(one) in (int, float, bool) for one in data):
        return None
    shape = tuple(dim for dim in value.shape if type(dim) is int)
    size = value.encoding.nbytes(len(data))
    if type(size) is not int or value.encoding.bits == 0:
        return None
    return Constant(name, value.encoding, shape, "initializer", len(data), size, missing="computed ahead")
