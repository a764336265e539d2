"""Sliding windows: the output size of convolution and pooling.

https://onnx.ai/onnx/operators/onnx__Conv.html, https://onnx.ai/onnx/operators/onnx__MaxPool.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from effaudit import dims
from effaudit.dims import Dim, Expr
from effaudit.graph import Shape


def per_axis(values: Sequence[int] | None, rank: int, default: int) -> Sequence[int]:
    """An optional attribute with one number per spatial axis. Raises ValueError on the wrong number of them."""
    if not values:
        return (default,) * rank
    if isinstance(values, str) or len(values) != rank or not all(isinstance(v, int) for v in values):
        raise ValueError(f"{rank} whole numbers expected, {values!r} given")
    return values


def pad_pairs(pads: Sequence[int] | None, rank: int) -> list[tuple[int, int]]:
    """`pads` = (begin..., end...) as (begin, end) per axis."""
    flat = per_axis(pads, 2 * rank, 0)
    return list(zip(flat[:rank], flat[rank:], strict=True))


# How a last partial window counts: "fit" refuses a window larger than its input (convolution), "down" and "up" are the
# two modes of pooling, which ONNX Runtime computes with C++ division: a window larger than its input still counts once.
Rounding = Literal["fit", "down", "up"]


def output_dim(
    size: Dim, kernel: Dim, stride: int, dilation: int, pad: tuple[int, int], auto_pad: str, rounding: Rounding = "fit"
) -> Dim:
    """The number of window positions along one axis. Raises ValueError where no window fits."""
    if stride < 1 or dilation < 1:
        raise ValueError(f"stride {stride} and dilation {dilation} must be 1 or more")
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        return dims.ceildiv(size, stride)
    begin, end = (0, 0) if auto_pad == "VALID" else pad
    span = size + (begin + end) - (dilation * (kernel - 1) + 1)
    if rounding == "up":
        # A last window that would start in the end padding is dropped (onnx 1.16, PyTorch and ONNX Runtime alike).
        last_fits = dims.floordiv(size + begin - 1, stride) + 1
        out = dims.minimum(dims.ceildiv(span, stride) + 1, last_fits)
    elif rounding == "down":
        out = dims.truncdiv(span, stride) + 1
    else:
        out = dims.floordiv(span, stride) + 1
    least = 1 if rounding == "fit" and size != 0 else 0
    if not isinstance(out, Expr) and out < least:
        raise ValueError(f"a window of {kernel} (dilation {dilation}) does not fit into {size} + padding {begin}+{end}")
    return out


def window_shape(
    spatial: Shape,
    kernel: Sequence[Dim],
    strides: Sequence[int] | None,
    dilations: Sequence[int] | None,
    pads: Sequence[int] | None,
    auto_pad: str,
    rounding: Rounding = "fit",
) -> Shape:
    """The spatial output shape."""
    rank = len(spatial)
    if len(kernel) != rank:
        raise ValueError(f"a kernel of rank {len(kernel)} over {rank} spatial axes")
    if auto_pad not in ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", ""):
        raise ValueError(f"auto_pad {auto_pad!r} is not one of NOTSET, SAME_UPPER, SAME_LOWER, VALID")
    return tuple(
        output_dim(*axis, auto_pad, rounding)
        for axis in zip(
            spatial,
            kernel,
            per_axis(strides, rank, 1),
            per_axis(dilations, rank, 1),
            pad_pairs(pads, rank),
            strict=True,
        )
    )
