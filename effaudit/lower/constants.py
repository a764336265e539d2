"""Nodes that are not executed: what depends on no input is computed ahead, and copies of a tensor are that tensor.

A constant subgraph becomes its results, as constants whose elements nobody computed here. The DequantizeLinear of a
weight and what is made of it stay: computed ahead they would be the floating weights that the file avoids. Identity,
and Dropout in inference mode, are their input.
"""

from __future__ import annotations

from msgspec.structs import replace

from effaudit.dataflow import reads
from effaudit.errors import Undecided
from effaudit.graph import Constant, Graph, Node
from effaudit.lower._rewrite import Wiring, with_inputs
from effaudit.lower.qdq import is_dequantize


def computed_ahead(graph: Graph) -> Graph:
    """The graph without the nodes that no input reaches."""
    wiring = Wiring(graph)
    kept: list[Node] = []
    made: dict[str, Constant] = {}
    weights: set[str] = set()  # dequantized, or made of that
    for i, node in enumerate(graph.nodes):
        names = [name for name in node.outputs if name]
        if not wiring.flow.live[i] or any(map(wiring.varies, names)):
            kept.append(node)
            continue
        found = [_result(graph, node, name) for name in names if name in wiring.readers or name in wiring.pinned]
        dequantized = is_dequantize(node) or not weights.isdisjoint(wiring.flow.reads[i])
        if dequantized or None in found:
            weights.update(names if dequantized else ())
            kept.append(node)
        else:
            made.update((constant.name, constant) for constant in found if constant is not None)
    if len(kept) == len(graph.nodes):
        return graph
    needed = {name for node in kept for name in reads(node)}.union(graph.outputs)
    results = {name: constant for name, constant in made.items() if name in needed}
    return replace(graph, nodes=tuple(kept), constants={**graph.constants, **results})


def without_copies(graph: Graph) -> Graph:
    """The graph without Identity and, in inference mode, Dropout nodes; those that make a graph output or what a body
    captures stay."""
    wiring = Wiring(graph)
    renamed: dict[str, str] = {}
    kept: list[Node] = []
    for node in graph.nodes:
        if _is_copy(wiring, node):
            renamed[node.outputs[0]] = renamed.get(node.inputs[0], node.inputs[0])
        else:
            kept.append(with_inputs(node, renamed))
    return replace(graph, nodes=tuple(kept)) if renamed else graph


def _is_copy(wiring: Wiring, node: Node) -> bool:
    if node.domain or node.op not in ("Identity", "Dropout") or not node.outputs or not any(node.inputs[:1]):
        return False
    if any(name in wiring.readers or name in wiring.pinned for name in node.outputs[1:] if name):
        return False
    if node.op == "Dropout" and not _is_inference(wiring.graph, node):
        return False
    source, copy = (wiring.graph.values.get(name) for name in (node.inputs[0], node.outputs[0]))
    same = source is not None and copy is not None and source.encoding == copy.encoding
    return same and node.outputs[0] not in wiring.pinned


def _is_inference(graph: Graph, node: Node) -> bool:
    """Dropout trains where its third input says so (since version 12), or where `is_test` is 0 (version 1)."""
    name = node.inputs[2] if len(node.inputs) > 2 else ""
    if not name:
        return bool(node.attrs.get("is_test", 1)) or graph.opsets.get("", 1) >= 7
    value = graph.values.get(name)
    return value is not None and value.data is not None and value.data in ((False,), (0,))


def _result(graph: Graph, node: Node, name: str) -> Constant | None:
    """A tensor that a node makes, as a constant; None where its size is not known."""
    if node.op == "Constant" and isinstance(stated := node.attrs.get("value"), Constant):
        return replace(stated, name=name)
    value = graph.values.get(name)
    if value is None or value.shape is None or value.encoding.bits == 0:
        return None
    try:
        count, size = value.numel, value.nbytes
    except Undecided:
        return None
    if type(count) is not int or type(size) is not int or not all(type(dim) is int for dim in value.shape):
        return None
    shape = tuple(dim for dim in value.shape if type(dim) is int)
    return Constant(name, value.encoding, shape, "initializer", count, size, missing="computed ahead")
