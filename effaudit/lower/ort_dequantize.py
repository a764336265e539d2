"""A DequantizeLinear of its own for every reader, as ONNX Runtime makes before anything else, whatever its options
(`EnsureUniqueDQForNodeUnit`, onnxruntime/core/optimizer/qdq_transformer/ensure_unique_dq_for_node_unit.cc, 1.27).

The first reader (by node index, then by input) keeps the node, unless that also makes a graph output or what a body
captures; every other reader gets a copy, behind the last node.
"""

from __future__ import annotations

from msgspec.structs import replace

from effaudit.graph import Graph, Node, Value
from effaudit.lower._rewrite import Wiring
from effaudit.lower.qdq import is_dequantize


def unique_dequantize(graph: Graph) -> Graph:
    """The graph in which no two inputs read the same DequantizeLinear."""
    if not any(map(is_dequantize, graph.nodes)):
        return graph
    wiring = Wiring(graph)
    places = _reading_places(graph)
    inputs: dict[int, list[str]] = {}
    added: list[Node] = []
    values: dict[str, Value] = {}
    for node in graph.nodes:
        if not is_dequantize(node):
            continue
        name = node.outputs[0]
        for reader, place in places.get(name, ())[name not in wiring.pinned :]:
            copy = f"{name}/duplicated{len(added)}"
            inputs.setdefault(reader, list(graph.nodes[reader].inputs))[place] = copy
            added.append(replace(node, name=f"{node.label}/duplicated", outputs=(copy,)))
            if name in graph.values:
                values[copy] = graph.values[name]
    if not added:
        return graph
    nodes = [replace(n, inputs=tuple(inputs[i])) if i in inputs else n for i, n in enumerate(graph.nodes)]
    return replace(graph, nodes=(*nodes, *added), values={**graph.values, **values})


def _reading_places(graph: Graph) -> dict[str, list[tuple[int, int]]]:
    """Where every tensor is read: (node index, place among its inputs), in order."""
    found: dict[str, list[tuple[int, int]]] = {}
    for i, node in enumerate(graph.nodes):
        for place, name in enumerate(node.inputs):
            if name:
                found.setdefault(name, []).append((i, place))
    return found
