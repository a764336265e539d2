"""The graph with operators on integers (QLinearConv, QLinearMatMul, QGemm, ...), as onnxruntime's quantizer writes
it in its QOperator format.

A Relu or Clip behind an operator disappears where the scale of that operator's result is made for the clipped range.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
https://github.com/microsoft/onnxruntime/tree/main/onnxruntime/python/tools/quantization/operators
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.graph import Node
from effaudit.whatif.quantize.coding import Span, codes
from effaudit.whatif.quantize.integers import Form, Integers
from effaudit.whatif.quantize.qdq import Quantized
from effaudit.whatif.quantize.types import Rule

SOFTMAX: Final = (0.0, 255 / 256)  # the range whose scale is 1/256, which the integer kernel writes


def write(audited: Audited, rules: Sequence[Rule], spans: Mapping[str, Span]) -> Quantized:
    """The graph with the operators of static rules on integers; `spans` are the ranges of its floating tensors."""
    return Integers(audited, rules, spans).run(FORMS)


def _conv(to: Integers, i: int, node: Node) -> bool:
    bias = node.inputs[2] if len(node.inputs) > 2 else ""
    constant = to.floats.constant(bias)
    if bias and constant is None:
        return False
    x = to.quantized(i, node.inputs[0])
    w = to.weight(i, node.inputs[1], to.along(i, node.inputs[1], 0), bias=bias)
    y = to.own(i, node.outputs[0])
    more = () if constant is None else (to.bias(constant, x, w),)
    to.linear(node, "QLinearConv", (*x.three, *w.three, y.scale, y.zero, *more), domain="")
    return True


def _gemm(to: Integers, i: int, node: Node) -> bool:
    bias = node.inputs[2] if len(node.inputs) > 2 else ""
    constant = to.floats.constant(bias)
    if bias and constant is None:
        return False
    axis = to.along(i, node.inputs[1], 0 if node.attrs.get("transB", 0) else 1)
    a = to.quantized(i, node.inputs[0])
    b = to.weight(i, node.inputs[1], axis, bias=bias)
    y = to.own(i, node.outputs[0])
    beta = float(node.attrs.get("beta", 1.0))
    c = "" if constant is None else to.bias(constant, a, b, beta)
    attrs = {key: value for key, value in node.attrs.items() if key != "beta"}
    to.linear(replace(node, attrs=attrs), "QGemm", (*a.three, *b.three, c, y.scale, y.zero))
    return True


def _matmul(to: Integers, i: int, node: Node) -> bool:
    a = to.quantized(i, node.inputs[0])
    constant = to.floats.constant(node.inputs[1])
    # A scale per column is a vector, which the operator takes for matrices only.
    axis = to.along(i, node.inputs[1], 1) if constant is not None and len(constant.shape) == 2 else None
    b = to.weight(i, node.inputs[1], axis)
    y = to.own(i, node.outputs[0])
    to.linear(node, "QLinearMatMul", (*a.three, *b.three, y.scale, y.zero), domain="")
    return True


def _binary(to: Integers, i: int, node: Node) -> bool:
    a, b = (to.quantized(i, name) for name in node.inputs)
    y = to.own(i, node.outputs[0])
    to.linear(node, f"QLinear{node.op}", (*a.three, *b.three, y.scale, y.zero))
    return True


def _unary(to: Integers, i: int, node: Node) -> bool:
    x = to.quantized(i, node.inputs[0])
    y = to.own(i, node.outputs[0])
    to.linear(node, f"QLinear{node.op}", (*x.three, y.scale, y.zero))
    return True


def _softmax(to: Integers, i: int, node: Node) -> bool:
    x = to.quantized(i, node.inputs[0])
    y = to.own(i, node.outputs[0])
    to.linear(node, "QLinearSoftmax", (*x.three, y.scale, y.zero), opset=to.opset)
    return True


def _global_average(to: Integers, i: int, node: Node) -> bool:
    if node.inputs[0] not in to.held:
        return False
    x = to.quantized(i, node.inputs[0])
    y = to.own(i, node.outputs[0])
    to.linear(node, "QLinearGlobalAveragePool", (*x.three, y.scale, y.zero), channels_last=0)
    return True


def _concat(to: Integers, i: int, node: Node) -> bool:
    parts = [to.quantized(i, name) for name in node.inputs]
    y = to.own(i, node.outputs[0])
    to.linear(node, "QLinearConcat", (y.scale, y.zero, *(name for part in parts for name in part.three)))
    return True


def _clipping(to: Integers, i: int, node: Node) -> bool:
    source = node.inputs[0]
    held = to.held.get(source)
    if held is None or held.of != source or held.pair.value.symmetric or not to.floats.only_read_once(source):
        return False
    if to.floats.constant(source) is not None or source in to.made:
        return False
    to.held[node.outputs[0]] = held
    to.removed += 1
    return True


def _moves(to: Integers, i: int, node: Node) -> bool:
    held = to.held.get(node.inputs[0])
    if held is None or held.pair.value.axis is not None:
        return False
    output = to.result(node.outputs[0], held.pair, held.of)
    to.emit(replace(node, inputs=(held.name, *node.inputs[1:]), outputs=(output, *node.outputs[1:])))
    return True


def _max_pool(to: Integers, i: int, node: Node) -> bool:
    return to.opset >= 12 and _moves(to, i, node)


def _resize(to: Integers, i: int, node: Node) -> bool:
    return to.opset >= 11 and _moves(to, i, node)


def _split(to: Integers, i: int, node: Node) -> bool:
    held = to.quantized(i, node.inputs[0])
    outputs = tuple(to.result(name, held.pair, held.of) for name in node.outputs)
    to.emit(replace(node, inputs=(held.name, *node.inputs[1:]), outputs=outputs))
    return True


def _gather(to: Integers, i: int, node: Node) -> bool:
    if to.floats.constant(node.inputs[0]) is None:
        return False
    held = to.quantized(i, node.inputs[0])
    if held.pair.value.axis is not None:
        return False
    to.emit(
        replace(node, inputs=(held.name, *node.inputs[1:]), outputs=(to.result(node.outputs[0], held.pair, held.of),))
    )
    return True


def _pad(to: Integers, i: int, node: Node) -> bool:
    held = to.held.get(node.inputs[0])
    if to.opset < 11 or held is None:
        return False
    given = node.inputs[2] if len(node.inputs) > 2 else ""
    inputs = [held.name, node.inputs[1], *node.inputs[2:]]
    if node.attrs.get("mode", "constant") == "constant":
        constant = to.floats.constant(given)
        if given and constant is None:
            return False
        if constant is None:
            inputs[2:3] = [held.pair.zero]
        else:
            inputs[2] = to.draft.add(f"{given}_quantized", codes(constant, held.pair.value))
    output = to.result(node.outputs[0], held.pair, held.of)
    to.emit(replace(node, inputs=tuple(inputs), outputs=(output,)))
    return True


def _arg_max(to: Integers, i: int, node: Node) -> bool:
    held = to.held.get(node.inputs[0])
    if held is None:
        return False
    to.emit(replace(node, inputs=(held.name,)))
    return True


FORMS: Final[Mapping[str, Form]] = {
    "ArgMax": _arg_max,
    "Conv": _conv,
    "Gemm": _gemm,
    "MatMul": _matmul,
    **dict.fromkeys(("Add", "Mul"), _binary),
    **dict.fromkeys(("Relu", "Clip"), _clipping),
    **dict.fromkeys(("LeakyRelu", "Sigmoid", "AveragePool"), _unary),
    "MaxPool": _max_pool,
    "GlobalAveragePool": _global_average,
    "Split": _split,
    "Pad": _pad,
    **dict.fromkeys("Reshape Squeeze Unsqueeze Flatten Transpose".split(), _moves),
    "Resize": _resize,
    "Concat": _concat,
    "Softmax": _softmax,
    "Gather": _gather,
}
