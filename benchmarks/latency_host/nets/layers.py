"""Layers beside those of `benchmarks.zoo.layers`: transposed and one-dimensional convolutions, resizing, heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from onnx import TensorProto

from benchmarks.sketch import Sketch
from benchmarks.zoo.layers import Map, linear

INT64 = TensorProto.INT64


def op(g: Sketch, kind: str, inputs: Sequence[str], at: str, **attrs: object) -> str:
    return g.node(kind, inputs, f"/{at}", **attrs)


def floats(g: Sketch, name: str, values: np.ndarray) -> str:
    """A constant that is given, not drawn."""
    return g.weight(name, values.shape, TensorProto.FLOAT, values.astype(np.float32).tobytes())


def whole(g: Sketch, name: str, values: np.ndarray) -> str:
    return g.weight(name, values.shape, INT64, values.astype(np.int64).tobytes())


def up_conv(
    g: Sketch, x: Map, out: int, kernel: int, at: str, *, stride: int, pad: int = 0, extra: int = 0, bias: bool = True
) -> Map:
    """A transposed convolution."""
    inputs = [x.name, g.weight(f"{at}.weight", (x.channels, out, kernel, kernel))]
    if bias:
        inputs.append(g.weight(f"{at}.bias", (out,)))
    name = op(
        g,
        "ConvTranspose",
        inputs,
        at,
        kernel_shape=[kernel] * 2,
        strides=[stride] * 2,
        pads=[pad] * 4,
        output_padding=[extra] * 2,
    )
    height, width = ((n - 1) * stride - 2 * pad + kernel + extra for n in (x.height, x.width))
    return Map(name, out, height, width)


def conv_nd(
    g: Sketch,
    x: str,
    fan_in: int,
    out: int,
    kernel: Sequence[int],
    at: str,
    *,
    strides: Sequence[int] = (),
    pads: Sequence[int] = (),
    dilation: int = 1,
    group: int = 1,
    bias: bool = True,
) -> str:
    """A convolution of any rank; `pads` as ONNX has them, none by default."""
    inputs = [x, g.weight(f"{at}.weight", (out, fan_in // group, *kernel))]
    if bias:
        inputs.append(g.weight(f"{at}.bias", (out,)))
    rank = len(kernel)
    return op(
        g,
        "Conv",
        inputs,
        at,
        kernel_shape=list(kernel),
        strides=list(strides) or [1] * rank,
        pads=list(pads) or [0] * 2 * rank,
        dilations=[dilation] * rank,
        group=group,
    )


def norm_nd(g: Sketch, x: str, channels: int, at: str) -> str:
    """Batch norm of a value of any rank."""
    weights = [g.weight(f"{at}.{part}", (channels,)) for part in ("scale", "shift", "mean", "variance")]
    return op(g, "BatchNormalization", [x, *weights], at)


def doubled(g: Sketch, x: Map, at: str) -> Map:
    """Nearest-neighbour upsampling by two."""
    scales = floats(g, "upsampling.scales", np.array([1, 1, 2, 2]))
    attrs = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    name = op(g, "Resize", [x.name, "", scales], at, **attrs)
    return replace(x, name=name, height=2 * x.height, width=2 * x.width)


def reshape(g: Sketch, x: str, sizes: Sequence[int], at: str) -> str:
    return op(g, "Reshape", [x, g.integers(*sizes)], at)


def transpose(g: Sketch, x: str, perm: Sequence[int], at: str) -> str:
    return op(g, "Transpose", [x], at, perm=list(perm))


def mlp(g: Sketch, x: str, widths: Sequence[int], at: str) -> str:
    """Dense layers with ReLU between, on the last axis."""
    for i, (fan_in, out) in enumerate(pairwise(widths)):
        x = linear(g, x, fan_in, out, f"{at}.{i}")
        x = op(g, "Relu", [x], f"{at}.{i}") if i < len(widths) - 2 else x
    return x
