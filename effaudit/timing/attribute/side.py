"""A graph as attribution looks at it: who makes and who reads a tensor, which tensors are the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from effaudit.dataflow import Flow, flow, is_random
from effaudit.graph import Graph, Node, Value

SAME = frozenset(("Identity", "Dropout"))


class Side(msgspec.Struct, frozen=True):
    """A graph with the node that makes each tensor and those that read it. `same` gives for a tensor the first one with
    the same elements (itself where there is none): copies, and the results of equal nodes with equal inputs."""

    graph: Graph
    flow: Flow
    maker: Mapping[str, int]
    readers: Mapping[str, tuple[int, ...]]
    same: Mapping[str, str]
    outputs: frozenset[str]

    def tensor(self, name: str) -> bool:
        """Whether a node makes it or it is an input of the graph, a constant being neither."""
        return name in self.maker or name in self.graph.inputs

    def folded(self, i: int) -> bool:
        """Whether a node can be computed before the model runs: it depends on no input, or shapes alone tell what it
        gives."""
        node = self.graph.nodes[i]
        if self.flow.varying.isdisjoint(node.outputs):
            return True
        return all(_settled(self.graph.values.get(name)) for name in node.outputs if name)

    def copy_of(self, i: int) -> str:
        """The other tensor that has the elements of a node's first output, "" where there is none."""
        node = self.graph.nodes[i]
        name = next((o for o in node.outputs if o), "")
        first = self.same.get(name, name)
        return "" if first == name else first


def side_of(graph: Graph, inputs: Iterable[str] | None = None) -> Side:
    """`inputs` are the names that vary from outside, where not the graph's own alone (a body's captured ones)."""
    known = flow(graph, inputs)
    maker = {name: i for i, node in enumerate(graph.nodes) for name in node.outputs if name}
    readers: dict[str, list[int]] = {}
    for i, names in enumerate(known.reads):
        if known.live[i]:
            for name in names:
                readers.setdefault(name, []).append(i)
    frozen = {name: tuple(nodes) for name, nodes in readers.items()}
    return Side(graph, known, maker, frozen, _same(graph), frozenset(graph.outputs))


def _settled(value: Value | None) -> bool:
    data = None if value is None else value.data
    return data is not None and all(isinstance(element, int | float | bool | str) for element in data)


def _same(graph: Graph) -> dict[str, str]:
    same: dict[str, str] = {}
    seen: dict[tuple[object, ...], Node] = {}
    for node in graph.nodes:
        if node.op in SAME and not node.domain and node.inputs and node.outputs[0]:
            same[node.outputs[0]] = same.get(node.inputs[0], node.inputs[0])
            continue
        if node.bodies or is_random(node):
            continue
        inputs = tuple(_key(graph, same.get(name, name)) for name in node.inputs)
        attrs = tuple(sorted((name, repr(value)) for name, value in node.attrs.items()))
        twin = seen.setdefault((node.domain, node.op, attrs, inputs, len(node.outputs)), node)
        if twin is not node:
            same.update((b, same.get(a, a)) for a, b in zip(twin.outputs, node.outputs, strict=True) if a and b)
    return same


def _key(graph: Graph, name: str) -> object:
    """What tells a tensor from others: its name, of a small constant its elements."""
    constant = graph.constants.get(name)
    if constant is None or constant.raw is None:
        return name
    return (constant.encoding.dtype, constant.shape, constant.raw)
