"""Normalizations: their scales and shifts lie on the axis they are for."""

from __future__ import annotations

from effaudit.axes._registry import couples
from effaudit.axes.call import Call, Unsuited
from effaudit.axes.terms import Term, product, unify
from effaudit.ops._registry import MICROSOFT
from effaudit.ops._shapes import axis_of


@couples("BatchNormalization", "InstanceNormalization")
def per_channel(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__BatchNormalization.html"""
    x, y = call.axes(0), call.out()
    call.same(x, y)
    for slot in range(1, 5):
        call.vector(slot, x[1])
    for slot in range(1, len(call.node.outputs)):
        for axis in call.out(slot):
            unify(axis, x[1])


@couples("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization")
@couples("SimplifiedLayerNormalization", domain=MICROSOFT)
def layer_norm(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__LayerNormalization.html"""
    x, y = call.axes(0), call.out()
    call.same(x, y)
    for slot in (1, 2):
        call.broadcast(call.axes(slot), x)
    axis = axis_of(call.attr("axis", -1), len(x))
    for slot in range(1, len(call.node.outputs)):
        if call.makes(slot):
            call.same(x[:axis], call.out(slot)[:axis])


@couples("SkipLayerNormalization", "SkipSimplifiedLayerNormalization", domain=MICROSOFT)
def skip_layer_norm(call: Call) -> None:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftskiplayernormalization"""
    x = call.axes(0)
    for slot in range(1, len(call.node.inputs)):
        call.broadcast(call.axes(slot), x)
    for slot in (0, 3):
        if call.makes(slot):
            call.same(x, call.out(slot))


@couples("EmbedLayerNormalization", domain=MICROSOFT)
def embed_layer_norm(call: Call) -> None:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftembedlayernormalization"""
    y = call.out()
    call.same(call.axes(0), y[:2])
    for slot in (2, 3, 4):
        if call.has(slot):
            table = call.axes(slot)
            call.fix(table[:1], "its vectors are looked up by the values fed")
            unify(table[1], y[2])
            call.made_by(slot, table[1])
    for slot in (5, 6):
        call.vector(slot, y[2])
    if call.makes(2):
        call.same(y, call.out(2))


@couples("GroupNormalization")
def group_norm(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__GroupNormalization.html: scales per channel, per group before opset 21"""
    x, y = call.axes(0), call.out()
    call.same(x, y)
    groups = call.attr("num_groups", 1)
    if x[1].size % groups:
        raise Unsuited("its groups do not divide its channels")
    group = Term(groups)
    unify(x[1], product((group, Term(x[1].size // groups))))
    for slot in (1, 2):
        call.vector(slot, x[1] if call.opset >= 21 else group)
    call.follows("num_groups", group)


@couples("GroupNorm", domain=MICROSOFT)
def group_norm_nhwc(call: Call) -> None:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftgroupnorm"""
    x, y = call.axes(0), call.out()
    call.same(x, y)
    channel = x[-1] if call.attr("channels_last", 1) else x[1]
    groups = call.attr("groups", 1)
    group = Term(groups)
    unify(channel, product((group, Term(channel.size // groups))))
    for slot in (1, 2):
        call.vector(slot, channel)
    call.follows("groups", group)
