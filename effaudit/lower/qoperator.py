"""Quantized operators by their plain names: QLinearConv is a Conv of integers.

The QOperator format has operators of its own that carry scales and zero points as inputs. A runtime other than
onnxruntime gets the same network either way, so its rules need to know one form only; the tensors are integers as they
were.

https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html#representation-of-quantized-onnx-models
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from effaudit.graph import Graph, Node
from effaudit.lower._rewrite import rebuilt
from effaudit.ops._registry import MICROSOFT, ONNX

# (domain, operator) -> the plain operator, and the places of its inputs among those of the quantized one.
_PLAIN: Final[Mapping[tuple[str, str], tuple[str, tuple[int, ...]]]] = {
    (ONNX, "QLinearConv"): ("Conv", (0, 3, 8)),
    (ONNX, "QLinearMatMul"): ("MatMul", (0, 3)),
    (MICROSOFT, "QGemm"): ("Gemm", (0, 3, 6)),
    (MICROSOFT, "QLinearAdd"): ("Add", (0, 3)),
    (MICROSOFT, "QLinearMul"): ("Mul", (0, 3)),
    (MICROSOFT, "QLinearAveragePool"): ("AveragePool", (0,)),
    (MICROSOFT, "QLinearGlobalAveragePool"): ("GlobalAveragePool", (0,)),
    (MICROSOFT, "QLinearLeakyRelu"): ("LeakyRelu", (0,)),
    (MICROSOFT, "QLinearSigmoid"): ("Sigmoid", (0,)),
    (MICROSOFT, "QLinearSoftmax"): ("Softmax", (0,)),
    (MICROSOFT, "QLinearReduceMean"): ("ReduceMean", (0,)),
    (MICROSOFT, "QLinearConcat"): ("Concat", ()),
}


def plain(graph: Graph) -> Graph:
    """The graph with plain operators for quantized ones, but for those that put their channels last."""
    return rebuilt(graph, (_plain(node) for node in graph.nodes))


def _plain(node: Node) -> Node:
    found = _PLAIN.get((node.domain, node.op))
    if found is None or node.attrs.get("channels_last", 0):
        return node
    op, places = found
    if op == "Concat":
        inputs = node.inputs[2::3]  # behind the scale and the zero point of the output, each with its own two
    else:
        inputs = tuple(node.inputs[place] for place in places if place < len(node.inputs))
    while inputs and not inputs[-1]:
        inputs = inputs[:-1]
    return replace(node, domain=ONNX, op=op, inputs=inputs)
