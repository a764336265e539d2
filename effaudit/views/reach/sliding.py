"""Operators that slide over axes: convolution, pooling, transposed convolution, resizing.

Taps of a window: out * stride - pad + k * dilation for k = 0..kernel-1
(https://distill.pub/2019/computing-receptive-fields/, equations 2 to 6, which follow from it).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor, gcd
from typing import Final, NamedTuple

from effaudit.dims import Dim
from effaudit.errors import Undecided
from effaudit.ops._registry import MICROSOFT, NCHWC
from effaudit.ops._shapes import axis_of
from effaudit.ops._windows import pad_pairs, per_axis
from effaudit.ops.microsoft_nhwc import NHWC
from effaudit.views.reach.call import Call, Rule
from effaudit.views.reach.reach import Field
from effaudit.views.reach.steps import MAX_TABLE, Budget, Taps

SAME: Final = ("SAME_UPPER", "SAME_LOWER")
MAX_DENOMINATOR: Final = 4096


class Window(NamedTuple):
    """A window along one axis."""

    kernel: int
    stride: int
    dilation: int
    pad: int

    @property
    def taps(self) -> Taps:
        """The positions it reads."""
        span = (self.kernel - 1) * self.dilation
        return Taps((range(-self.pad, span - self.pad + 1, self.dilation),), self.stride)


def convolution(x: int = 0, w: int = 1, added: int | None = None, *, last: bool | None = False) -> Rule:
    """Data at input `x`, weights (M x C/group x kernel) at `w`, a sum at `added`; channels last, or (None) as the
    attribute says."""

    def rule(call: Call, out: int) -> Field:
        shape, weights = call.shape(x), call.shape(w)
        spatial = _spatial(call, len(shape), last)
        field = _windowed(call, call.field(x), shape, spatial, weights[2:], out)
        (channel,) = set(range(1, len(shape))) - set(spatial)
        depthwise = call.attr("group", 1) == shape[channel] == weights[0]
        parts = [field if depthwise else call.mixed(field, [channel], shape)]
        for place in range(len(call.fields)):
            if place not in (x, added):
                parts.append(call.everything(place))
        if added is not None:
            parts.append(call.pointwise(added, out))
        return call.joined(parts, out)

    return rule


def pooling(*, last: bool | None = False) -> Rule:
    """Windows of kernel_shape, channel by channel."""

    def rule(call: Call, out: int) -> Field:
        shape = call.shape()
        spatial = _spatial(call, len(shape), last)
        kernel = call.attr("kernel_shape")
        if not kernel:
            raise Undecided("its kernel_shape is missing")
        return _windowed(call, call.field(0), shape, spatial, kernel, out)

    return rule


def global_pooling(*, last: bool | None = False) -> Rule:
    """One window over everything."""

    def rule(call: Call, out: int) -> Field:
        shape = call.shape()
        spatial = _spatial(call, len(shape), last)
        call.mark(call.field(0), spatial)
        return call.mixed(call.field(0), spatial, shape)

    return rule


def _spatial(call: Call, rank: int, last: bool | None) -> range:
    channels_last = bool(call.attr("channels_last", 0)) if last is None else last
    return range(1, rank - 1) if channels_last else range(2, rank)


def _windowed(call: Call, field: Field, shape: Sequence[Dim], spatial: range, kernel: Sequence[Dim], out: int) -> Field:
    call.mark(field, spatial)
    counts = call.out(out)
    strides = per_axis(call.attr("strides"), len(spatial), 1)
    dilations = per_axis(call.attr("dilations"), len(spatial), 1)
    sides = per_axis([k if isinstance(k, int) else 0 for k in kernel], len(spatial), 1)
    if 0 in sides:
        raise Undecided("its kernel is not known")
    for axis, k, s, d, pads in zip(spatial, sides, strides, dilations, _pads(call, len(spatial)), strict=True):
        pad = pads if pads is not None else _same_pad(shape[axis], k, s, d, call.attr("auto_pad"))
        field = call.slid(field, axis, Window(k, s, d, pad).taps, counts[axis])
    return field


def _pads(call: Call, rank: int) -> Sequence[int | None]:
    """The padding before each axis; None where the size decides it."""
    mode = call.attr("auto_pad", "NOTSET")
    if mode in SAME:
        return [None] * rank
    return [0 if mode == "VALID" else begin for begin, _ in pad_pairs(call.attr("pads"), rank)]


def _same_pad(size: Dim, kernel: int, stride: int, dilation: int, mode: str) -> int:
    """https://onnx.ai/onnx/operators/onnx__Conv.html, auto_pad"""
    span = dilation * (kernel - 1) + 1
    if stride == 1:
        total = span - 1
    elif isinstance(size, int):
        total = max((-(-size // stride) - 1) * stride + span - size, 0)
    else:
        raise Undecided("SAME padding of an axis of unknown length")
    return total // 2 if mode == "SAME_UPPER" else total - total // 2


def transposed(call: Call, out: int) -> Field:
    """https://onnx.ai/onnx/operators/onnx__ConvTranspose.html: input i, tap k adds to output i * stride - pad + k *
    dilation"""
    shape, kernel, counts = call.shape(0), call.shape(1)[2:], call.out(out)
    spatial = range(2, len(shape))
    field = call.field(0)
    call.mark(field, spatial)
    rank = len(spatial)
    strides, dilations = per_axis(call.attr("strides"), rank, 1), per_axis(call.attr("dilations"), rank, 1)
    extra = per_axis(call.attr("output_padding"), rank, 0)
    for i, axis in enumerate(spatial):
        k = kernel[i]
        if not isinstance(k, int):
            raise Undecided("its kernel is not known")
        pad = _transposed_pad(call, i, shape[axis], counts[axis], (strides[i], dilations[i] * (k - 1) + 1, extra[i]))
        field = call.slid(field, axis, transposed_taps(k, strides[i], dilations[i], pad, call.budget), counts[axis])
    if not call.attr("group", 1) == shape[1] == call.shape(1)[0] or call.shape(1)[1] != 1:
        field = call.mixed(field, [1], shape)
    return call.joined([field, *(call.everything(place) for place in range(1, len(call.fields)))], out)


def _transposed_pad(call: Call, i: int, size: Dim, count: Dim, geometry: tuple[int, int, int]) -> int:
    mode = call.attr("auto_pad", "NOTSET")
    stride, span, extra = geometry
    if not call.attr("output_shape") and mode not in SAME:
        pad = _pads(call, len(call.shape(0)) - 2)[i]
        assert pad is not None
        return pad
    if not isinstance(size, int) or not isinstance(count, int):
        raise Undecided("padding that follows from an axis of unknown length")
    total = max(stride * (size - 1) + extra + span - count, 0)
    return total // 2 if mode == "SAME_UPPER" else total - total // 2


def transposed_taps(kernel: int, stride: int, dilation: int, pad: int, budget: Budget) -> Taps:
    """The inputs behind output o: those i with o + pad - i * stride = k * dilation for a tap k."""
    if stride > MAX_TABLE:
        raise Undecided(f"a stride of {stride:,}")
    common = gcd(stride, dilation)
    every = stride // common  # taps that reach an output lie this far apart
    budget.spend(stride * min(every, kernel))
    ranges = []
    for o in range(stride):
        first = next((k for k in range(min(every, kernel)) if (o + pad - k * dilation) % stride == 0), None)
        if first is None:
            ranges.append(range(0))
            continue
        count = (kernel - 1 - first) // every + 1
        start, step = (o + pad - first * dilation) // stride, dilation // common
        ranges.append(range(start, start - count * step, -step))
    return Taps(tuple(ranges), 1)


def resize(call: Call, out: int) -> Field:
    """https://onnx.ai/onnx/operators/onnx__Resize.html (taps of weight 0 are left out)"""
    shape, counts = call.shape(0), call.out(out)
    field = call.field(0)
    changed = [i for i, (a, b) in enumerate(zip(shape, counts, strict=True)) if a != b]
    call.mark(field, changed)
    scales = _scales(call, shape)
    for axis in changed:
        size, count = shape[axis], counts[axis]
        if not isinstance(size, int) or not isinstance(count, int):
            raise Undecided("a resize of an axis of unknown length")
        field = call.slid(field, axis, _resized(call, size, count, scales.get(axis)), count)
    return field


def _scales(call: Call, shape: Sequence[Dim]) -> dict[int, Fraction]:
    """The scale of each axis where the file gives scales."""
    if call.attr("scales") is not None:
        given: Sequence[float] | None = call.attr("scales")
    else:
        old = call.node.op == "Upsample" or call.opset < 11
        value = call.value(1 if old else 2)
        given = value.data if value is not None else None
    if not given:
        if call.attr("keep_aspect_ratio_policy", "stretch") != "stretch":
            raise Undecided("a resize that keeps the aspect ratio")
        return {}
    axes = [axis_of(axis, len(shape)) for axis in call.attr("axes") or range(len(shape))]
    if len(axes) != len(given) or not all(isinstance(scale, (int, float)) for scale in given):
        raise Undecided("scales that are not known")
    return {axis: _ratio(scale) for axis, scale in zip(axes, given, strict=True)}


def _ratio(scale: float) -> Fraction:
    """The ratio that a single-precision scale was rounded from."""
    exact = Fraction(scale)
    near = exact.limit_denominator(MAX_DENOMINATOR)
    return near if abs(near - exact) <= exact / 2**23 else exact


def _resized(call: Call, size: int, count: int, scale: Fraction | None) -> Taps:
    """The taps of one resized axis."""
    mode = call.attr("mode", "nearest")
    old = call.node.op == "Upsample" or call.opset < 11
    place = call.attr("coordinate_transformation_mode", "asymmetric" if old else "half_pixel")
    ratio = scale or Fraction(count, size)
    each, first = _coordinates(place, size, count, ratio)
    if call.attr("antialias", 0) and each > 1 and mode != "nearest":
        raise Undecided("a resize with antialias")
    rounding = call.attr("nearest_mode", ("ceil" if each > 1 else "floor") if old else "round_prefer_floor")
    ends = _around(first, mode, rounding), _around(each * (count - 1) + first, mode, rounding)
    if each.denominator <= min(count, MAX_TABLE) and ends[0][-1] >= 0 and ends[1][0] < size:
        taps = tuple(_around(each * o + first, mode, rounding) for o in range(each.denominator))
        return Taps(taps, each.numerator)
    if count > MAX_TABLE:
        raise Undecided("a resize by a ratio with a long period")
    call.budget.spend(count)
    return Taps(tuple(_held(_around(each * o + first, mode, rounding), size) for o in range(count)), None)


def _held(taps: range, size: int) -> range:
    """Taps outside the input read the pixel at its border instead."""
    first, last = (min(max(at, 0), size - 1) for at in (taps[0], taps[-1]))
    return range(first, last + 1)


def _coordinates(place: str, size: int, count: int, scale: Fraction) -> tuple[Fraction, Fraction]:
    """(per output position, at position 0): the coordinate in the input."""
    half = Fraction(1, 2)
    if place == "asymmetric":
        return 1 / scale, Fraction(0)
    if place == "align_corners":
        return (Fraction(size - 1, count - 1) if count > 1 else Fraction(0)), Fraction(0)
    if place == "tf_half_pixel_for_nn":
        return 1 / scale, half / scale
    if place == "pytorch_half_pixel" and count == 1:
        return 1 / scale, Fraction(0)
    if place == "half_pixel_symmetric":
        offset = Fraction(size, 2) * (1 - count / (scale * size))
        return 1 / scale, offset + half / scale - half
    if place in ("half_pixel", "pytorch_half_pixel"):
        return 1 / scale, half / scale - half
    raise Undecided(f"a resize with {place}")


def _around(x: Fraction, mode: str, rounding: str) -> range:
    """The input positions that weigh in at coordinate `x`."""
    if mode == "nearest":
        at = {
            "floor": floor(x),
            "ceil": ceil(x),
            "round_prefer_ceil": floor(x + Fraction(1, 2)),
        }.get(rounding, ceil(x - Fraction(1, 2)))
        return range(at, at + 1)
    at = floor(x)
    if at == x:
        return range(at, at + 1)
    return range(at - 1, at + 3) if mode == "cubic" else range(at, at + 2)


RULES: Final[dict[tuple[str, str], Rule]] = {
    ("", "Conv"): convolution(),
    ("", "ConvInteger"): convolution(),
    ("", "QLinearConv"): convolution(0, 3),
    (MICROSOFT, "FusedConv"): convolution(0, 1, 3),
    (MICROSOFT, "NhwcConv"): convolution(last=True),
    (MICROSOFT, "NhwcFusedConv"): convolution(0, 1, 3, last=True),
    (MICROSOFT, "QLinearConv"): convolution(0, 3, last=None),
    (NCHWC, "Conv"): convolution(0, 1, 3),
    (NHWC, "Conv"): convolution(last=True),
    (NHWC, "QLinearConv"): convolution(0, 3, last=True),
    ("", "ConvTranspose"): transposed,
    **{("", op): pooling() for op in ("MaxPool", "AveragePool", "LpPool")},
    (MICROSOFT, "NhwcMaxPool"): pooling(last=True),
    (MICROSOFT, "QLinearAveragePool"): pooling(last=None),
    **{(NCHWC, op): pooling() for op in ("MaxPool", "AveragePool")},
    **{(NHWC, op): pooling(last=True) for op in ("MaxPool", "AveragePool", "LpPool")},
    (NHWC, "QLinearAveragePool"): pooling(last=None),
    **{("", op): global_pooling() for op in ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")},
    (MICROSOFT, "QLinearGlobalAveragePool"): global_pooling(last=None),
    **{(NCHWC, op): global_pooling() for op in ("GlobalMaxPool", "GlobalAveragePool")},
    **{(NHWC, op): global_pooling(last=True) for op in ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")},
    ("", "Resize"): resize,
    ("", "Upsample"): resize,
    (NHWC, "Resize"): resize,
    (NCHWC, "Upsample"): resize,
}
