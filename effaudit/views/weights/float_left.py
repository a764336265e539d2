"""What a quantized model still stores as floats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from effaudit.graph import Graph, nested
from effaudit.ops._registry import MAC_KINDS, Rules, rules_for
from effaudit.views.weights.layout import Layout, layout
from effaudit.views.weights.types import Apart, FloatLeft, FloatTensor
from effaudit.views.weights.uses import Use
from effaudit.weights import PARAM, Tensor

_QUANTIZED: Final = frozenset(
    """QuantizeLinear DequantizeLinear DynamicQuantizeLinear MatMulInteger ConvInteger MatMulIntegerToFloat
    MatMulInteger16 DynamicQuantizeMatMul DynamicQuantizeLSTM MatMulNBits MatMulNBitsMlp MatMulNBitsQkv MatMulBnb4
    MatMulFpQ4 QAttention QGemm QMoE QEmbedLayerNormalization GatherBlockQuantized MatMulBlockQuantizedFp4Weight
    MatMulBlockQuantizedFp8Weight""".split()
)
_FLOATS: Final = frozenset(("float32", "float16", "bfloat16", "float64"))
_BIASES: Final = frozenset(("b", "c", "bias", "b_bias"))
_EMBEDDINGS: Final = frozenset(("Gather", "EmbedLayerNormalization", "TorchEmbedding", "GatherND"))
_NO_PRODUCT: Final = frozenset(("control", "function", "other"))
APART: Final = ("bias", "norm", "embedding", "other")


def is_quantized(graph: Graph) -> bool:
    """True where a node of the graph or of its bodies works on quantized numbers."""
    return any(
        node.op in _QUANTIZED or node.op.startswith(("QLinear", "QOrdered"))
        for one in nested([graph])
        for node in one.nodes
    )


def float_left(graph: Graph, tensors: Sequence[Tensor], uses: Mapping[int, Sequence[Use]]) -> FloatLeft | None:
    """The float parameters of a quantized model: those that products read, and apart those that usually stay floats.

    None where nothing in the model is quantized.
    """
    if not is_quantized(graph):
        return None
    rules = rules_for(graph)
    left: list[FloatTensor] = []
    apart: dict[str, list[Tensor]] = {what: [] for what in APART}
    for tensor in tensors:
        constant = tensor.constant
        if tensor.role != PARAM or constant.encoding.dtype not in _FLOATS:
            continue
        read = uses.get(id(constant), ())
        product = next((use for use in read if _is_product(use, _rules(use, rules))), None)
        if product is None:
            apart[_what(read, rules)].append(tensor)
            continue
        at_load = "QuantizeLinear" in product.view.steps
        node = product.node
        left.append(FloatTensor(constant.name, node.label, node.op, constant.encoding.dtype, constant.nbytes, at_load))
    groups = tuple(
        Apart(what, len(found), sum(t.constant.nbytes for t in found), tuple(t.constant.name for t in found))
        for what, found in apart.items()
        if found
    )
    return FloatLeft(tuple(left), sum(t.bytes for t in left), groups)


def _rules(use: Use, rules: Mapping[tuple[str, str], Rules]) -> Rules | None:
    return rules.get((use.node.domain, use.node.op))


def _is_product(use: Use, rules: Rules | None) -> bool:
    """True where a node multiplies and accumulates with a matrix or kernel of the constant."""
    if sum(dim > 1 for dim in use.view.constant.shape) < 1 or len(use.view.constant.shape) < 2:
        return False
    if isinstance(layout(use), Layout):
        return True
    return use.input not in _BIASES and "bias" not in use.input and _multiplies(rules)


def _multiplies(rules: Rules | None) -> bool:
    if rules is None:
        return False
    return not isinstance(rules.kind, str) or rules.kind in MAC_KINDS - _NO_PRODUCT


def _what(read: Sequence[Use], known: Mapping[tuple[str, str], Rules]) -> str:
    """The kind of a float parameter that no product reads as its matrix."""
    for use in read:
        rules = _rules(use, known)
        if (use.input in _BIASES and rules is not None and rules.kind != "norm") or "bias" in use.input:
            return "bias"
        if rules is not None and rules.kind == "norm":
            return "norm"
        if use.node.op in _EMBEDDINGS:
            return "embedding"
        if use.node.op == "Add":
            return "bias"
    return "other"
