"""Which positions of its inputs an operator reads, axis by axis: the operators that a stage may hold.

All others mix positions in ways a tile cannot serve (global pooling, matrix products, attention, norms over space), or
are not followed here; both raise Blocked with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from effaudit.graph import Node, Value
from effaudit.ops._call import INVALID
from effaudit.ops._registry import MICROSOFT, Rules
from effaudit.ops._shapes import axis_of, fixed_ints
from effaudit.ops._windows import pad_pairs, per_axis
from effaudit.plan.patches.spans import ONCE, SAME, Blocked, Edged, Enlarged, OtherAxes, Reads, Spread, Window

Axes = tuple[int | None, ...]  # the axes of a tensor that are tiled; None: it has none for this one (broadcast)


class Reading(NamedTuple):
    """How one input is read: its tiled axes, and for each of them the positions."""

    name: str
    axes: Axes
    reads: tuple[Reads, ...]


class Call:
    """A node with the values around it and the tiled `axes` of its outputs."""

    def __init__(
        self, node: Node, values: Mapping[str, Value], opset: int, varying: frozenset[str], axes: tuple[int, ...]
    ) -> None:
        self.node, self.values, self.opset, self.varying, self.axes = node, values, opset, varying, axes

    def shape(self, place: int = 0) -> tuple[int, ...]:
        """The shape of an input in numbers."""
        return numbers(self.node.inputs[place], self.values)

    @property
    def out(self) -> tuple[int, ...]:
        return numbers(next(name for name in self.node.outputs if name), self.values)

    def ints(self, name: str, place: int) -> tuple[int, ...] | None:
        """Whole numbers that are an attribute in some versions and an input in others; None where not given."""
        if place < len(self.node.inputs) and self.node.inputs[place]:
            found = fixed_ints(self.values[self.node.inputs[place]])
            if found is None:
                raise Blocked(f"its {name} are not constant")
            return found
        given = self.node.attrs.get(name)
        return None if given is None else tuple(given) if isinstance(given, tuple) else (given,)

    def only(self, *places: int) -> None:
        """Raises Blocked where another input than these depends on the model's input."""
        for place, name in enumerate(self.node.inputs):
            if place not in places and name in self.varying:
                raise Blocked(f"its input {name} depends on the model's input")

    def reading(self, place: int, axes: Sequence[int | None], reads: Sequence[Reads]) -> Reading:
        return Reading(self.node.inputs[place], tuple(axes), tuple(reads))

    def same(self, place: int, axes: Sequence[int | None] | None = None) -> Reading:
        """Position by position."""
        return self.reading(place, self.axes if axes is None else axes, (SAME,) * len(self.axes))


Rule = Callable[[Call], list[Reading]]


def readings(call: Call, rules: Rules | None) -> list[Reading]:
    """How a node reads its varying inputs. Raises Blocked where a tile of its outputs cannot be had from tiles."""
    node = call.node
    rule = None if node.bodies else RULES.get((node.domain, node.op)) or _by_kind(node, rules)
    try:
        if rule is None:
            raise Blocked("it mixes positions, or is not followed")
        return [reading for reading in rule(call) if reading.name in call.varying]
    except Blocked as why:
        raise type(why)(f"{node.op} {node.label}: {why}") from None
    except INVALID as error:
        raise Blocked(f"{node.op} {node.label}: invalid: {str(error)[:160]}") from None


def numbers(name: str, values: Mapping[str, Value]) -> tuple[int, ...]:
    """A shape of whole numbers above 0. Raises Blocked otherwise."""
    shape = values[name].shape
    if shape is None or not all(type(dim) is int and dim > 0 for dim in shape):
        raise Blocked(f"the shape of {name} is not known in numbers")
    return shape  # type: ignore[return-value]


def windows(
    node: Node, values: Mapping[str, Value], data: int = 0, weights: int | None = 1
) -> tuple[tuple[Window, ...], tuple[int, ...]]:
    """The windows of a convolution or pooling node (`weights` None) over its spatial axes, and its kernel.

    Raises Blocked where they are not known, ValueError where the node is invalid.
    """
    shape = numbers(node.inputs[data], values)
    rank = len(shape) - 2
    if weights is None:
        kernel = tuple(per_axis(node.attrs.get("kernel_shape"), rank, 0))
    else:
        kernel = numbers(node.inputs[weights], values)[2:]
    if rank < 1 or len(kernel) != rank or 0 in kernel:
        raise Blocked(f"a kernel {list(kernel)} over {rank} spatial axes")
    strides, dilations = (per_axis(node.attrs.get(name), rank, 1) for name in ("strides", "dilations"))
    if min(*strides, *dilations) < 1:
        raise ValueError("strides and dilations must be 1 or more")
    made = [Window(k, s, d, 0) for k, s, d in zip(kernel, strides, dilations, strict=True)]
    return tuple(w._replace(pad=p) for w, p in zip(made, _pads(node, shape[2:], made), strict=True)), kernel


