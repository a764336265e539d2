"""The same by effaudit: what the checker looks at (names, open shapes, ranks), of every node."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from msgspec.structs import replace

from effaudit import dims
from effaudit.dataflow import Flow, reads
from effaudit.graph import FLOAT, Graph, Node, Value
from effaudit.support import SupportSet, judging, partition
from effaudit.support.types import Conditions, Limits

from .checker import LISTS, Checked

Takes: TypeAlias = Callable[[Node], str]
Shapes: TypeAlias = Mapping[str, tuple[int, ...] | None]
OPEN: Final = dims.symbol("open")
# What the lists misspell ("Argmax", "ai.onnx.ReduceSum"), by set: the checker does not find it.
MISSPELT: Final = {
    "onnxruntime-nnapi": (),
    "onnxruntime-coreml-neuralnetwork": ("ReduceSum",),
    "onnxruntime-coreml-mlprogram": ("ArgMax",),
}


def bare(support: SupportSet, *, fixed: bool) -> SupportSet:
    """A set without the conditions of its operators, with the limits the checker knows: it looks at ranks only where
    fixed shapes are asked for."""
    limits = Limits(fixed_shapes=fixed, max_rank=LISTS[support.name][1] if fixed else None)
    return replace(support, operators={key: (Conditions(),) for key in support.operators}, limits=limits)


def everything(graph: Graph) -> Flow:
    """The data flow of a graph in which every node runs and nothing is computed ahead: the checker leaves out none."""
    made = frozenset(name for node in graph.nodes for name in node.outputs if name)
    return Flow(tuple(map(reads, graph.nodes)), (True,) * len(graph.nodes), made | frozenset(graph.inputs))


def graphs(graph: Graph) -> Iterator[Graph]:
    """A graph and the bodies in it that the checker looks into: not those of functions."""
    yield graph
    for node in graph.nodes:
        for name, body in node.bodies.items():
            if name != "function":
                yield from graphs(body)


def count(graph: Graph, takes: Callable[[Graph], Takes]) -> Checked:
    """The partitions of a graph and of the bodies in it."""
    nodes, groups = 0, []
    for one in graphs(graph):
        placed = partition(one, everything(one), takes(one))
        nodes += len(placed.why)
        groups += [frozenset(one.nodes[i].outputs for i in group) for group in placed.partitions]
    return Checked(nodes, frozenset(groups))


def judged(support: SupportSet) -> Callable[[Graph], Takes]:
    """What a set says of the nodes of each graph."""
    return lambda graph: judging(graph, support, everything(graph))


def as_checker(support: SupportSet, shapes: Shapes, *, fixed: bool) -> Callable[[Graph], Takes]:
    """What a set says of nodes whose tensors have the shapes the checker sees, with what it does differently."""

    def takes(graph: Graph) -> Takes:
        seen = replace(graph, values={n: _value(graph.values.get(n), shapes.get(n)) for n in _names(graph)})
        judge = judging(seen, support, everything(graph))
        return lambda node: apart(node, support.name, fixed=fixed) or judge(node)

    return takes


def apart(node: Node, name: str, *, fixed: bool) -> str:
    """Why the checker refuses a node whatever its shapes, where a set would not."""
    if node.op in MISSPELT[name]:
        return "misspelt"
    if fixed and "" in node.inputs:
        return "omitted"
    rank = LISTS[name][1]
    if node.op == "Transpose" and rank is not None and len(node.attrs.get("perm", ())) > rank:
        return "rank"
    return ""


def _names(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        yield from filter(None, node.inputs)


def _value(value: Value | None, shape: tuple[int, ...] | None) -> Value:
    """A tensor with another shape; -1 is an open dim."""
    known = value or Value(FLOAT, None)
    return replace(known, shape=shape and tuple(OPEN if dim < 0 else dim for dim in shape))
