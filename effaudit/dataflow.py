"""What feeds what: which nodes ever run, and which tensors depend on the model's inputs."""

from __future__ import annotations

from typing import Final

from effaudit.graph import Graph, Node

# https://onnx.ai/onnx/operators: outputs differ from run to run, so nothing that reads them can be computed ahead
RANDOM: Final = frozenset(
    "RandomNormal RandomUniform RandomNormalLike RandomUniformLike Multinomial Bernoulli".split()
)


def reads(node: Node) -> tuple[str, ...]:
    """The distinct tensors a node reads, the outer names its bodies capture included."""
    names = dict.fromkeys(name for name in node.inputs if name)
    for body in node.bodies.values():
        names.update(dict.fromkeys(body.captured))
    return tuple(names)


def live_nodes(graph: Graph) -> list[bool]:
    """Per node, whether a graph output depends on it. The others never run."""
    needed = set(graph.outputs)
    live = [False] * len(graph.nodes)
    for i in range(len(graph.nodes) - 1, -1, -1):
        node = graph.nodes[i]
        if any(name in needed for name in node.outputs):
            live[i] = True
            needed.update(reads(node))
    return live


def varying(graph: Graph, inputs: frozenset[str] | None = None) -> set[str]:
    """The tensors that depend on a graph input or on chance; all others could be computed before the model runs."""
    found = set(graph.inputs) if inputs is None else set(inputs)
    for node in graph.nodes:
        if is_random(node) or any(name in found for name in reads(node)):
            found.update(name for name in node.outputs if name)
    return found


def is_random(node: Node) -> bool:
    """True where the node, or a node in one of its bodies, draws random numbers."""
    if node.op in RANDOM and not node.domain:
        return True
    return any(is_random(inner) for body in node.bodies.values() for inner in body.nodes)
