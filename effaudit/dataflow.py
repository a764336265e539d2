"""What feeds what: which nodes ever run, and which tensors depend on the model's inputs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from effaudit.graph import Graph, Node

# https://onnx.ai/onnx/operators: outputs differ from run to run, so nothing that reads them can be computed ahead
RANDOM: Final = frozenset("RandomNormal RandomUniform RandomNormalLike RandomUniformLike Multinomial Bernoulli".split())


def reads(node: Node) -> tuple[str, ...]:
    """The distinct tensors a node reads, the outer names its bodies capture included."""
    inputs = node.inputs
    if not node.bodies and "" not in inputs and (len(inputs) < 2 or len(set(inputs)) == len(inputs)):
        return inputs
    names = dict.fromkeys(inputs)
    names.pop("", None)
    for body in node.bodies.values():
        names.update(dict.fromkeys(body.captured))
    return tuple(names)


class Flow(msgspec.Struct, frozen=True):
    """What `flow` found of one graph, by node index: what it reads, and whether a graph output depends on it (`live`).

    `varying` holds the tensors that depend on a graph input or on chance; all others could be computed before the
    model runs.
    """

    reads: tuple[tuple[str, ...], ...]
    live: tuple[bool, ...]
    varying: frozenset[str]

    @property
    def running(self) -> int:
        """The number of nodes that ever run."""
        return sum(self.live)


def flow(graph: Graph, inputs: Iterable[str] | None = None) -> Flow:
    """The data flow of a graph; `inputs` are the names that vary from outside (None: the graph's own inputs)."""
    read = tuple(map(reads, graph.nodes))
    needed = set(graph.outputs if graph.runs else ())
    live = [False] * len(read)
    for i in range(len(read) - 1, -1, -1):
        if not needed.isdisjoint(graph.nodes[i].outputs):
            live[i] = True
            needed.update(read[i])
    found = set(graph.inputs if inputs is None else inputs)
    for node, names in zip(graph.nodes, read, strict=True):
        if not found.isdisjoint(names) or is_random(node):
            found.update(node.outputs)
    found.discard("")
    return Flow(read, tuple(live), frozenset(found))


def is_random(node: Node) -> bool:
    """True where the node, or a node in one of its bodies, draws random numbers."""
    if node.op in RANDOM and not node.domain:
        return True
    return any(is_random(inner) for body in node.bodies.values() for inner in body.nodes)
