"""Operators between DequantizeLinear and QuantizeLinear as kernels on integers, one operator at a time.

The selectors of `QDQSelectorActionTransformer` (onnxruntime/core/optimizer/qdq_transformer/selectors_actions), with
`ReluQuantFusion` and `QDQS8ToU8Transformer` before them. Unlike `effaudit.lower.qdq`, which says what a runtime could
do, an operator here stays floating where ONNX Runtime leaves it so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from effaudit.graph import INT8, UINT8, Graph, Node
from effaudit.lower.ort_fusions.draft import Draft
from effaudit.lower.qdq import is_dequantize, is_quantize
from effaudit.ops._registry import MICROSOFT, ONNX

# What only moves elements: it reads and writes the integers, at one scale.
_MOVES: Final = frozenset(
    """Reshape Transpose Squeeze Unsqueeze Flatten Gather GatherElements Slice Expand Tile MaxPool Resize DepthToSpace
    SpaceToDepth Split""".split()
)
_UNARY: Final = frozenset("AveragePool GlobalAveragePool LeakyRelu Sigmoid Softmax".split())
_BINARY: Final = frozenset(("Add", "Mul"))
_BYTES: Final = frozenset(("int8", "uint8"))
_LEAST: Final = {"int8": -128, "uint8": 0, "int16": -32768, "uint16": 0}


class _Scaled(msgspec.Struct, frozen=True):
    """A quantized tensor: its name, scale and zero point, and the node between it and the floating one."""

    name: str
    scale: str
    zero: str
    node: int

    @property
    def inputs(self) -> tuple[str, str, str]:
        return (self.name, self.scale, self.zero)


def without_clipping(graph: Graph) -> Graph:
    """The graph without a Relu whose QuantizeLinear clips as it does."""
    if not any(map(is_quantize, graph.nodes)):
        return graph
    draft = Draft(graph)
    for i in draft.indices():
        node = draft.nodes[i]
        j = draft.sole(node.outputs[0]) if node.op == "Relu" and not node.domain else None
        if j is None or not is_quantize(draft.nodes[j]):
            continue
        after = draft.nodes[j]
        zero = after.inputs[2] if len(after.inputs) > 2 else ""
        if (draft.number(zero) if zero else 0) == _LEAST.get(draft.dtype(after.outputs[0]), None):
            draft.drop(i)
            draft.put(j, replace(after, inputs=(node.inputs[0], *after.inputs[1:])))
    return draft.graph()


def quantized(graph: Graph, *, signed: bool) -> Graph:
    """The graph with integer kernels. `signed`: the processor has those for signed activations; else what one
    DequantizeLinear alone reads is stored unsigned first."""
    if not any(map(is_dequantize, graph.nodes)):
        return graph
    draft = Draft(graph)
    if not signed:
        _unsigned(draft)
    for i in draft.indices():
        node = draft.nodes[i]
        if not node.domain and not node.bodies and node.outputs:
            _integer(draft, i, node, signed=signed)
    return draft.graph()


def _unsigned(draft: Draft) -> None:
    """Signed tensors between a QuantizeLinear and the one DequantizeLinear that reads it."""
    for i in draft.indices():
        node = draft.nodes[i]
        out = node.outputs[0] if node.outputs else ""
        if is_quantize(node) and draft.dtype(out) == INT8.dtype:
            j = draft.sole(out)
            if j is not None and is_dequantize(draft.nodes[j]):
                draft.values[out] = replace(draft.values[out], encoding=UINT8)
                _with_zero(draft, i, UINT8.dtype)
                _with_zero(draft, j, UINT8.dtype)


def _with_zero(draft: Draft, i: int, dtype: str) -> None:
    """The node with a zero point of its new type."""
    node = draft.nodes[i]
    if len(node.inputs) > 2 and node.inputs[2]:
        name = f"{node.inputs[2]}/{dtype}"
        if name not in draft.constants:
            draft.stored(name, UINT8, draft.shape(node.inputs[2]) or ())
        draft.put(i, replace(node, inputs=(*node.inputs[:2], name)))


def _before(draft: Draft, name: str) -> _Scaled | None:
    """What a floating tensor is dequantized from."""
    i = draft.maker(name) if name else None
    if i is None or not is_dequantize(draft.nodes[i]):
        return None
    return _scaled(draft.nodes[i].inputs[0], draft.nodes[i], i)


def _behind(draft: Draft, name: str) -> _Scaled | None:
    """What a floating tensor is quantized to, where nothing else is done with it."""
    i = draft.sole(name)
    if i is None or not is_quantize(draft.nodes[i]) or draft.nodes[i].inputs[0] != name:
        return None
    return _scaled(draft.nodes[i].outputs[0], draft.nodes[i], i)


def _scaled(name: str, node: Node, i: int) -> _Scaled:
    return _Scaled(name, node.inputs[1], node.inputs[2] if len(node.inputs) > 2 else "", i)


def _integer(draft: Draft, i: int, node: Node, *, signed: bool) -> None:
    """Puts the kernel on integers in the place of a node, where there is one."""
    fed = [_before(draft, name) for name in node.inputs]
    made = _behind(draft, node.outputs[0]) if len(node.outputs) == 1 else None
    if not fed or fed[0] is None:
        return
    if node.op in _MOVES:
        if made is not None:
            _move(draft, i, node, fed[0], made)
        return
    known = [one for one in fed if one is not None]
    if len(known) != len([name for name in node.inputs if name]):
        return
    types = {draft.dtype(one.name) for one in known[:1]} | ({draft.dtype(made.name)} if made else set())
    if len(types) != 1 or not types <= _BYTES:
        return
    kernel = _kernel(draft, node, known, made, signed=signed)
    if kernel is not None:
        _put(draft, i, kernel, known, made)


def _move(draft: Draft, i: int, node: Node, fed: _Scaled, made: _Scaled) -> None:
    same = (_same(draft, fed.scale, made.scale), _same(draft, fed.zero, made.zero))
    if all(same) and draft.dtype(fed.name) == draft.dtype(made.name):
        _put(draft, i, replace(node, inputs=(fed.name, *node.inputs[1:])), [fed], made)


def _same(draft: Draft, one: str, other: str) -> bool:
    return one == other or (draft.number(one) is not None and draft.number(one) == draft.number(other))


def _kernel(draft: Draft, node: Node, fed: Sequence[_Scaled], made: _Scaled | None, *, signed: bool) -> Node | None:
    """The node on integers; its output is not named yet."""
    end = (made.scale, made.zero) if made is not None else ("", "")
    first = draft.dtype(fed[0].name)
    if node.op == "Gemm" and _is_plain(node):
        bias = fed[2].name if len(fed) > 2 else ""
        inputs = (*fed[0].inputs, *fed[1].inputs, bias, *(end if made is not None else ()))
        return replace(node, domain=MICROSOFT, op="QGemm", inputs=inputs, attrs=_without_beta(node))
    if node.op == "MatMul" and made is None:
        (a, a_scale, a_zero), (b, b_scale, b_zero) = fed[0].inputs, fed[1].inputs
        inputs = (a, b, a_scale, b_scale, a_zero, b_zero)
        return replace(node, domain=MICROSOFT, op="MatMulIntegerToFloat", inputs=inputs)
    if made is None:
        return None
    if node.op in _UNARY:
        return replace(node, domain=MICROSOFT, op=f"QLinear{node.op}", inputs=(*fed[0].inputs, *end))
    if node.op in _BINARY and draft.dtype(fed[1].name) == first:
        inputs = (*fed[0].inputs, *fed[1].inputs, *end)
        return replace(node, domain=MICROSOFT, op=f"QLinear{node.op}", inputs=inputs)
    if node.op == "Concat" and len({draft.dtype(one.name) for one in fed}) == 1:
        inputs = (*end, *(name for one in fed for name in one.inputs))
        return replace(node, domain=MICROSOFT, op="QLinearConcat", inputs=inputs)
    if node.op == "MatMul":
        return replace(node, domain=ONNX, op="QLinearMatMul", inputs=(*fed[0].inputs, *fed[1].inputs, *end))
    if node.op == "Conv" and (signed or first == UINT8.dtype):
        inputs = (*fed[0].inputs, *fed[1].inputs, *end, *(one.name for one in fed[2:]))
        return replace(node, domain=ONNX, op="QLinearConv", inputs=inputs)
    return None


def _is_plain(node: Node) -> bool:
    return node.attrs.get("beta", 1.0) == 1.0 or len(node.inputs) < 3


def _without_beta(node: Node) -> dict[str, object]:
    return {key: value for key, value in node.attrs.items() if key != "beta"}


def _put(draft: Draft, i: int, kernel: Node, fed: Sequence[_Scaled], made: _Scaled | None) -> None:
    """The kernel in the place of a node and the QuantizeLinear behind it; what is dequantized for it alone goes."""
    names = [draft.nodes[one.node].outputs[0] for one in fed]
    if made is not None:
        draft.drop(made.node)
        kernel = replace(kernel, outputs=(made.name,))
    draft.put(i, kernel)
    for one, name in zip(fed, names, strict=True):
        if one.node in draft.nodes and not draft.edges(name) and name not in draft.pinned:
            draft.drop(one.node)
