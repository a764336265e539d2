"""Convolutions over time, over points and over video."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np

from benchmarks.latency_host.nets.layers import conv_nd, floats, norm_nd, op, reshape
from benchmarks.sketch import Sketch
from benchmarks.zoo.layers import FLOAT, dense, finish, linear, result


def tcn(steps: int = 784, width: int = 25, levels: int = 8, kernel: int = 7) -> Sketch:
    """https://arxiv.org/abs/1803.01271 for pixels in sequence: padded on both sides, the end cut off, as
    https://github.com/locuslab/TCN."""
    g = Sketch()
    x, fan_in = g.input("pixels", FLOAT, [1, 1, steps]), 1
    for i in range(levels):
        y, at = x, f"level{i}"
        for part in range(2):
            pad = (kernel - 1) << i
            y = conv_nd(
                g, y, width if part else fan_in, width, (kernel,), f"{at}.{part}", pads=(pad, pad), dilation=1 << i
            )
            y = op(g, "Slice", [y, g.integers(0), g.integers(-pad), g.integers(2)], f"{at}/{part}")
            y = op(g, "Relu", [y], f"{at}/{part}")
        x = conv_nd(g, x, fan_in, width, (1,), f"{at}.shortcut") if fan_in != width else x
        x, fan_in = op(g, "Relu", [op(g, "Add", [y, x], at)], at), width
    last = op(g, "Gather", [x, g.integers(steps - 1)], "last", axis=2)
    return finish(g, linear(g, reshape(g, last, (1, width), "last"), width, 10, "classes"), 10)


def wavenet(samples: int = 2000, width: int = 64, skip: int = 256) -> Sketch:
    """https://arxiv.org/abs/1609.03499: two stacks of ten dilations, gates of tanh and sigmoid."""
    g = Sketch()
    x = g.input("samples", FLOAT, [1, 256, samples])
    x = conv_nd(g, x, 256, width, (2,), "causal", pads=(1, 0))
    total = ""
    for i in range(20):
        dilation, at = 1 << i % 10, f"layer{i}"
        parts = [
            op(
                g,
                kind,
                [conv_nd(g, x, width, width, (2,), f"{at}.{kind}", pads=(dilation, 0), dilation=dilation)],
                at,
            )
            for kind in ("Tanh", "Sigmoid")
        ]
        gated = op(g, "Mul", parts, at)
        out = conv_nd(g, gated, width, skip, (1,), f"{at}.skip")
        total = op(g, "Add", [total, out], f"{at}/skip") if total else out
        x = op(g, "Add", [conv_nd(g, gated, width, width, (1,), f"{at}.residual"), x], f"{at}/residual")
    for i in range(2):
        total = conv_nd(g, op(g, "Relu", [total], f"head{i}"), skip, skip, (1,), f"head{i}")
    result(g, op(g, "Softmax", [total], "head", axis=1), "amplitudes", [1, skip, samples])
    return g


def r3d_18(frames: int = 8, side: int = 64) -> Sketch:
    """https://arxiv.org/abs/1711.11248, torchvision/models/video/resnet.py, of a short and small clip; 400 classes."""
    g = Sketch()
    x = g.input("clip", FLOAT, [1, 3, frames, side, side])
    x = conv_nd(g, x, 3, 64, (3, 7, 7), "stem", strides=(1, 2, 2), pads=(1, 3, 3, 1, 3, 3), bias=False)
    x, fan_in = op(g, "Relu", [norm_nd(g, x, 64, "stem.norm")], "stem"), 64
    for stage, out in enumerate((64, 128, 256, 512)):
        for i in range(2):
            stride = 2 if stage and not i else 1
            x, fan_in = _basic_3d(g, x, fan_in, out, stride, f"{stage}.{i}"), out
    x = op(g, "Flatten", [op(g, "GlobalAveragePool", [x], "pool")], "flat")
    return finish(g, dense(g, x, 512, 400, "classifier"), 400)


def _basic_3d(g: Sketch, x: str, fan_in: int, out: int, stride: int, at: str) -> str:
    y = conv_nd(g, x, fan_in, out, (3,) * 3, f"{at}.1", strides=(stride,) * 3, pads=(1,) * 6, bias=False)
    y = op(g, "Relu", [norm_nd(g, y, out, f"{at}.1.norm")], f"{at}/1")
    y = norm_nd(g, conv_nd(g, y, out, out, (3,) * 3, f"{at}.2", pads=(1,) * 6, bias=False), out, f"{at}.2.norm")
    if stride > 1 or fan_in != out:
        x = conv_nd(g, x, fan_in, out, (1,) * 3, f"{at}.shortcut", strides=(stride,) * 3, bias=False)
        x = norm_nd(g, x, out, f"{at}.shortcut.norm")
    return op(g, "Relu", [op(g, "Add", [y, x], at)], at)


def point_net(points: int = 1024) -> Sketch:
    """https://arxiv.org/abs/1612.00593: dense layers on every point, the maximum of all, two learned turns."""
    g = Sketch()
    x = g.input("points", FLOAT, [1, 3, points])
    x = op(g, "MatMul", [_turn(g, x, 3, "turn3"), x], "turned3")
    x = _per_point(g, x, 3, 64, "conv1")
    x = op(g, "MatMul", [_turn(g, x, 64, "turn64"), x], "turned64")
    x = _per_point(g, x, 64, 128, "conv2")
    x = op(g, "ReduceMax", [_per_point(g, x, 128, 1024, "conv3")], "max", axes=[2], keepdims=0)
    return finish(g, _head(g, x, 40, "head"), 40)


def _per_point(g: Sketch, x: str, fan_in: int, out: int, at: str) -> str:
    return op(g, "Relu", [norm_nd(g, conv_nd(g, x, fan_in, out, (1,), at), out, f"{at}.norm")], at)


def _turn(g: Sketch, x: str, size: int, at: str) -> str:
    """A matrix [1, size, size] from all points."""
    fan_in = size
    for i, out in enumerate((64, 128, 1024)):
        x, fan_in = _per_point(g, x, fan_in, out, f"{at}.{i}"), out
    x = _head(g, op(g, "ReduceMax", [x], at, axes=[2], keepdims=0), size * size, f"{at}.head")
    x = op(g, "Add", [x, floats(g, f"identity{size}", np.eye(size).reshape(1, -1))], at)
    return reshape(g, x, (1, size, size), at)


def _head(g: Sketch, x: str, out: int, at: str) -> str:
    widths = (1024, 512, 256)
    for i, (fan_in, width) in enumerate(pairwise(widths)):
        x = op(g, "Relu", [norm_nd(g, dense(g, x, fan_in, width, f"{at}.{i}"), width, f"{at}.{i}.norm")], f"{at}.{i}")
    return dense(g, x, widths[-1], out, f"{at}.out")


NETWORKS: Mapping[str, Callable[[], Sketch]] = {
    "tcn_784": tcn,
    "wavenet_2000": wavenet,
    "r3d_18_8x64": r3d_18,
    "pointnet_1024": point_net,
}
SOURCES: Mapping[str, str] = {
    "tcn_784": "https://github.com/locuslab/TCN",
    "wavenet_2000": "https://arxiv.org/abs/1609.03499",
    "r3d_18_8x64": "https://arxiv.org/abs/1711.11248",
    "pointnet_1024": "https://arxiv.org/abs/1612.00593",
}
