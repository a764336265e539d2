"""What every lowering pass needs: who makes and who reads a tensor, and new graphs from old ones.

Names inside the bodies of If, Loop, Scan and functions are never rewritten, so a tensor that a body captures is pinned:
like a graph output it survives under its name, stored as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec.structs import replace

from effaudit.dataflow import Flow, flow
from effaudit.graph import Graph, Node, Value

FLOATING: Final = frozenset(
    "float32 float16 float64 bfloat16 float8e4m3fn float8e4m3fnuz float8e5m2 float8e5m2fnuz float4e2m1".split()
)
FUSED: Final = "fused"  # the attribute that names the nodes whose work a node also does
ACTIVATION: Final = "activation"  # the attribute that names the activation among them, as in com.microsoft's FusedConv


class Wiring:
    """The producers and readers of a graph's tensors, by node index, and its pinned tensors."""

    __slots__ = ("graph", "flow", "maker", "readers", "pinned")

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.flow: Flow = flow(graph)
        self.maker: dict[str, int] = {}
        self.readers: dict[str, list[int]] = {}
        self.pinned: set[str] = set(graph.outputs)
        for i, (node, read) in enumerate(zip(graph.nodes, self.flow.reads, strict=True)):
            for name in read:
                self.readers.setdefault(name, []).append(i)
            for name in node.outputs:
                self.maker[name] = i
            for body in node.bodies.values():
                self.pinned.update(body.captured)

    def only_reader(self, name: str) -> int | None:
        """The one node that reads a tensor which nothing else needs, else None."""
        readers = self.readers.get(name, ())
        return readers[0] if len(readers) == 1 and name not in self.pinned else None

    def varies(self, name: str) -> bool:
        """True where the tensor depends on a graph input or on chance."""
        return name in self.flow.varying


def is_floating(value: Value | None) -> bool:
    """True for a tensor of floating elements."""
    return value is not None and value.encoding.dtype in FLOATING


def whole_numbers(node: Node, attribute: str) -> tuple[int, ...] | None:
    """An attribute that is a list of whole numbers, empty where it is absent; None where it is anything else."""
    value = node.attrs.get(attribute, ())
    return value if type(value) is tuple and all(type(one) is int for one in value) else None


def fused_with(node: Node, *others: str) -> Mapping[str, object]:
    """The attributes of a node that also does the work of others, named in its `fused`."""
    return {**node.attrs, FUSED: (*node.attrs.get(FUSED, ()), *others)}


def with_activation(node: Node, after: Node) -> Node:
    """The node that also does the activation after it, and writes its output."""
    return replace(node, outputs=after.outputs, attrs={**fused_with(node, after.label), ACTIVATION: after.op})


def rebuilt(graph: Graph, nodes: Iterable[Node], values: Mapping[str, Value] | None = None) -> Graph:
    """The graph with other nodes (and values); itself where nothing changed."""
    changed = tuple(nodes)
    if values is not None:
        return replace(graph, nodes=changed, values=values)
    same = len(changed) == len(graph.nodes) and all(a is b for a, b in zip(changed, graph.nodes, strict=True))
    return graph if same else replace(graph, nodes=changed)


def merged(
    graph: Graph, owners: Mapping[int, Node], gone: Iterable[int], renamed: Mapping[str, str] | None = None
) -> Graph:
    """The graph with the nodes `owners` in place of those of their index, without the nodes `gone`, and with the
    inputs `renamed`."""
    if not owners and not renamed:
        return graph
    dropped = set(gone)
    kept = (owners.get(i, node) for i, node in enumerate(graph.nodes) if i not in dropped)
    return rebuilt(graph, (with_inputs(node, renamed) for node in kept) if renamed else kept)


def with_inputs(node: Node, renamed: Mapping[str, str]) -> Node:
    """The node with some inputs renamed; itself where none is."""
    if not any(name in renamed for name in node.inputs):
        return node
    return replace(node, inputs=tuple(renamed.get(name, name) for name in node.inputs))
