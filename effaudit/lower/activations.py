"""An activation in the kernel that makes its input: no tensor lies between them.

Which operators take an activation, and which activations, is what runtimes differ in. It is fused where it is the only
reader of a tensor that is no graph output and keeps its element type; the node keeps its name and operator, writes the
activation's output, and names the activation in `fused`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final, TypeAlias

from effaudit.graph import Graph, Node
from effaudit.lower._rewrite import ACTIVATION, Wiring, merged, with_activation
from effaudit.ops._registry import MICROSOFT

Activation: TypeAlias = Callable[[Graph, Node], bool]

# https://onnx.ai/onnx/operators: elementwise functions of their first input
_UNARY: Final = frozenset(
    """Relu LeakyRelu Elu Selu Celu ThresholdedRelu Sigmoid HardSigmoid HardSwish Swish Tanh Softplus Softsign Mish Gelu
    Clip""".split()
)
_MICROSOFT: Final = frozenset("Gelu QuickGelu FastGelu".split())


def clip_bounds(graph: Graph, node: Node) -> tuple[float | None, float | None] | None:
    """The bounds of a Clip, None for one that is absent; None altogether where they are not known."""
    bounds: list[float | None] = []
    for place, attribute in ((1, "min"), (2, "max")):
        name = node.inputs[place] if place < len(node.inputs) else ""
        if not name:
            bounds.append(node.attrs.get(attribute))
            continue
        value = graph.values.get(name)
        data = None if value is None else value.data
        if data is None or len(data) != 1 or type(data[0]) not in (int, float):
            return None
        bounds.append(data[0])
    return bounds[0], bounds[1]


def any_unary(graph: Graph, node: Node) -> bool:
    """Every elementwise function of one tensor that ONNX and com.microsoft have as an operator."""
    names = _UNARY if not node.domain else _MICROSOFT if node.domain == MICROSOFT else frozenset()
    return node.op in names


def relu_like(graph: Graph, node: Node) -> bool:
    """Relu, ReluN1To1 and Relu6: those that a TFLite kernel takes."""
    if node.domain or node.op not in ("Relu", "Clip"):
        return False
    return node.op == "Relu" or clip_bounds(graph, node) in ((0, 6), (-1, 1), (0, None))


def any_clip(graph: Graph, node: Node) -> bool:
    """Relu, and Clip at any constant bounds."""
    return not node.domain and node.op in ("Relu", "Clip")


def fuse(graph: Graph, makers: Collection[str], accepted: Activation) -> Graph:
    """The graph with the `accepted` activations in the operators `makers`; one per node."""
    wiring = Wiring(graph)
    owners: dict[int, Node] = {}
    gone: set[int] = set()
    for i, node in enumerate(graph.nodes):
        if i in gone or node.op not in makers or node.bodies or ACTIVATION in node.attrs:
            continue
        found = _activation(wiring, node, accepted)
        if found is not None:
            gone.add(found)
            owners[i] = with_activation(node, graph.nodes[found])
    return merged(graph, owners, gone)


def _activation(wiring: Wiring, node: Node, accepted: Activation) -> int | None:
    """The activation that alone reads what a node makes."""
    if len(node.outputs) != 1:
        return None
    graph, out = wiring.graph, node.outputs[0]
    i = wiring.only_reader(out)
    if i is None:
        return None
    after = graph.nodes[i]
    if len(after.outputs) != 1 or after.inputs[0] != out or not accepted(graph, after):
        return None
    before, made = graph.values.get(out), graph.values.get(after.outputs[0])
    if before is None or made is None or before.encoding != made.encoding:
        return None
    return None if any(map(wiring.varies, after.inputs[1:])) else i
