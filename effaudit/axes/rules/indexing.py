"""Operators that pick elements by their place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from effaudit.axes._registry import couples
from effaudit.axes.call import Call, Indices, Position, Unsuited
from effaudit.axes.terms import OPEN, Term, cut, product, total, unify
from effaudit.ops._shapes import axis_of

MAX_RUNS: Final = 16  # runs of neighbours in constant indices: more are no cuts of an axis any more
BY_VALUE: Final = "its elements are looked up by the values fed"


@couples("Slice")
def slices(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__Slice.html"""
    x, y = call.axes(0), call.out()
    starts, ends = call.ints("starts", 1), call.ints("ends", 2)
    chosen, steps = call.ints("axes", 3), call.ints("steps", 4)
    if (call.has(3) and chosen is None) or (call.has(4) and steps is None):
        raise Unsuited("the axes or steps of its slices are not known")
    count = len(chosen) if chosen is not None else len(starts if starts is not None else ends or ())
    axes = [axis_of(axis, len(x)) for axis in (chosen if chosen is not None else range(count))]
    if not axes:
        raise Unsuited("the axes of its slices are not known")
    for i in set(range(len(x))) - set(axes):
        unify(x[i], y[i])
    bounds: list[list[Position | None]] = [[], []]
    for k, axis in enumerate(axes):
        start, end = (None if b is None else b[k] for b in (starts, ends))
        found = _sliced(call, x[axis], y[axis], (start, end, steps[k] if steps else 1))
        for side, position in zip(bounds, found, strict=True):
            side.append(position)
    legacy = "starts" in call.node.attrs
    if any(bounds[0]):
        call.edit("starts" if legacy else 1, bounds[0])
    if any(bounds[1]):
        call.edit("ends" if legacy else 2, bounds[1])


def _sliced(
    call: Call, x: Term, y: Term, bounds: tuple[int | None, int | None, int]
) -> tuple[Position | None, Position | None]:
    """One axis of a slice; the bounds that follow its length."""
    start, end, step = bounds
    size = x.size
    if size == y.size and size != OPEN and step == 1:  # all of it
        unify(x, y)
        return None, (None if end is None or end < 0 or end > size else Position(x, size))
    if start is None or end is None or size == OPEN:
        call.fix((x, y), "the bounds of its slice are not known")
        return None, None
    first = min(max(start + size if start < 0 else start, 0), size)
    last = min(max(end + size if end < 0 else end, 0), size)
    if step > 1 and size % step == 0 and first < step and y.size == size // step:
        unify(x, product((y, Term(step, blocked="every so many elements are picked"))))
        return None, None
    if step != 1 or y.size != last - first or not y.size:
        call.fix((x, y), "it is cut in steps")
        return None, None
    part = _between(x, first, last)
    if part is None:
        call.fix((x, y), "it is cut inside its parts")
        return None, None
    unify(part, y)
    return _bound(x, start, first), _bound(x, end, last)


def _bound(x: Term, written: int, place: int) -> Position | None:
    """A bound that follows; one past the end does not, nor does one at the beginning."""
    return Position(x, place) if place > 0 and written == place else _from_end(x, written, place)


def _from_end(x: Term, written: int, place: int) -> Position | None:
    return Position(x, place) if written < 0 and place > 0 else None


def _between(x: Term, first: int, last: int) -> Term | None:
    rest = x
    if first:
        found = cut(rest, first)
        if found is None:
            return None
        rest = found[1]
    if last - first < rest.size:
        found = cut(rest, last - first)
        if found is None:
            return None
        rest = found[0]
    return rest


@couples("Gather")
def gather(call: Call) -> None:
    """https://onnx.ai/onnx/operators/onnx__Gather.html: constant indices cut the axis; others keep it as it is"""
    x, places, y = call.axes(0), call.axes(1), call.out()
    axis = axis_of(call.attr("axis", 0), len(x))
    inner = y[axis : len(y) - (len(x) - axis - 1)]
    call.same((*x[:axis], *x[axis + 1 :]), (*y[:axis], *y[len(y) - (len(x) - axis - 1) :]))
    known = call.ints("", 1)
    if not call.varies(0) and len(x) == 2 and axis == 0 and known is None:
        call.made_by(0, x[1])
    if known is None or len(places) > 1 or x[axis].size == OPEN:
        call.fix((x[axis],), BY_VALUE)
        call.same(places, inner)
        return
    picked = _picked(x[axis], known)
    if picked is None:
        call.fix((x[axis], *inner), "its elements are picked one by one")
        return
    if inner:
        unify(total(picked), inner[0])
    call.edit(1, Indices(x[axis]))


def _picked(x: Term, known: Sequence[int]) -> list[Term] | None:
    """The parts of an axis that constant indices pick, in their order; None where they are too many."""
    places = [axis_of(i, x.size) for i in known]
    runs: list[list[int]] = []
    for i in places:
        if runs and runs[-1][-1] == i - 1:
            runs[-1].append(i)
        else:
            runs.append([i])
    if not runs or len(runs) > MAX_RUNS:
        return None
    found = [_between(x, run[0], run[-1] + 1) for run in runs]
    return None if None in found else [part for part in found if part is not None]
