"""Resize and Upsample: output sizes as ONNX Runtime computes them, in single precision."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import floor
from typing import Any, Final

from effaudit import dims
from effaudit.dims import Dim, Expr
from effaudit.graph import Shape, Value
from effaudit.ops._data import as_dim, to_float32
from effaudit.ops._registry import Context, Cost, cost, shape
from effaudit.ops._shapes import axis_of, length

MAX_DENOMINATOR: Final = 128  # scales are taken for p/q with q up to this: exact for outputs up to 2**23 / q = 65,536


@shape("Resize")
def resize(
    x: Value,
    roi: Value | None = None,
    scales: Value | None = None,
    sizes: Value | None = None,
    *,
    axes: Sequence[int] | None = None,
    keep_aspect_ratio_policy: str = "stretch",
    ctx: Context,
) -> Value:
    """https://onnx.ai/onnx/operators/onnx__Resize.html

    `roi` never changes the shape: ONNX Runtime and onnx leave it out, although the text of tf_crop_and_resize has it.
    """
    assert x.shape is not None
    if ctx.opset < 11:
        scales = roi
    places = _places(axes, len(x.shape))
    if sizes is not None and length(sizes) != 0:
        made = _by_sizes(x.shape, sizes, places, keep_aspect_ratio_policy, ctx)
    elif scales is not None and length(scales) != 0:
        made = _by_scales(x.shape, scales, places, ctx)
    else:
        raise ValueError("neither scales nor sizes")
    return Value(x.encoding, made)


@shape("Upsample")
def upsample(x: Value, scales: Value, *, ctx: Context) -> Value:
    """https://onnx.ai/onnx/operators/onnx__Upsample.html"""
    assert x.shape is not None
    return Value(x.encoding, _by_scales(x.shape, scales, range(len(x.shape)), ctx))


def _places(axes: Sequence[int] | None, rank: int) -> Sequence[int]:
    return [axis_of(axis, rank) for axis in axes] if axes else range(rank)


def _elements(value: Value, places: Sequence[int], name: str) -> Sequence[Any]:
    """One element per resized axis, None where it is fed. Raises ValueError on another number of them."""
    given = length(value)
    if given is not None and given != len(places):
        raise ValueError(f"{given} {name} for {len(places)} axes")
    data = value.data
    return [None] * len(places) if data is None else data


def _by_scales(whole: Shape, scales: Value, places: Sequence[int], ctx: Context) -> Shape:
    made = list(whole)
    for place, scale in zip(places, _elements(scales, places, "scales"), strict=True):
        made[place] = ctx.data_dim("the scales fed decide it") if scale is None else scaled(whole[place], scale, ctx)
    return tuple(made)


def scaled(size: Dim, scale: Any, ctx: Context) -> Dim:
    """floor(size x scale), the product rounded to single precision first. Raises ValueError on a scale not above 0."""
    if isinstance(scale, Expr):
        return dims.floordiv(size * scale, 1)
    if not 0 < scale < 2**31:
        raise ValueError(f"a scale of {scale}")
    if isinstance(size, int):
        return floor(to_float32(to_float32(scale) * size))
    exact = Fraction(to_float32(scale))
    ratio = exact.limit_denominator(MAX_DENOMINATOR)
    if to_float32(ratio.numerator / ratio.denominator) != exact:
        return ctx.unknown_dim(f"rounding of the scale {scale:.9g}", 0)
    made = dims.floordiv(size * ratio.numerator, ratio.denominator)
    if exact / ratio - 1 >= Fraction(-1, 2**25):
        return made
    # The stored scale lies so far below p/q that rounding leaves some whole products one short.
    return ctx.unknown_dim(f"rounding of the scale {scale:.9g}", 0, made)


def _by_sizes(whole: Shape, sizes: Value, places: Sequence[int], policy: str, ctx: Context) -> Shape:
    wanted = [as_dim(size) for size in _elements(sizes, places, "sizes")]
    if policy not in ("stretch", "not_larger", "not_smaller"):
        raise ValueError(f"keep_aspect_ratio_policy {policy!r} is not one of stretch, not_larger, not_smaller")
    if policy != "stretch" and len(places) > 1:
        return _keeping(whole, wanted, places, policy, ctx)
    made = list(whole)
    for place, size in zip(places, wanted, strict=True):
        made[place] = ctx.data_dim("the sizes fed decide it") if size is None else size
    return tuple(made)


def _keeping(whole: Shape, wanted: Sequence[Dim | None], places: Sequence[int], policy: str, ctx: Context) -> Shape:
    """The sizes that keep the aspect ratio: one scale for all axes."""
    made = list(whole)
    pairs = [(size, whole[place]) for place, size in zip(places, wanted, strict=True)]
    known = [(size, old) for size, old in pairs if isinstance(size, int) and isinstance(old, int) and old]
    if len(known) == len(pairs):
        ratios = [to_float32(size / old) for size, old in known]
        scale = min(ratios) if policy == "not_larger" else max(ratios)
        for place, (_, old) in zip(places, known, strict=True):
            made[place] = floor(to_float32(scale * old) + 0.5)
        return tuple(made)
    for place, size in zip(places, wanted, strict=True):
        reason = "the input and the sizes wanted decide it"
        if policy == "not_larger":
            made[place] = ctx.unknown_dim(reason, 0, size)
        else:
            made[place] = ctx.unknown_dim(reason, size if isinstance(size, int) else 0)
    return tuple(made)


@cost("Resize", "Upsample", kind="resize")
def resize_cost(x: Value, *rest: Any, mode: str = "nearest", antialias: int = 0, out: Value) -> Cost:
    """ops = numel(out) x (3 x taps - 1), 0 for nearest (a copy): taps products, taps - 1 sums and taps weights, where
    taps is 2 (linear) or 4 (cubic) per axis that changes, x input / output (rounded up) where antialias shrinks"""
    if mode == "nearest":
        return Cost()
    assert x.shape is not None and out.shape is not None
    width = 4 if mode == "cubic" else 2
    taps: Dim = 1
    for old, new in zip(x.shape, out.shape, strict=True):
        if old != new:
            taps = taps * (dims.maximum(width, dims.ceildiv(old * width, new)) if antialias else width)
    return Cost(0, 0 if taps == 1 else out.numel * (taps * 3 - 1))
