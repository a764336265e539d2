"""Runs the float tiny models in numpy, in double precision, to learn the range of every tensor.

Double precision and a rounding of the result make the ranges, hence the quantized files, the same on every
machine: the last bits of a sum depend on the order in which a BLAS adds, the first six digits do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from _builder import Array
from numpy.lib.stride_tricks import sliding_window_view
from onnx import ModelProto, helper, numpy_helper

Range = tuple[float, float]
Attrs = dict[str, Any]


def tensor_ranges(model: ModelProto, low: float, high: float, samples: int) -> dict[str, Range]:
    """Smallest and largest value of every activation over `samples` seeded inputs."""
    graph = model.graph
    shape = [d.dim_value for d in graph.input[0].type.tensor_type.shape.dim][1:]
    values = {t.name: numpy_helper.to_array(t).astype(np.float64) for t in graph.initializer}
    weights = set(values)
    values[graph.input[0].name] = low + (high - low) * _scenes((samples, *shape))
    for node in graph.node:
        attrs = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        values[node.output[0]] = RULES[node.op_type](attrs, *(values[i] for i in node.input))
    return {n: (_rounded(v.min()), _rounded(v.max())) for n, v in values.items() if n not in weights}


def _scenes(shape: Sequence[int]) -> Array:
    """Noise in [0, 1] of a different brightness and contrast in every sample and channel."""
    draw = np.random.RandomState(0)
    per_channel = (*shape[:2], 1, 1) if len(shape) == 4 else (shape[0], 1)
    brightness, contrast = draw.random_sample(per_channel), draw.random_sample(per_channel)
    return brightness * (1 - contrast) + contrast * draw.random_sample(tuple(shape))


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def _windows(x: Array, attrs: Attrs) -> Array:
    """[n, c, h, w, kh, kw]: what each output position sees, zeros as padding."""
    top, left, bottom, right = attrs.get("pads", [0, 0, 0, 0])
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    sh, sw = attrs["strides"]
    seen: Array = sliding_window_view(padded, attrs["kernel_shape"], axis=(2, 3))
    return seen[:, :, ::sh, ::sw]


def _conv(attrs: Attrs, x: Array, w: Array, b: Array) -> Array:
    group = attrs["group"]
    seen = _windows(x, attrs)
    n, c, h, wd, kh, kw = seen.shape
    seen = seen.reshape(n, group, c // group, h, wd, kh, kw)
    kernels = w.reshape(group, -1, c // group, kh, kw)
    y = np.einsum("ngcxyhw,gochw->ngoxy", seen, kernels, optimize=True)
    maps: Array = y.reshape(n, -1, h, wd) + b.reshape(-1, 1, 1)
    return maps


def _gemm(attrs: Attrs, x: Array, w: Array, b: Array) -> Array:
    y: Array = x @ (w.T if attrs.get("transB") else w) + b
    return y


def _softmax(attrs: Attrs, x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    y: Array = e / e.sum(axis=-1, keepdims=True)
    return y


RULES: dict[str, Callable[..., Array]] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "Softmax": _softmax,
    "Relu": lambda attrs, x: np.maximum(x, 0),
    "Add": lambda attrs, a, b: a + b,
    "AveragePool": lambda attrs, x: _windows(x, attrs).mean(axis=(-2, -1)),
    "Flatten": lambda attrs, x: x.reshape(len(x), -1),
}
