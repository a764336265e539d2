"""Which matrix products are attention: the kinds that one node alone cannot tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from effaudit.dataflow import Flow
from effaudit.graph import Graph, Node

SCORES: Final = "attention-scores"
VALUES: Final = "attention-values"
_PRODUCTS: Final = frozenset(
    ("MatMul", "Einsum", "FusedMatMul", "MatMulInteger", "QLinearMatMul", "MatMulIntegerToFloat")
)
# What exporters put between the products of attention and its softmax.
_PASSES: Final = frozenset(
    """Mul Div Add Sub Where Cast Reshape Transpose Dropout Identity Clip Unsqueeze Squeeze Expand Concat Slice Split
    Softcap Tanh IsNaN QuantizeLinear DequantizeLinear DynamicQuantizeLinear Max Min QLinearAdd QLinearMul""".split()
)
_SOFTMAX: Final = frozenset(("Softmax", "BiasSoftmax", "QLinearSoftmax"))
MAX_HOPS: Final = 10


def attention_kinds(graph: Graph, known: Flow) -> dict[int, str]:
    """node index -> "attention-scores" for a product of two activations that a softmax follows, "attention-values"
    for one that a softmax feeds."""
    products = [
        i for i, node in enumerate(graph.nodes) if node.op in _PRODUCTS and len([n for n in node.inputs if n]) > 1
    ]
    if not any(node.op in _SOFTMAX for node in graph.nodes) or not products:
        return {}
    changing = known.varying
    maker = {name: i for i, node in enumerate(graph.nodes) for name in node.outputs if name}
    readers: dict[str, list[int]] = {}
    for i, node in enumerate(graph.nodes):
        for name in node.inputs:
            readers.setdefault(name, []).append(i)
    found = {}
    for i in products:
        node = graph.nodes[i]
        if sum(name in changing for name in _operands(node)) < 2:
            continue
        if _meets(graph, _back(graph, maker), i):
            found[i] = VALUES
        elif _meets(graph, _ahead(graph, readers), i):
            found[i] = SCORES
    return found


def _operands(node: Node) -> tuple[str, ...]:
    if node.op == "QLinearMatMul":
        return node.inputs[0:1] + node.inputs[3:4]
    return node.inputs[:2]


Step = Callable[[int], list[int]]


def _back(graph: Graph, maker: dict[str, int]) -> Step:
    return lambda i: [maker[name] for name in graph.nodes[i].inputs if name in maker]


def _ahead(graph: Graph, readers: dict[str, list[int]]) -> Step:
    return lambda i: [j for name in graph.nodes[i].outputs for j in readers.get(name, ())]


def _meets(graph: Graph, step: Step, start: int) -> bool:
    """True where a softmax lies within a few pass-through nodes of `start`."""
    frontier, seen = step(start), {start}
    for _ in range(MAX_HOPS):
        following = []
        for i in frontier:
            if i in seen:
                continue
            seen.add(i)
            op = graph.nodes[i].op
            if op in _SOFTMAX:
                return True
            if op in _PASSES:
                following.extend(step(i))
        if not following:
            return False
        frontier = following
    return False