def _pads(node: Node, sizes: Sequence[int], made: Sequence[Window]) -> list[int]:
    """The padding before each axis (https://onnx.ai/onnx/operators/onnx__Conv.html, auto_pad)."""
    mode = node.attrs.get("auto_pad", "NOTSET")
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        return [0 if mode == "VALID" else begin for begin, _ in pad_pairs(node.attrs.get("pads"), len(sizes))]
    pads = []
    for size, w in zip(sizes, made, strict=True):
        both = max((-(-size // w.stride) - 1) * w.stride + w.extent - size, 0)
        pads.append(both // 2 if mode == "SAME_UPPER" else both - both // 2)
    return pads


def _sliding(data: int, weights: int | None, added: int | None = None) -> Rule:
    """Convolution or pooling of input `data`; `added` is a sum with the output."""

    def rule(call: Call) -> list[Reading]:
        call.only(data, *(() if added is None else (added,)))
        if call.node.attrs.get("channels_last", 0):
            raise Blocked("channels come last")
        made, _ = windows(call.node, call.values, data, weights)
        spatial = tuple(range(2, 2 + len(made)))
        if call.axes != spatial:
            raise OtherAxes(f"it slides over axes {list(spatial)}, and the stage is tiled over {list(call.axes)}")
        found = [call.reading(data, spatial, made)]
        if added is not None and added < len(call.node.inputs) and call.node.inputs[added]:
            found.append(call.same(added))
        return found

    return rule


def _transposed(call: Call) -> list[Reading]:
    """https://onnx.ai/onnx/operators/onnx__ConvTranspose.html"""
    call.only(0)
    attrs, shape, kernel = call.node.attrs, call.shape(0), call.shape(1)[2:]
    rank = len(kernel)
    if call.axes != tuple(range(2, 2 + rank)) or len(shape) != rank + 2:
        raise OtherAxes(f"the stage is tiled over axes {list(call.axes)}")
    if (
        max(per_axis(attrs.get("dilations"), rank, 1)) > 1
        or attrs.get("output_shape")
        or "SAME" in attrs.get("auto_pad", "")
    ):
        raise Blocked("a transposed convolution with dilations, output_shape or SAME padding")
    pads = [0 if attrs.get("auto_pad") == "VALID" else begin for begin, _ in pad_pairs(attrs.get("pads"), rank)]
    made = [Spread(*one) for one in zip(kernel, per_axis(attrs.get("strides"), rank, 1), pads, strict=True)]
    return [call.reading(0, call.axes, made)]


def _pointwise(call: Call) -> list[Reading]:
    """Every input position by position, broadcast."""
    wide = call.out
    found = []
    for place, name in enumerate(call.node.inputs):
        if name not in call.varying:
            continue
        shape = call.shape(place)
        lead = len(wide) - len(shape)
        if lead < 0 or any(dim not in (1, wide[lead + i]) for i, dim in enumerate(shape)):
            raise Blocked(f"how it makes {list(wide)} of {list(shape)} is not followed")
        axes = [axis - lead if axis >= lead else None for axis in call.axes]
        reads = [
            SAME if own is not None and shape[own] == wide[axis] else ONCE
            for own, axis in zip(axes, call.axes, strict=True)
        ]
        found.append(call.reading(place, axes, reads))
    return found


def _first(call: Call) -> list[Reading]:
    """The first input position by position; the others are constant."""
    call.only(0)
    if call.shape(0) != call.out:
        raise Blocked("its output has another shape than its input")
    return [call.same(0)]


def _batch_norm(call: Call) -> list[Reading]:
    """Stored statistics; in training they are those of all positions."""
    if call.node.attrs.get("training_mode", 0) or len([name for name in call.node.outputs if name]) > 1:
        raise Blocked("it is in training mode")
    return _first(call)


def _channels(call: Call) -> list[Reading]:
    """Axis 1 is mixed."""
    if 1 in call.axes:
        raise OtherAxes("it mixes channels, which are tiled")
    return _first(call)


def _along(default: int) -> Rule:
    """Every input position by position, mixed or joined along one axis that is not tiled."""

    def rule(call: Call) -> list[Reading]:
        axis = axis_of(call.node.attrs.get("axis", default), len(call.out))
        if axis in call.axes:
            raise OtherAxes(f"it works along axis {axis}, which is tiled")
        return [call.same(place) for place, name in enumerate(call.node.inputs) if name in call.varying]

    return rule


def _softmax(call: Call) -> list[Reading]:
    """Before version 13 all axes from `axis` on are one."""
    if call.opset < 13:
        raise Blocked("it mixes all positions")
    return _along(-1)(call)


def _slice(call: Call) -> list[Reading]:
    """Along axes that are not tiled."""
    call.only(0)
    starts = call.ints("starts", 1)
    axes = call.ints("axes", 3) or tuple(range(len(starts or ())))
    changed = {axis_of(axis, len(call.out)) for axis in axes}
    whole = {axis for axis in changed if call.shape(0)[axis] == call.out[axis]}
    if not (changed - whole).isdisjoint(call.axes) or _reversed(call, whole):
        raise Blocked("it cuts along a tiled axis")
    return [call.same(0)]


def _reversed(call: Call, whole: set[int]) -> bool:
    """Whether a tiled axis is kept whole but may be turned round."""
    return not whole.isdisjoint(call.axes) and any(step < 0 for step in call.ints("steps", 4) or ())


def _gather(call: Call) -> list[Reading]:
    """Constant indices along an axis before the tiled ones."""
    call.only(0)
    data, picked = call.shape(0), call.shape(1)
    axis, more = axis_of(call.node.attrs.get("axis", 0), len(data)), len(picked) - 1
    axes = [out if out < axis else out - more for out in call.axes]
    if any(axis <= out < axis + len(picked) for out in call.axes):
        raise Blocked("it picks along a tiled axis")
    return [call.same(0, axes)]


def _transpose(call: Call) -> list[Reading]:
    rank = len(call.out)
    perm = call.node.attrs.get("perm") or tuple(reversed(range(rank)))
    return [call.same(0, [axis_of(perm[axis], rank) for axis in call.axes])]


def _reshape(call: Call) -> list[Reading]:
    """Tiled axes that stay the last ones: what is regrouped comes before them."""
    call.only(0)
    before, after = call.shape(0), call.out
    tiled = len(call.axes)
    if before == after:
        return [call.same(0)]
    if call.axes != tuple(range(len(after) - tiled, len(after))) or before[-tiled:] != after[-tiled:]:
        raise OtherAxes("it regroups a tiled axis")
    return [call.same(0, range(len(before) - tiled, len(before)))]


def _reduce(call: Call) -> list[Reading]:
    """Along axes that are not tiled."""
    call.only(0)
    rank = len(call.shape(0))
    given = call.ints("axes", 1)
    if not given:
        raise Blocked("it mixes all positions")
    axes = {axis_of(axis, rank) for axis in given}
    kept = [axis for axis in range(rank) if axis not in axes or call.node.attrs.get("keepdims", 1)]
    own = [kept[axis] for axis in call.axes]
    if not axes.isdisjoint(own):
        raise Blocked("it mixes all positions of a tiled axis")
    return [call.same(0, own)]


def _pad(call: Call) -> list[Reading]:
    """https://onnx.ai/onnx/operators/onnx__Pad.html"""
    call.only(0)
    rank, mode = len(call.out), call.node.attrs.get("mode", "constant")
    pads = call.ints("pads" if "paddings" not in call.node.attrs else "paddings", 1) or ()
    axes = call.ints("axes", 3) or tuple(range(rank))
    if mode not in ("constant", "edge") or len(pads) != 2 * len(axes):
        raise Blocked(f"padding of mode {mode}")
    before = {axis_of(axis, rank): pad for axis, pad in zip(axes, pads, strict=False)}
    reads: list[Reads] = []
    for axis in call.axes:
        pad = before.get(axis, 0)
        unchanged = not pad and call.shape(0)[axis] == call.out[axis]
        reads.append(SAME if unchanged else Edged(pad) if mode == "edge" else Window(1, 1, 1, pad))
    return [call.reading(0, call.axes, reads)]


def _resize(call: Call) -> list[Reading]:
    """Nearest, by whole factors: https://onnx.ai/onnx/operators/onnx__Resize.html"""
    call.only(0)
    attrs, shape = call.node.attrs, call.shape(0)
    old = call.node.op == "Upsample" or call.opset < 11
    place = attrs.get("coordinate_transformation_mode", "asymmetric" if old else "half_pixel")
    rounding = attrs.get("nearest_mode", "floor" if old else "round_prefer_floor")
    # A pixel's centre is nearest to the centre it was made from; asymmetric coordinates reach it by rounding down.
    followed = (place, rounding) == ("asymmetric", "floor") or (
        place in ("half_pixel", "pytorch_half_pixel") and rounding in ("round_prefer_floor", "round_prefer_ceil")
    )
    if attrs.get("mode", "nearest") != "nearest" or not followed:
        raise Blocked(f"a resize of mode {attrs.get('mode', 'nearest')}, {place}, {rounding}")
    if any(a != b for i, (a, b) in enumerate(zip(shape, call.out, strict=True)) if i not in call.axes):
        raise Blocked("it resizes an axis that is not tiled")
    reads: list[Reads] = []
    for axis in call.axes:
        factor, left = divmod(call.out[axis], shape[axis])
        if left:
            raise Blocked(f"a resize of {shape[axis]} to {call.out[axis]}, not by a whole factor")
        reads.append(SAME if factor == 1 else Enlarged(factor))
    return [call.reading(0, call.axes, reads)]


def _block(call: Call) -> list[Reading]:
    """DepthToSpace, SpaceToDepth: https://onnx.ai/onnx/operators/onnx__DepthToSpace.html"""
    side = call.node.attrs["blocksize"]
    if call.axes != (2, 3) or side < 1:
        raise OtherAxes("it works on axes 2 and 3")
    read = Enlarged(side) if call.node.op == "DepthToSpace" else Window(side, side, 1, 0)
    return [call.reading(0, call.axes, (read, read))]


_POINTWISE_KINDS: Final = frozenset(("elementwise", "activation"))
_MIXING: Final = frozenset("RotaryEmbedding SwiGLU".split())
_FROM_MICROSOFT: Final = frozenset(
    "QLinearAdd QLinearMul QLinearLeakyRelu QLinearSigmoid Gelu FastGelu QuickGelu ScaledSiLU".split()
)


def _by_kind(node: Node, rules: Rules | None) -> Rule | None:
    """The rule of an operator that the table does not name: pointwise where its kind is."""
    if rules is None or rules.kind not in _POINTWISE_KINDS or node.op in _MIXING:
        return None
    return _pointwise if not node.domain or (node.domain == MICROSOFT and node.op in _FROM_MICROSOFT) else None


REDUCTIONS: Final = """ReduceSum ReduceProd ReduceMax ReduceMin ReduceMean ReduceL1 ReduceL2 ReduceLogSum
ReduceLogSumExp ReduceSumSquare""".split()
RULES: Final[dict[tuple[str, str], Rule]] = {
    ("", "Conv"): _sliding(0, 1),
    ("", "ConvInteger"): _sliding(0, 1),
    ("", "QLinearConv"): _sliding(0, 3),
    (MICROSOFT, "QLinearConv"): _sliding(0, 3),
    (MICROSOFT, "FusedConv"): _sliding(0, 1, 3),
    **{("", op): _sliding(0, None) for op in ("MaxPool", "AveragePool", "LpPool")},
    (MICROSOFT, "QLinearAveragePool"): _sliding(0, None),
    ("", "ConvTranspose"): _transposed,
    ("", "BatchNormalization"): _batch_norm,
    ("", "LRN"): _channels,
    **{(domain, op): _first for domain in ("", MICROSOFT) for op in ("QuantizeLinear", "DequantizeLinear")},
    **{("", op): _first for op in ("Identity", "Dropout")},
    **{("", op): _softmax for op in ("Softmax", "LogSoftmax", "Hardmax")},
    ("", "Concat"): _along(0),
    (MICROSOFT, "QLinearConcat"): _along(0),
    ("", "Split"): _along(0),
    ("", "Slice"): _slice,
    ("", "Gather"): _gather,
    ("", "Transpose"): _transpose,
    **{("", op): _reshape for op in ("Reshape", "Squeeze", "Unsqueeze", "Flatten")},
    **{("", op): _reduce for op in REDUCTIONS},
    ("", "Pad"): _pad,
    ("", "Resize"): _resize,
    ("", "Upsample"): _resize,
    ("", "DepthToSpace"): _block,
    ("", "SpaceToDepth"): _block,
}
