"""Convolutions: filters make the output channels; groups divide the channels of both sides."""

from __future__ import annotations

from collections.abc import Sequence

from effaudit.axes._registry import couples
from effaudit.axes.call import Call
from effaudit.axes.terms import Axes, Term, product, unify

SPATIAL = "it is a spatial axis"


@couples("Conv")
@couples("FusedConv", domain="com.microsoft")
@couples("ConvInteger")
def conv(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__Conv.html (FusedConv: Z is added to the output)"""
    bias, added = (None, None) if call.node.op == "ConvInteger" else (2, 3)
    convolved(call, 0, 1, bias)
    if call.node.op == "ConvInteger":
        call.vector(3, call.axes(1)[0])
    elif added is not None and call.has(added):
        call.same(call.axes(added), call.out())


@couples("QLinearConv")
@couples("QLinearConv", domain="com.microsoft")
def qlinear_conv(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__QLinearConv.html"""
    if call.attr("channels_last", 0):
        call.fix_all("QLinearConv with channels last has no coupling rule")
        return
    convolved(call, 0, 3, 8)
    for slot in (4, 5):
        call.vector(slot, call.axes(3)[0])


def convolved(call: Call, data: int, weight: int, bias: int | None) -> None:
    """The axes of a convolution whose weight is [out, in / groups, kernel...]."""
    x, w, y = call.axes(data), call.axes(weight), call.out()
    unify(x[0], y[0])
    groups = call.attr("group", 1)
    if groups == 1:
        unify(x[1], w[1])
    else:
        group = Term(groups)
        unify(x[1], product((group, w[1])))
        unify(w[0], product((group, Term(w[0].size // groups))))
        call.follows("group", group)
    unify(w[0], y[1])
    if bias is not None and call.has(bias):
        call.vector(bias, y[1])
    spatial(call, x[2:], y[2:], w[2:])
    call.made_by(weight, w[0])


def spatial(call: Call, x: Axes, y: Axes, kernel: Axes) -> None:
    """Axes a window slides over keep their lengths, but for those that come out as long as they went in, whatever their
    length: a window over channels is no reason to keep them all."""
    call.fix(kernel, "it is an axis of a kernel")
    strides = call.attr("strides", (1,) * len(x))
    for a, b, stride in zip(x, y, strides, strict=True):
        if stride == 1 and a.size == b.size:
            unify(a, b)
        else:
            call.fix((a, b), SPATIAL)


@couples("ConvTranspose")
def conv_transpose(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__ConvTranspose.html: the weight is [in, out / groups, kernel...]"""
    x, w, y = call.axes(0), call.axes(1), call.out()
    unify(x[0], y[0])
    groups = call.attr("group", 1)
    if groups == 1:
        unify(x[1], w[0])
        unify(y[1], w[1])
        call.made_by(1, w[1])
    else:
        group = Term(groups)
        unify(w[0], product((group, Term(w[0].size // groups))))
        unify(x[1], w[0])
        unify(y[1], product((group, w[1])))
        call.follows("group", group)
        call.made_by(1, y[1])
    call.vector(2, y[1])
    call.fix(w[2:], "it is an axis of a kernel")
    _slid(call, x[2:], y[2:])


@couples("DeformConv")
def deform_conv(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__DeformConv.html"""
    if call.attr("offset_group", 1) != 1:
        call.fix_all("DeformConv with several offset groups has no coupling rule")
        return
    convolved(call, 0, 1, 3)
    for slot in (2, 4):
        call.fix(call.axes(slot)[1:], "its channels are offsets of a kernel")


@couples("MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def pool(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__MaxPool.html: each channel apart"""
    _per_channel(call, 0)


@couples("QLinearAveragePool", "QLinearGlobalAveragePool", domain="com.microsoft")
def qlinear_pool(call: Call) -> None:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md"""
    if call.attr("channels_last", 0):
        call.fix_all(f"{call.node.op} with channels last has no coupling rule")
        return
    _per_channel(call, 0)


def _per_channel(call: Call, data: int) -> None:
    x = call.axes(data)
    for slot in range(len(call.node.outputs)):
        if call.makes(slot):
            y = call.out(slot)
            call.same(x[:2], y[:2])
            if call.node.op.startswith(("Global", "QLinearGlobal")):
                call.fix(y[2:], SPATIAL)
            else:
                _slid(call, x[2:], y[2:])


def _slid(call: Call, x: Sequence[Term], y: Sequence[Term]) -> None:
    call.fix((*x, *y), SPATIAL)


@couples("Resize", "Upsample")
def resize(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__Resize.html"""
    x, y = call.axes(0), call.out()
    axes = call.attr("axes")
    if axes is not None:
        call.fix((*x, *y), SPATIAL)
        return
    for a, b in zip(x, y, strict=True):
        if a.size == b.size:
            unify(a, b)
        else:
            call.fix((a, b), SPATIAL)
    if call.has(3):
        call.follows(3, *y)


@couples("DepthToSpace")
def depth_to_space(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__DepthToSpace.html"""
    x, y = call.axes(0), call.out()
    block = _block(call)
    parts = (y[1], *block) if call.attr("mode", "DCR") == "CRD" else (*block, y[1])
    unify(x[0], y[0])
    unify(x[1], product(parts))
    _slid(call, x[2:], y[2:])


@couples("SpaceToDepth")
def space_to_depth(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__SpaceToDepth.html"""
    x, y = call.axes(0), call.out()
    unify(x[0], y[0])
    unify(y[1], product((*_block(call), x[1])))
    _slid(call, x[2:], y[2:])


def _block(call: Call) -> tuple[Term, Term]:
    size = call.attr("blocksize", 1)
    why = "it is a block of positions"
    return Term(size, blocked=why), Term(size, blocked=why)
