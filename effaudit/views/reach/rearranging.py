"""Operators that move elements: reshapes, transposes, slices, joins, pads, gathers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from effaudit.dims import Dim
from effaudit.errors import Undecided
from effaudit.ops._registry import MICROSOFT, NCHWC
from effaudit.ops._shapes import axis_of, fixed_ints
from effaudit.ops.movement import slice_dim
from effaudit.views.reach import reach
from effaudit.views.reach.call import Call, Rule
from effaudit.views.reach.reach import Field, Reach
from effaudit.views.reach.steps import MAX_TABLE, Taps


def shifted(start: int, step: int = 1) -> Taps:
    """Output o reads input start + o * step."""
    return Taps((range(start, start + 1),), step)


def same(call: Call, out: int) -> Field:
    """The first input as it is; expanded where the output is wider."""
    return call.pointwise(0, out)


def reshape(call: Call, out: int) -> Field:
    """The same elements under another shape: https://onnx.ai/onnx/operators/onnx__Reshape.html"""
    before, after = call.shape(), call.out(out)
    return call.mapped(call.field(0), lambda r: reach.reshaped(r, before, after, call.budget))


def transpose(call: Call, out: int) -> Field:
    shape = call.shape()
    perm = call.attr("perm") or tuple(reversed(range(len(shape))))
    places = {old: new for new, old in enumerate(perm)}
    return call.routed(call.field(0), shape, [places[i] for i in range(len(shape))])


def slice_(call: Call, out: int) -> Field:
    """https://onnx.ai/onnx/operators/onnx__Slice.html"""
    shape, counts, field = call.shape(), call.out(out), call.field(0)
    starts, ends = call.ints("starts", 1), call.ints("ends", 2)
    if starts is None or ends is None:
        raise Undecided("its limits are missing")
    axes = call.ints("axes", 3) or tuple(range(len(starts)))
    steps = call.ints("steps", 4) or (1,) * len(starts)
    for at, start, end, step in zip(axes, starts, ends, steps, strict=True):
        axis = axis_of(at, len(shape))
        if shape[axis] == counts[axis] and step == 1:
            continue
        first, _ = slice_dim(shape[axis], start, end, step)
        if not isinstance(first, int):
            raise Undecided("a slice of an axis of unknown length")
        field = call.slid(field, axis, shifted(first, step), counts[axis])
    return field


def split(call: Call, out: int) -> Field:
    """https://onnx.ai/onnx/operators/onnx__Split.html"""
    shape = call.shape()
    axis = call.axis(0, len(shape))
    start = 0
    for place in range(out):
        size = call.out(place)[axis] if call.node.outputs[place] else None
        if not isinstance(size, int):
            raise Undecided("a part of unknown length comes before")
        start += size
    return call.slid(call.field(0), axis, shifted(start), call.out(out)[axis])


def pad(call: Call, out: int) -> Field:
    """https://onnx.ai/onnx/operators/onnx__Pad.html (reflected and repeated pixels count as outside)"""
    rank = len(call.shape())
    pads = call.ints("pads" if "pads" in call.node.attrs else "paddings", 1)
    if pads is None:
        raise Undecided("its pads are missing")
    axes = call.ints("axes", 3) or tuple(range(rank))
    field = call.field(0)
    for at, before in zip(axes, pads[: len(axes)], strict=True):
        if before:
            axis = axis_of(at, rank)
            field = call.slid(field, axis, shifted(-before), call.out(out)[axis])
    return field


def tile(call: Call, out: int) -> Field:
    """https://onnx.ai/onnx/operators/onnx__Tile.html"""
    shape, counts, field = call.shape(), call.out(out), call.field(0)
    for axis, (size, count) in enumerate(zip(shape, counts, strict=True)):
        if size in (count, 1):
            field = field if size == count else call.mixed(field, [axis], shape)
            continue
        if not isinstance(size, int) or size > MAX_TABLE:
            raise Undecided("a Tile of an axis too long to list")
        field = call.slid(field, axis, Taps(tuple(range(i, i + 1) for i in range(size)), 0), count)
    return field


