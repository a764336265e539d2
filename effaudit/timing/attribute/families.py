"""Operators that a runtime puts in the place of others: fused, quantized, in another layout."""

from __future__ import annotations

from typing import Final

import msgspec

from effaudit.graph import Node
from effaudit.ops._registry import NCHWC

PREFIXES: Final = ("QLinear", "DynamicQuantize", "Fused", "Nhwc")
SUFFIXES: Final = ("IntegerToFloat", "Integer", "NBits", "WithDynamicPads")
PRODUCTS: Final = frozenset(("MatMul", "Gemm", "Einsum", "TransposeMatMul", "MatMulBnb4", "MatMulFpQ4"))
# Ops that change where or how elements are stored and not what they are: what an optimizer inserts and moves.
LAYOUT: Final = frozenset(
    "Transpose Reshape Squeeze Unsqueeze Flatten Cast Identity QuantizeLinear DequantizeLinear ReorderInput "
    "ReorderOutput MemcpyToHost MemcpyFromHost Expand".split()
)
# What a kernel takes in after its product or sum; other operators that have no kernel go with what reads them.
EPILOGUE: Final = frozenset(
    "Relu Clip Sigmoid HardSigmoid HardSwish Tanh LeakyRelu Elu Selu ThresholdedRelu Softplus Gelu PRelu Add Sum Sub "
    "Mul Div BatchNormalization QuantizeLinear".split()
)


def family(op: str) -> str:
    """The operator that `op` is a form of: one name for `Conv`, `FusedConv` and `QLinearConv`, one for all matrix
    products.

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
    """
    for prefix in PREFIXES:
        op = op.removeprefix(prefix)
    for suffix in SUFFIXES:
        op = op.removesuffix(suffix)
    if op in ("QGemm", "QAttention", "QMoE"):
        op = op[1:]
    return "MatMul" if op in PRODUCTS else op


class Layout(msgspec.Struct, frozen=True):
    """How the tensors of a part of the optimized graph may differ in shape from those they stand for: channels in
    blocks, axes in another order, elements in another shape."""

    blocked: bool = False
    permuted: bool = False
    reshaped: bool = False


def blocked_tensors(nodes: tuple[Node, ...]) -> frozenset[str]:
    """Tensors whose channels lie in blocks: what the nodes of the NCHWc domain write, and what is made of it."""
    found: set[str] = set()
    for node in nodes:
        if node.op == "ReorderOutput" and node.domain == NCHWC:
            continue
        if node.domain == NCHWC or not found.isdisjoint(node.inputs):
            found.update(o for o in node.outputs if o)
    return frozenset(found)
