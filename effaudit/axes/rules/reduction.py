"""Reductions: the axes that stay pass through."""

from __future__ import annotations

from effaudit.axes._registry import couples
from effaudit.axes.call import Call, Unsuited
from effaudit.axes.terms import unify
from effaudit.ops._shapes import axis_of


@couples(
    *"ReduceSum ReduceProd ReduceMax ReduceMin ReduceMean ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp".split(),
    "ReduceSumSquare",
)
def reduce(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__ReduceMean.html"""
    x = call.axes(0)
    axes = call.ints("axes", 1)
    if axes is None and call.has(1):
        raise Unsuited("the axes it reduces are not known")
    if not axes:
        gone = set() if call.attr("noop_with_empty_axes", 0) else set(range(len(x)))
    else:
        gone = {axis_of(axis, len(x)) for axis in axes}
    _passed(call, gone)


def _passed(call: Call, gone: set[int]) -> None:
    x, y = call.axes(0), call.out()
    keeps = call.attr("keepdims", 1)
    left = iter(y)
    for i, term in enumerate(x):
        if i not in gone:
            unify(term, next(left))
        elif keeps:
            next(left)


@couples("ArgMax", "ArgMin")
def arg(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__ArgMax.html: what comes out are places on the axis"""
    x = call.axes(0)
    axis = axis_of(call.attr("axis", 0), len(x))
    call.fix((x[axis],), "places on it are an output")
    _passed(call, {axis})


@couples("TopK")
def top_k(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__TopK.html"""
    x = call.axes(0)
    axis = axis_of(call.attr("axis", -1), len(x))
    for slot in (0, 1):
        if call.makes(slot):
            for i, (a, b) in enumerate(zip(x, call.out(slot), strict=True)):
                if i == axis:
                    call.fix((a, b), "places on it are an output")
                else:
                    unify(a, b)
