"""Operators that move elements: axes are merged, divided, reordered, repeated."""

from __future__ import annotations

from collections.abc import Sequence

from effaudit.axes._registry import couples
from effaudit.axes.call import Call, Length, Unsuited
from effaudit.axes.terms import OPEN, Axes, Term, product, total, unify
from effaudit.ops._shapes import axis_of


@couples("Reshape", "Flatten", "Squeeze", "Unsqueeze")
@couples("ExpandDims", domain="com.microsoft")
def reshape(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__Reshape.html: axes that multiply to each other are one product"""
    x, y = call.axes(0), call.out()
    regroup(x, y)
    if call.node.op == "Reshape":
        call.edit(1 if call.has(1) else "shape", [Length(term) for term in y])


def regroup(x: Axes, y: Axes) -> None:
    """The two list the same elements in the same order. Raises Unsuited where their lengths are not numbers."""
    left, right = [t for t in x if t.size != 1], [t for t in y if t.size != 1]
    if any(t.size in (0, OPEN) for t in (*left, *right)):
        if len(left) != len(right):
            raise Unsuited("the length of an axis is not known")
        for a, b in zip(left, right, strict=True):
            unify(a, b)
        return
    while left and right:
        group: tuple[list[Term], list[Term]] = ([left.pop(0)], [right.pop(0)])
        sizes = [group[0][0].size, group[1][0].size]
        while sizes[0] != sizes[1]:
            side = 0 if sizes[0] < sizes[1] else 1
            source = (left, right)[side]
            if not source:
                raise Unsuited("its input and output do not have as many elements")
            group[side].append(source.pop(0))
            sizes[side] *= group[side][-1].size
        unify(product(group[0]), product(group[1]))


@couples("Transpose")
def transpose(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__Transpose.html"""
    x, y = call.axes(0), call.out()
    order = call.attr("perm") or tuple(range(len(x)))[::-1]
    call.same([x[i] for i in order], y)


@couples("Concat")
def concat(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__Concat.html"""
    joined(call, range(len(call.node.inputs)))


@couples("QLinearConcat", domain="com.microsoft")
def qlinear_concat(call: Call) -> None:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#commicrosoftqlinearconcat"""
    joined(call, range(2, len(call.node.inputs), 3))


def joined(call: Call, slots: Sequence[int]) -> None:
    y = call.out()
    axis = axis_of(call.attr("axis", 1), len(y))
    parts = []
    for slot in slots:
        x = call.axes(slot)
        call.same((*x[:axis], *x[axis + 1 :]), (*y[:axis], *y[axis + 1 :]))
        parts.append(x[axis])
    unify(y[axis], total(parts))


@couples("Split")
def split(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__Split.html"""
    x = call.axes(0)
    axis = axis_of(call.attr("axis", 0), len(x))
    parts = []
    for slot in range(len(call.node.outputs)):
        if not call.makes(slot):
            raise Unsuited("a part of the split has no name")
        y = call.out(slot)
        call.same((*x[:axis], *x[axis + 1 :]), (*y[:axis], *y[axis + 1 :]))
        parts.append(y[axis])
    unify(x[axis], total(parts))
    call.edit("split" if call.opset < 13 else 1, [Length(part) for part in parts])


@couples("Expand")
def expand(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__Expand.html: an axis of length 1 becomes a new one"""
    x, y = call.axes(0), call.out()
    call.broadcast(x, y)
    target = call.ints("shape", 1)
    count = len(target) if target is not None else len(call.axes(1)) and call.axes(1)[0].size
    if 0 <= count <= len(y):
        call.edit(1, [Length(term) for term in y[len(y) - count :]])


@couples("ConstantOfShape")
def constant_of_shape(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__ConstantOfShape.html"""
    call.edit(0, [Length(term) for term in call.out()])


@couples("Tile")
def tile(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__Tile.html"""
    x, y = call.axes(0), call.out()
    for a, b in zip(x, y, strict=True):
        if a.size == b.size:
            unify(a, b)
        elif a.size > 0 and b.size > 0 and b.size % a.size == 0:
            unify(b, product((Term(b.size // a.size, blocked="it counts repetitions"), a)))
        else:
            call.fix((a, b), "it is repeated")


@couples("Pad")
def pad(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__Pad.html"""
    x, y = call.axes(0), call.out()
    pads = call.ints("pads" if "pads" in call.node.attrs else "paddings", 1)
    chosen = call.ints("axes", 3)
    axes = range(len(x)) if chosen is None else [axis_of(axis, len(x)) for axis in chosen]
    if pads is None or len(pads) != 2 * len(axes) or (call.has(3) and chosen is None):
        for a, b in zip(x, y, strict=True):
            if a.size == b.size and a.size != OPEN:
                unify(a, b)
            call.fix((a, b), "its pads are not known")
        return
    around = {axis: (pads[i], pads[i + len(axes)]) for i, axis in enumerate(axes)}
    for i, (a, b) in enumerate(zip(x, y, strict=True)):
        first, last = around.get(i, (0, 0))
        if first == last == 0:
            unify(a, b)
        elif first >= 0 and last >= 0 and call.attr("mode", "constant") == "constant" and a.size != OPEN:
            why = "it is padding"
            unify(b, total((Term(first, blocked=why), a, Term(last, blocked=why))))
        else:
            call.fix((a, b), "it is padded with copies of its ends")


@couples("Shape", "Size")
def shape(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__Shape.html: no element of the input comes out"""
    call.fix(call.out(), "it is the shape of a tensor")


@couples("NonZero")
def non_zero(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__NonZero.html"""
    call.fix_all("places of its elements are an output")
