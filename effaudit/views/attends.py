"""Whether a model may hold attention: what a report asks before it imports the transformer view."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from effaudit.audited import Audited
from effaudit.graph import Graph, Node
from effaudit.ops._registry import MICROSOFT, ONNX

SOFTMAX: Final = frozenset(("Softmax", "BiasSoftmax", "QLinearSoftmax"))
FUSED: Final = frozenset(
    """Attention FlexAttention MultiHeadAttention GroupQueryAttention QAttention QOrderedAttention PackedAttention
    PackedMultiHeadAttention DecoderMaskedSelfAttention DecoderMaskedMultiHeadAttention DecoderAttention
    SparseAttention PagedAttention SparsePagedAttention DynamicSparseAttention LongformerAttention
    QOrderedLongformerAttention LinearAttention GatedDeltaNet""".split()
)
_DOMAINS: Final = frozenset((ONNX, "ai.onnx.preview", MICROSOFT))
# Matrix products of two operands that may both be activations, with the places of the operands.
PRODUCTS: Final[Mapping[str, tuple[int, int]]] = {
    "MatMul": (0, 1),
    "Einsum": (0, 1),
    "Gemm": (0, 1),
    "FusedMatMul": (0, 1),
    "FusedMatMulActivation": (0, 1),
    "TransposeMatMul": (0, 1),
    "MatMulInteger": (0, 1),
    "MatMulInteger16": (0, 1),
    "MatMulIntegerToFloat": (0, 1),
    "DynamicQuantizeMatMul": (0, 1),
    "QLinearMatMul": (0, 3),
    "QGemm": (0, 3),
}


def attends(audited: Audited) -> bool:
    """False where a model cannot hold attention. A softmax alone, as classifiers end with, is none: nothing multiplies
    two activations."""
    graph, varying = audited.graph, audited.flow.varying
    if not holds(graph, {}):
        return False
    return any(node.bodies or is_fused(node.op, node.domain) or is_product(node, varying) for node in graph.nodes)


def holds(graph: Graph, memory: dict[int, bool]) -> bool:
    """True where a graph or one of its bodies, at any depth, has an operator that attention is made of.

    `memory` holds the answers so far, by identity: bodies that calls share are looked at once.
    """
    if id(graph) in memory:
        return memory[id(graph)]
    around: dict[int, list[int]] = {id(graph): []}  # a body -> the graphs it stands in
    pending, holding = [graph], []
    while pending:
        here = pending.pop()
        if any(node.op in SOFTMAX or node.op in FUSED or node.op == "Exp" for node in here.nodes):
            holding.append(id(here))
        for body in (body for node in here.nodes for body in node.bodies.values()):
            if memory.get(id(body)):
                holding.append(id(here))
            elif id(body) not in memory:
                if id(body) not in around:
                    pending.append(body)
                around.setdefault(id(body), []).append(id(here))
    memory.update(dict.fromkeys(around, False))
    while holding:
        found = holding.pop()
        if not memory[found]:
            memory[found] = True
            holding.extend(around[found])
    return memory[id(graph)]


def is_fused(op: str, domain: str) -> bool:
    return op in FUSED and domain in _DOMAINS


def operands(node: Node) -> tuple[str, ...]:
    """The two factors of a matrix product; none of another operator."""
    places = PRODUCTS.get(node.op)
    if places is None or len(node.inputs) <= places[1]:
        return ()
    return node.inputs[places[0]], node.inputs[places[1]]


def is_product(node: Node, varying: frozenset[str]) -> bool:
    """True for a matrix product of two activations."""
    factors = operands(node)
    return len(factors) == 2 and all(name in varying for name in factors)
