"""Layers that several samples share, spelled as PyTorch's exporter spells them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from _builder import Net


def scoped(scope: str) -> str:
    """The parameter prefix of a node scope: `layers.0/attn` owns `layers.0.attn.weight`."""
    return scope.replace("/", ".")


def he(fan_in: int) -> float:
    """Half width of He's uniform: keeps the variance through a ReLU layer (https://arxiv.org/abs/1502.01852)."""
    return math.sqrt(6.0 / fan_in)


def lecun(fan_in: int) -> float:
    """Half width that keeps the variance through a linear layer."""
    return math.sqrt(3.0 / fan_in)


def conv(
    net: Net,
    x: str,
    scope: str,
    channels: tuple[int, int],
    kernel: Sequence[int],
    *,
    strides: Sequence[int],
    pads: Sequence[int],
    group: int = 1,
    bias: bool = True,
    op: str = "Conv",
    output: str = "",
) -> str:
    """Convolution (or ConvTranspose) from channels[0] to channels[1]; `pads`: all begins, then all ends."""
    cin, cout = channels
    fan_in = cin // group * math.prod(kernel)
    shape = (cin, cout // group, *kernel) if op == "ConvTranspose" else (cout, cin // group, *kernel)
    inputs = [x, net.weight(f"{scoped(scope)}.weight", shape, he(fan_in))]
    if bias:
        inputs.append(net.weight(f"{scoped(scope)}.bias", (cout,), 1 / math.sqrt(fan_in)))
    return net.node(
        op,
        inputs,
        scope,
        output=output,
        dilations=[1] * len(kernel),
        group=group,
        kernel_shape=list(kernel),
        pads=list(pads),
        strides=list(strides),
    )


def square(
    net: Net,
    x: str,
    scope: str,
    channels: tuple[int, int],
    k: int,
    *,
    stride: int = 1,
    pad: int | None = None,
    **rest: Any,
) -> str:
    """A k x k convolution padded alike on all sides, by default so that stride 1 keeps the size."""
    p = k // 2 if pad is None else pad
    return conv(net, x, scope, channels, (k, k), strides=(stride, stride), pads=[p] * 4, **rest)


def batch_norm(net: Net, x: str, scope: str, channels: int) -> str:
    prefix = scoped(scope)
    names = [
        net.weight(f"{prefix}.weight", (channels,), 0.1, 1.0),
        net.weight(f"{prefix}.bias", (channels,), 0.1),
        net.weight(f"{prefix}.running_mean", (channels,), 0.1),
        net.weight(f"{prefix}.running_var", (channels,), 0.1, 1.0),
    ]
    return net.node("BatchNormalization", [x, *names], scope, epsilon=1e-5, momentum=0.9)


def gemm(net: Net, x: str, scope: str, features: tuple[int, int], *, gain: float = 1.0, output: str = "") -> str:
    """nn.Linear on a matrix: Gemm with the weight as PyTorch keeps it, [out, in]."""
    fan_in, out = features
    weight = net.weight(f"{scoped(scope)}.weight", (out, fan_in), gain * lecun(fan_in))
    bias = net.weight(f"{scoped(scope)}.bias", (out,), 1 / math.sqrt(fan_in))
    return net.node("Gemm", [x, weight, bias], scope, output=output, alpha=1.0, beta=1.0, transB=1)


def linear(net: Net, x: str, scope: str, features: tuple[int, int], *, bias: bool = True, output: str = "") -> str:
    """nn.Linear on a tensor of rank 3: MatMul with the transposed weight, then Add."""
    weight = net.weight(f"{scoped(scope)}.weight", features, lecun(features[0]))
    if not bias:
        return net.node("MatMul", [x, weight], scope, output=output)
    y = net.node("MatMul", [x, weight], scope)
    b = net.weight(f"{scoped(scope)}.bias", features[1:], 1 / math.sqrt(features[0]))
    return net.node("Add", [b, y], scope, output=output)


def layer_norm(net: Net, x: str, scope: str, d: int, eps: float = 1e-12, output: str = "") -> str:
    scale = net.weight(f"{scoped(scope)}.weight", (d,), 0.1, 1.0)
    shift = net.weight(f"{scoped(scope)}.bias", (d,), 0.1)
    return net.node("LayerNormalization", [x, scale, shift], scope, output=output, axis=-1, epsilon=eps)


def dim(net: Net, x: str, axis: int, scope: str) -> str:
    """`x.size(axis)`: a scalar read off the shape while the model runs."""
    shape = net.node("Shape", [x], scope)
    return net.node("Gather", [shape, net.constant(axis, np.int64)], scope, axis=0)


def dims(net: Net, parts: Sequence[str | int], scope: str) -> str:
    """A shape vector out of run-time scalars and known numbers."""
    pieces = [net.ints(p) if isinstance(p, int) else net.node("Unsqueeze", [p, net.ints(0)], scope) for p in parts]
    return net.node("Concat", pieces, scope, axis=0)


def reshape(net: Net, x: str, parts: Sequence[str | int], scope: str) -> str:
    return net.node("Reshape", [x, dims(net, parts, scope)], scope)


def cast(net: Net, x: str, to: int, scope: str) -> str:
    return net.node("Cast", [x], scope, to=to)
