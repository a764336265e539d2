"""Integers at the boundary: a model that quantizes its input and dequantizes its output takes and gives integers.

A floating graph input that only feeds QuantizeLinear nodes of one scale keeps its name and is stored as they would
store it. A graph output that DequantizeLinear makes gives way to the quantized tensor: `graph.outputs` then has that
tensor's name. TFLite calls it `inference_input_type = int8`:
https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_integer_quant
"""

from __future__ import annotations

from collections import Counter

from msgspec.structs import replace

from effaudit.graph import Graph, Node, Value
from effaudit.lower._rewrite import Wiring, is_floating, with_inputs
from effaudit.lower.qdq import is_dequantize, is_quantize, scale_of


def integers(graph: Graph) -> Graph:
    """The graph with quantized inputs and outputs where that costs no conversion."""
    if not any(is_quantize(node) or is_dequantize(node) for node in graph.nodes):
        return graph
    wiring = Wiring(graph)
    values = dict(graph.values)
    gone: set[int] = set()
    renamed: dict[str, str] = {}
    for name in dict.fromkeys(graph.inputs):
        found = _quantizers(wiring, name)
        if found:
            gone.update(found)
            quantized = [graph.nodes[i].outputs[0] for i in found]
            renamed.update(dict.fromkeys(quantized, name))
            values[name] = replace(values[name], encoding=values[quantized[0]].encoding)
    taken = _quantized_outputs(wiring)
    gone.update(wiring.maker[name] for name in taken)
    outputs = tuple(taken.get(name, name) for name in graph.outputs)
    if not gone:
        return graph
    nodes = tuple(with_inputs(node, renamed) for i, node in enumerate(graph.nodes) if i not in gone)
    final = tuple(renamed.get(name, name) for name in outputs)
    return replace(graph, nodes=nodes, values=values, outputs=final, declared=_declared(graph, values))


def _quantizers(wiring: Wiring, name: str) -> list[int]:
    """The QuantizeLinear nodes that are all that reads a floating graph input."""
    graph = wiring.graph
    readers = wiring.readers.get(name, [])
    nodes: list[Node] = [graph.nodes[i] for i in readers]
    if not nodes or name in wiring.pinned or not is_floating(graph.values.get(name)):
        return []
    if not all(is_quantize(n) and n.inputs[0] == name and n.outputs[0] not in wiring.pinned for n in nodes):
        return []
    kinds = {(scale_of(graph, n), graph.values[n.outputs[0]].encoding) for n in nodes}
    return readers if len(kinds) == 1 else []


def _quantized_outputs(wiring: Wiring) -> dict[str, str]:
    """Graph outputs that DequantizeLinear makes and nothing reads -> the quantized tensors to give instead.

    Not where that tensor is a graph input or output already, or several outputs are made of it.
    """
    graph = wiring.graph
    boundary = {*graph.inputs, *graph.outputs}
    captured = wiring.pinned.difference(graph.outputs)
    found: dict[str, str] = {}
    for name in dict.fromkeys(graph.outputs):
        i = wiring.maker.get(name)
        if i is None or not is_dequantize(graph.nodes[i]) or name in wiring.readers or name in captured:
            continue
        source = graph.nodes[i].inputs[0]
        if wiring.varies(source) and source not in boundary:
            found[name] = source
    uses = Counter(found.values())
    return {name: source for name, source in found.items() if uses[source] == 1}


def _declared(graph: Graph, values: dict[str, Value]) -> dict[str, Value]:
    """The stated types, those of the inputs as they are stored now."""
    stated = dict(graph.declared)
    for name in graph.inputs:
        if name in stated and name in values and stated[name].encoding != values[name].encoding:
            stated[name] = replace(stated[name], encoding=values[name].encoding)
    return stated
