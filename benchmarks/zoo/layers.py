"""Layers the zoo's networks share: every weight is a hole, every batch size is the input's `batch`.

Batch norms stay nodes of their own, as trained, so that the audited parameters are the published ones; a runtime's
lowering folds them into the convolution before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from onnx import TensorProto, helper

from benchmarks.sketch import Sketch

FLOAT = TensorProto.FLOAT
Pad = Literal["half", "same", "valid"]  # kernel // 2 on all sides (PyTorch); TensorFlow's SAME; none
Activation = Literal["relu", "relu6", "swish", "hard_swish", "sigmoid", "hard_sigmoid", "gelu"]


@dataclass(frozen=True)
class Map:
    """A feature map [batch, channels, height, width] by the name of its value."""

    name: str
    channels: int
    height: int
    width: int


def image(g: Sketch, side: int, channels: int = 3) -> Map:
    """The network's input."""
    return Map(g.input("image", FLOAT, ["batch", channels, side, side]), channels, side, side)


def _two(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _padding(size: int, kernel: int, stride: int, pad: Pad, dilation: int = 1) -> tuple[int, int]:
    """Elements before and after one axis."""
    reach = (kernel - 1) * dilation + 1
    if pad == "valid":
        return 0, 0
    if pad == "half":
        return reach // 2, reach // 2
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def _window(
    x: Map, kernel: int | tuple[int, int], stride: int, pad: Pad, dilation: int = 1
) -> tuple[tuple[int, int], list[int], int, int]:
    """Kernel, ONNX pads, and the height and width it leaves."""
    kernels = _two(kernel)
    sides = [_padding(n, k, stride, pad, dilation) for n, k in zip((x.height, x.width), kernels, strict=True)]
    height, width = (
        (n + sum(side) - (k - 1) * dilation - 1) // stride + 1
        for n, k, side in zip((x.height, x.width), kernels, sides, strict=True)
    )
    return kernels, [side[end] for end in (0, 1) for side in sides], height, width


def conv(
    g: Sketch,
    x: Map,
    out: int,
    kernel: int | tuple[int, int],
    at: str,
    *,
    stride: int = 1,
    pad: Pad = "half",
    group: int = 1,
    dilation: int = 1,
    bias: bool = True,
) -> Map:
    """A convolution; `at` names it and its weights."""
    kernels, pads, height, width = _window(x, kernel, stride, pad, dilation)
    inputs = [x.name, g.weight(f"{at}.weight", (out, x.channels // group, *kernels))]
    if bias:
        inputs.append(g.weight(f"{at}.bias", (out,)))
    name = g.node(
        "Conv",
        inputs,
        f"/{at}",
        kernel_shape=kernels,
        strides=[stride] * 2,
        pads=pads,
        group=group,
        dilations=[dilation] * 2,
    )
    return Map(name, out, height, width)


def norm(g: Sketch, x: Map, at: str) -> Map:
    """Batch norm."""
    weights = [g.weight(f"{at}.{part}", (x.channels,)) for part in ("scale", "shift", "mean", "variance")]
    return replace(x, name=g.node("BatchNormalization", [x.name, *weights], f"/{at}"))


def activate(g: Sketch, x: Map, kind: Activation | None, at: str) -> Map:
    if kind is None:
        return x
    return replace(x, name=activated(g, x.name, kind, at))


def activated(g: Sketch, x: str, kind: Activation, at: str) -> str:
    """An activation of a value of any rank."""
    at = f"/{at}"
    match kind:
        case "relu6":
            return g.node("Clip", [x, g.scalar(0.0), g.scalar(6.0)], at)
        case "swish":
            return g.node("Mul", [x, g.node("Sigmoid", [x], at)], at)
        case "hard_sigmoid":
            return g.node("HardSigmoid", [x], at, alpha=1 / 6, beta=0.5)
        case "gelu":
            erf = g.node("Erf", [g.node("Div", [x, g.scalar(2.0**0.5)], at)], at)
            return g.node("Mul", [g.node("Mul", [x, g.node("Add", [erf, g.scalar(1.0)], at)], at), g.scalar(0.5)], at)
        case _:
            return g.node({"relu": "Relu", "hard_swish": "HardSwish", "sigmoid": "Sigmoid"}[kind], [x], at)


def conv_norm(
    g: Sketch,
    x: Map,
    out: int,
    kernel: int | tuple[int, int],
    at: str,
    act: Activation | None = "relu",
    *,
    stride: int = 1,
    pad: Pad = "half",
    group: int = 1,
    dilation: int = 1,
    bias: bool = False,
) -> Map:
    """Convolution, batch norm, activation."""
    y = conv(g, x, out, kernel, f"{at}.conv", stride=stride, pad=pad, group=group, dilation=dilation, bias=bias)
    return activate(g, norm(g, y, f"{at}.norm"), act, at)


def conv_act(
    g: Sketch,
    x: Map,
    out: int,
    kernel: int | tuple[int, int],
    at: str,
    act: Activation | None = "relu",
    *,
    stride: int = 1,
    pad: Pad = "half",
) -> Map:
    """Convolution with a bias, activation."""
    return activate(g, conv(g, x, out, kernel, at, stride=stride, pad=pad), act, at)


def max_pool(g: Sketch, x: Map, kernel: int, stride: int, at: str, *, pad: Pad = "valid") -> Map:
    return _pool(g, "MaxPool", x, kernel, stride, at, pad)


def average_pool(g: Sketch, x: Map, kernel: int, stride: int, at: str, *, pad: Pad = "valid") -> Map:
    """Zeros of the padding are left out of the mean, as in TensorFlow."""
    return _pool(g, "AveragePool", x, kernel, stride, at, pad)


def _pool(g: Sketch, op: str, x: Map, kernel: int, stride: int, at: str, pad: Pad) -> Map:
    kernels, pads, height, width = _window(x, kernel, stride, pad)
    name = g.node(op, [x.name], f"/{at}", kernel_shape=kernels, strides=[stride] * 2, pads=pads)
    return Map(name, x.channels, height, width)


def ceil_max_pool(g: Sketch, x: Map, kernel: int, stride: int, at: str) -> Map:
    """PyTorch's `ceil_mode=True` without padding: a last window may hang over the edge."""
    name = g.node("MaxPool", [x.name], f"/{at}", kernel_shape=[kernel] * 2, strides=[stride] * 2, ceil_mode=1)
    height, width = (-(-(n - kernel) // stride) + 1 for n in (x.height, x.width))
    return Map(name, x.channels, height, width)


def global_pool(g: Sketch, x: Map, at: str) -> Map:
    return Map(g.node("GlobalAveragePool", [x.name], f"/{at}"), x.channels, 1, 1)


def add(g: Sketch, x: Map, y: Map, at: str, act: Activation | None = None) -> Map:
    return activate(g, replace(x, name=g.node("Add", [x.name, y.name], f"/{at}")), act, at)


def concat(g: Sketch, maps: Sequence[Map], at: str) -> Map:
    """Along the channels."""
    name = g.node("Concat", [x.name for x in maps], f"/{at}", axis=1)
    return replace(maps[0], name=name, channels=sum(x.channels for x in maps))


def squeeze_excite(
    g: Sketch, x: Map, squeezed: int, at: str, act: Activation = "relu", gate: Activation = "sigmoid"
) -> Map:
    """Channel attention, https://arxiv.org/abs/1709.01507: two 1x1 convolutions with a bias on the means."""
    y = conv_act(g, global_pool(g, x, at), squeezed, 1, f"{at}.fc1", act)
    y = conv_act(g, y, x.channels, 1, f"{at}.fc2", gate)
    return replace(x, name=g.node("Mul", [x.name, y.name], f"/{at}"))


def dense(g: Sketch, x: str, fan_in: int, out: int, at: str) -> str:
    """A Gemm with a bias on [batch, fan_in]."""
    inputs = [x, g.weight(f"{at}.weight", (out, fan_in)), g.weight(f"{at}.bias", (out,))]
    return g.node("Gemm", inputs, f"/{at}", transB=1)


def flatten(g: Sketch, x: Map, at: str) -> str:
    return g.node("Flatten", [x.name], f"/{at}")


def linear(g: Sketch, x: str, fan_in: int, out: int, at: str) -> str:
    """MatMul and bias on the last axis of a tensor of any rank."""
    y = g.node("MatMul", [x, g.weight(f"{at}.weight", (fan_in, out))], f"/{at}")
    return g.node("Add", [y, g.weight(f"{at}.bias", (out,))], f"/{at}")


def layer_norm(g: Sketch, x: str, width: int, at: str) -> str:
    """Over the last axis."""
    parts = [g.weight(f"{at}.{part}", (width,)) for part in ("scale", "shift")]
    return g.node("LayerNormalization", [x, *parts], f"/{at}", axis=-1)


def classify(g: Sketch, x: Map, classes: int) -> Sketch:
    """Global average and a dense layer: the network's end."""
    x = global_pool(g, x, "pool")
    return finish(g, dense(g, flatten(g, x, "pool"), x.channels, classes, "classifier"), classes)


def finish(g: Sketch, logits: str, classes: int) -> Sketch:
    """Names the output `logits`, [batch, classes]."""
    result(g, logits, "logits", ["batch", classes])
    return g


def result(g: Sketch, value: str, name: str, shape: Sequence[int | str]) -> None:
    """A float output: the node that computes `value` writes it under its public name, with no Identity behind."""
    node = next(node for node in reversed(g.nodes) if node.output[0] == value)
    node.output[0] = name
    g.outputs.append(helper.make_tensor_value_info(name, FLOAT, shape))
