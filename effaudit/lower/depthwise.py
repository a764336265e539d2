"""Marks depthwise convolutions for runtimes that have a kernel of its own for them.

A convolution of one input channel per group and as many outputs as inputs: channel c of its output needs channel c of
its input only, so it can be computed channel by channel over its own input.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from effaudit.graph import Graph, Node
from effaudit.lower._rewrite import rebuilt

DEPTHWISE: Final = "depthwise"  # the attribute that marks them


def mark(graph: Graph) -> Graph:
    """The graph with the attribute `depthwise` on every depthwise Conv."""
    return rebuilt(graph, (_marked(graph, node) for node in graph.nodes))


def is_marked(node: Node) -> bool:
    """True for what `mark` has marked."""
    return DEPTHWISE in node.attrs


def _marked(graph: Graph, node: Node) -> Node:
    group = node.attrs.get("group", 1)
    if node.op != "Conv" or node.domain or group == 1 or is_marked(node) or not (node.inputs and node.outputs):
        return node
    channels = [_channels(graph, name) for name in (node.inputs[0], node.outputs[0])]
    return replace(node, attrs={**node.attrs, DEPTHWISE: 1}) if channels == [group, group] else node


def _channels(graph: Graph, name: str) -> object:
    value = graph.values.get(name)
    return None if value is None or value.shape is None or len(value.shape) < 3 else value.shape[1]