def expand_dims(call: Call, out: int) -> Field:
    """https://onnx.ai/onnx/operators/onnx__OneHot.html: one new axis"""
    rank = len(call.out(out))
    new = call.axis(-1, rank)
    return call.routed(call.field(0), call.shape(), [i for i in range(rank) if i != new])


def concat(places: slice = slice(0, None), axis_default: int = 0) -> Rule:
    """https://onnx.ai/onnx/operators/onnx__Concat.html, of the inputs at `places`

    Parts whose reach does not change along the axis (channels, nearly always) are united; the others are laid side by
    side.
    """

    def rule(call: Call, out: int) -> Field:
        parts = range(len(call.fields))[places]
        shape = call.out(out)
        axis = call.axis(axis_default, len(shape))
        moved = {key for place in parts for key in _stepping(call.field(place), axis)}
        if not moved:
            return call.joined((call.field(place) for place in parts), out)
        fields, start = [], 0
        for place in parts:
            size = call.shape(place)[axis]
            if not isinstance(size, int):
                raise Undecided("a join of parts of unknown length")
            fields.append(_laid(call, call.field(place), moved, axis, start, size, shape[axis]))
            start += size
        return call.joined(fields, out)

    return rule


def _stepping(field: Field, axis: int) -> list[tuple[str, int]]:
    """The (graph input, axis of it) of which positions along `axis` see different parts."""
    return [
        (name, i)
        for name, reaches in field.items()
        for i, one in enumerate(reaches)
        if any(at == axis for at, _ in one.terms)
    ]


def _laid(call: Call, field: Field, moved: set[tuple[str, int]], axis: int, start: int, size: int, count: Dim) -> Field:
    """A part from position `start` on; positions of other parts see nothing of it."""
    if not isinstance(count, int) or count > MAX_TABLE:
        raise Undecided("a join along an axis too long to list")
    ranges = (*[range(0)] * start, *(range(i, i + 1) for i in range(size)), *[range(0)] * (count - start - size))
    taps = Taps(ranges, None)

    def change(one: Reach) -> Reach:
        if not one.local:
            return one
        terms = dict(one.terms)
        terms.setdefault(axis, reach.STILL)
        return reach.slid(
            msgspec.structs.replace(one, terms=tuple(sorted(terms.items()))), axis, taps, count, call.budget
        )

    if size == count or not field:
        return field
    # Not `mapped`: a part that no position moves must still be bounded to its place.
    return {
        name: tuple([call.guarded(one, change) if (name, i) in moved else one for i, one in enumerate(reaches)])
        for name, reaches in field.items()
    }


def gather(call: Call, out: int) -> Field:
    """https://onnx.ai/onnx/operators/onnx__Gather.html"""
    data, wanted = call.shape(0), call.shape(1)
    axis = call.axis(0, len(data))
    extra = len(wanted) - 1
    parts = []
    if call.field(1):
        parts.append(call.routed(call.field(1), wanted, [axis + i for i in range(len(wanted))]))
    if call.field(0):
        field = _picked(call, axis, data, wanted)
        sizes = tuple(1 if i == axis else d for i, d in enumerate(data))
        places: list[int | None] = [i if i < axis else i + extra for i in range(len(data))]
        if not wanted:
            places[axis] = None
        parts.append(call.routed(field, sizes, places))
    return call.joined(parts, out)


