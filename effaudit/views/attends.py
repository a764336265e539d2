"""Whether a model may hold attention: what a report asks before it imports the transformer view."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from effaudit.audited import Audited
from effaudit.graph import Graph, Node

SOFTMAX: Final = frozenset(("Softmax", "BiasSoftmax", "QLinearSoftmax"))
FUSED: Final = frozenset(
    """Attention FlexAttention MultiHeadAttention GroupQueryAttention QAttention QOrderedAttention PackedAttention
    PackedMultiHeadAttention DecoderMaskedSelfAttention DecoderMaskedMultiHeadAttention DecoderAttention
    SparseAttention PagedAttention SparsePagedAttention DynamicSparseAttention LongformerAttention
    QOrderedLongformerAttention LinearAttention GatedDeltaNet""".split()
)
_DOMAINS: Final = frozenset(("", "ai.onnx.preview", "com.microsoft"))
MAX_DEPTH: Final = 8  # bodies inside bodies
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
    if not holds(graph, 0, {}):
        return False
    return any(node.bodies or is_fused(node.op, node.domain) or is_product(node, varying) for node in graph.nodes)


def holds(graph: Graph, depth: int, memory: dict[int, bool]) -> bool:
    """True where a graph or one of its bodies has an operator that attention is made of."""
    if id(graph) in memory:
        return memory[id(graph)]
    found = any(node.op in SOFTMAX or node.op in FUSED or node.op == "Exp" for node in graph.nodes)
    if not found and depth <= MAX_DEPTH:
        found = any(holds(body, depth + 1, memory) for node in graph.nodes for body in node.bodies.values())
    memory[id(graph)] = found
    return found


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
