"""com.ms.internal.nhwc: the ONNX operators with channels last, as execution providers that prefer them rewrite a graph.

Every rule is the ONNX one between two transpositions of its first input and output; weights keep their ONNX layout. A
fused `activation` adds its number per output element.

https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/graph/contrib_ops/internal_nhwc_onnx_schemas.cc
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from effaudit.graph import Value
from effaudit.ops import conv, image, microsoft_pooling, normalization, pooling, resize
from effaudit.ops._inputs import ranked
from effaudit.ops._registry import MICROSOFT, ONNX, Cost, Rules, Signature, cost, find, registered, shape, unpriced
from effaudit.ops.microsoft_conv import to_first, to_last
from effaudit.ops.microsoft_matmul import activation_ops

NHWC: Final = "com.ms.internal.nhwc"
FAMILIES: Final = (conv, image, microsoft_pooling, normalization, pooling, resize)  # whose rules are wrapped
ROTATED: Final = (
    "AveragePool BatchNormalization Conv ConvTranspose DepthToSpace GlobalAveragePool GlobalLpPool GlobalMaxPool "
    "GridSample InstanceNormalization LRN LpPool MaxPool QLinearConv SpaceToDepth"
).split()


def _first(value: Value) -> Value:
    return Value(value.encoding, to_first(ranked(value, "X", 3, 4, 5)))


def _last(value: Value) -> Value:
    return Value(value.encoding, to_last(value.shape)) if value.shape is not None else value


def _shape_rule(base: Callable[..., Any]) -> Callable[..., Any]:
    def rule(*inputs: Value, **attrs: Any) -> Any:
        made = base(_first(inputs[0]), *inputs[1:], **attrs)
        return (_last(made[0]), *made[1:]) if isinstance(made, tuple) else _last(made)

    rule.__doc__ = base.__doc__
    return rule


def _max_pool(base: Callable[..., Any]) -> Callable[..., Any]:
    """As `_shape_rule`; the indices lie like the output."""

    def rule(*inputs: Value, **attrs: Any) -> tuple[Value, ...]:
        return tuple(_last(made) for made in base(_first(inputs[0]), *inputs[1:], **attrs))

    rule.__doc__ = base.__doc__
    return rule


def _cost_rule(base: Callable[..., Cost], takes: Signature) -> Callable[..., Cost]:
    def rule(*inputs: Value, activation: str = "", outs: tuple[Value, ...], **rest: Any) -> Cost:
        first = _first(outs[0])
        if takes.wants_out:
            rest["out"] = first
        if takes.wants_outs:
            rest["outs"] = (first, *outs[1:])
        priced = base(_first(inputs[0]), *inputs[1:], **rest)
        return msgspec.structs.replace(priced, ops=priced.ops + activation_ops(activation) * first.numel)

    rule.__doc__ = base.__doc__
    return rule


def _kind_rule(kind: str | Callable[..., str]) -> str | Callable[..., str]:
    if isinstance(kind, str):
        return kind

    def rule(*inputs: Value, **attrs: Any) -> str:
        return kind(_first(inputs[0]), *inputs[1:], **attrs)

    return rule


def _register(op: str, base: Rules) -> None:
    """The rules of `op` in this domain, called like those of `base`, with a fused activation."""
    assert base.shape is not None and base.cost is not None and base.cost_takes is not None
    shape(op, domain=NHWC)((_max_pool if op == "MaxPool" else _shape_rule)(base.shape))
    cost(op, domain=NHWC, kind=_kind_rule(base.kind))(_cost_rule(base.cost, base.cost_takes))
    rules = registered().get((NHWC, op))
    assert rules is not None
    rules.shape_takes = base.shape_takes
    rules.cost_takes = msgspec.structs.replace(
        base.cost_takes, keywords=base.cost_takes.keywords | {"activation"}, wants_out=False, wants_outs=True
    )


for _op in ROTATED:
    _rules = find(ONNX, _op)
    assert _rules is not None
    _register(_op, _rules)


def _as_they_are(op: str, domain: str) -> None:
    """An operator whose own attributes or inputs already follow the layout."""
    base = find(domain, op)
    assert base is not None and base.shape is not None and base.cost is not None
    shape(op, domain=NHWC)(base.shape)
    cost(op, domain=NHWC, kind=base.kind)(base.cost)


_as_they_are("Resize", ONNX)  # its scales and sizes are permuted with its input
_as_they_are("QLinearAveragePool", MICROSOFT)  # it has channels_last

unpriced("MaxUnpool", domain=NHWC, reason="whether its indices and output_shape follow the layout is specified nowhere")
unpriced("QLinearConvTranspose", domain=NHWC, reason="its only specification is one execution provider's kernel")