def _picked(call: Call, axis: int, data: Sequence[Dim], wanted: Sequence[Dim]) -> Field:
    """The data where its axis reads the indices one after the other."""
    field = call.field(0)
    if not _stepping(field, axis):
        return field
    value = call.value(1)
    indices = fixed_ints(value) if value is not None else None
    size = data[axis]
    if indices is None or len(wanted) > 1 or not indices:
        return call.mapped(field, lambda r: _fed(r, axis))
    if any(i < 0 for i in indices):
        if not isinstance(size, int):
            raise Undecided("an index from the end of an axis of unknown length")
        indices = tuple(i % size for i in indices)
    step = indices[1] - indices[0] if len(indices) > 1 else 1
    if all(i == indices[0] + step * k for k, i in enumerate(indices)):
        return call.slid(field, axis, shifted(indices[0], step), len(indices))
    return call.slid(field, axis, Taps(tuple(range(i, i + 1) for i in indices), None), len(indices))


def _fed(one: Reach, axis: int) -> Reach:
    if any(at == axis for at, _ in one.terms):
        raise Undecided("the indices of a Gather decide what it reads")
    return one


def depth_to_space(call: Call, out: int) -> Field:
    """As its specification writes it: reshape, transpose, reshape.

    https://onnx.ai/onnx/operators/onnx__DepthToSpace.html
    """
    n, c, h, w = call.shape()
    b = call.attr("blocksize", 1)
    call.mark(call.field(0), (2, 3))
    depth = c // (b * b)
    if call.attr("mode", "DCR") == "CRD":
        return _three(call, (n, depth, b, b, h, w), (0, 1, 4, 2, 5, 3), out)
    return _three(call, (n, b, b, depth, h, w), (0, 3, 4, 1, 5, 2), out)


def space_to_depth(call: Call, out: int) -> Field:
    """https://onnx.ai/onnx/operators/onnx__SpaceToDepth.html: output channel (y, x, c) of each block"""
    n, c, h, w = call.shape()
    b = call.attr("blocksize", 1)
    call.mark(call.field(0), (2, 3))
    return _three(call, (n, c, h // b, b, w // b, b), (0, 3, 5, 1, 2, 4), out)


def _three(call: Call, shape: tuple[Dim, ...], perm: tuple[int, ...], out: int) -> Field:
    before, after = call.shape(), call.out(out)
    between = tuple(shape[i] for i in perm)
    places = {old: new for new, old in enumerate(perm)}

    def change(one: Reach) -> Reach:
        apart = reach.reshaped(one, before, shape, call.budget)
        return reach.reshaped(reach.renamed(apart, places), between, after, call.budget)

    return call.mapped(call.field(0), change)


def reorder(call: Call, out: int) -> Field:
    """com.microsoft.nchwc: channels into blocks and back, from or to channels last."""
    rank = len(call.shape())
    if not call.attr("channels_last", 0):
        return call.mixed(call.field(0), [1], call.shape())
    if call.node.op == "ReorderInput":
        return call.routed(call.field(0), call.shape(), [0, *range(2, rank), None])
    return call.routed(call.field(0), call.shape(), [0, None, *range(1, rank - 1)])


RULES: Final[dict[tuple[str, str], Rule]] = {
    **{("", op): same for op in "Identity Expand Dropout Trilu MemcpyFromHost MemcpyToHost BitCast".split()},
    **{("", op): reshape for op in "Reshape Flatten Squeeze Unsqueeze".split()},
    **{(MICROSOFT, op): same for op in ("Trilu", "BitmaskDropout")},
    (MICROSOFT, "ExpandDims"): reshape,
    ("", "Transpose"): transpose,
    ("", "Slice"): slice_,
    ("", "Split"): split,
    ("", "Pad"): pad,
    (MICROSOFT, "Pad"): pad,
    ("", "Tile"): tile,
    ("", "OneHot"): expand_dims,
    ("", "Concat"): concat(axis_default=1),
    (MICROSOFT, "QLinearConcat"): concat(slice(2, None, 3)),
    ("", "Gather"): gather,
    ("", "DepthToSpace"): depth_to_space,
    ("", "SpaceToDepth"): space_to_depth,
    (NCHWC, "ReorderInput"): reorder,
    (NCHWC, "ReorderOutput"): reorder,
}
