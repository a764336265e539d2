"""The layers that small networks are made of, as exporters write them."""

from __future__ import annotations

from math import sqrt

from effaudit.calibrate.net import Net, Tensor
from effaudit.graph import FLOAT, INT64

EPSILON = 1e-5


def conv(
    net: Net,
    x: Tensor,
    out: int,
    kernel: int | tuple[int, ...],
    *,
    stride: int = 1,
    group: int = 1,
    act: str = "Relu",
    dilation: int = 1,
) -> Tensor:
    """A convolution of any rank with padding that keeps the size, and its activation ("" for none)."""
    rank = len(x.shape) - 2
    window = (kernel,) * rank if isinstance(kernel, int) else kernel
    pads = [dilation * (k - 1) // 2 for k in window]
    sizes = [
        (n + 2 * p - dilation * (k - 1) - 1) // stride + 1 for n, p, k in zip(x.shape[2:], pads, window, strict=True)
    ]
    made = net.node(
        "Conv",
        [x, net.weight(out, x.shape[1] // group, *window), net.weight(out, scale=0.1)],
        (x.shape[0], out, *sizes),
        kernel_shape=window,
        strides=(stride,) * rank,
        dilations=(dilation,) * rank,
        pads=(*pads, *pads),
        group=group,
    )
    return activate(net, made, act)


def depthwise(net: Net, x: Tensor, kernel: int, *, stride: int = 1, act: str = "Relu") -> Tensor:
    """A convolution of each channel by itself."""
    return conv(net, x, x.shape[1], kernel, stride=stride, group=x.shape[1], act=act)


def transposed(net: Net, x: Tensor, out: int, kernel: int, stride: int, *, group: int = 1) -> Tensor:
    """A transposed convolution that enlarges by its stride."""
    rank = len(x.shape) - 2
    pad = (kernel - stride) // 2
    sizes = [(n - 1) * stride - 2 * pad + kernel for n in x.shape[2:]]
    made = net.node(
        "ConvTranspose",
        [x, net.weight(x.shape[1], out // group, *(kernel,) * rank, scale=1 / sqrt(x.shape[1])), net.weight(out)],
        (x.shape[0], out, *sizes),
        kernel_shape=(kernel,) * rank,
        strides=(stride,) * rank,
        pads=(pad,) * (2 * rank),
        group=group,
    )
    return activate(net, made, "Relu")


def activate(net: Net, x: Tensor, act: str) -> Tensor:
    """An activation by its operator; "SiLU" and "Gelu" in the pieces that exporters write, "" none."""
    if not act:
        return x
    if act == "SiLU":
        return net.node("Mul", [x, net.node("Sigmoid", [x], x.shape)], x.shape)
    if act == "PRelu":
        return net.node("PRelu", [x, net.weight(x.shape[1], *(1,) * (len(x.shape) - 2), scale=0.1)], x.shape)
    if act == "Clip6":
        bounds = (net.numbers([0.0], FLOAT, scalar=True), net.numbers([6.0], FLOAT, scalar=True))
        return net.node("Clip", [x, *bounds], x.shape)
    return net.node(act, [x], x.shape)


def pool(net: Net, op: str, x: Tensor, kernel: int, stride: int) -> Tensor:
    """MaxPool or AveragePool with padding that keeps the size."""
    pad = (kernel - 1) // 2
    sizes = [(n + 2 * pad - kernel) // stride + 1 for n in x.shape[2:]]
    shape = (*x.shape[:2], *sizes)
    rank = len(sizes)
    return net.node(op, [x], shape, kernel_shape=(kernel,) * rank, strides=(stride,) * rank, pads=(pad,) * (2 * rank))


def squeeze(net: Net, x: Tensor, inner: int, gate: str = "HardSigmoid") -> Tensor:
    """Squeeze and excitation: https://arxiv.org/abs/1709.01507"""
    y = net.node("GlobalAveragePool", [x], (*x.shape[:2], 1, 1))
    y = conv(net, y, inner, 1)
    y = conv(net, y, x.shape[1], 1, act=gate)
    return net.node("Mul", [x, y], x.shape)


def classify(net: Net, x: Tensor, classes: int) -> Tensor:
    """Global average and a fully connected layer."""
    y = net.node("GlobalAveragePool", [x], (*x.shape[:2], 1, 1))
    y = net.node("Flatten", [y], x.shape[:2], axis=1)
    return gemm(net, y, classes, act="")


def gemm(net: Net, x: Tensor, out: int, *, act: str = "Relu") -> Tensor:
    """A fully connected layer on rows."""
    made = net.node("Gemm", [x, net.weight(out, x.shape[1]), net.weight(out, scale=0.1)], (x.shape[0], out), transB=1)
    return activate(net, made, act)


def linear(net: Net, x: Tensor, out: int, *, act: str = "", bias: bool = True) -> Tensor:
    """A product with weights on the last axis, as PyTorch exports it: MatMul and Add."""
    shape = (*x.shape[:-1], out)
    made = net.node("MatMul", [x, net.weight(x.shape[-1], out, scale=1 / sqrt(x.shape[-1]))], shape)
    if bias:
        made = net.node("Add", [made, net.weight(out, scale=0.1)], shape)
    return gelu(net, made) if act == "Gelu" else activate(net, made, act)


def gelu(net: Net, x: Tensor) -> Tensor:
    """The exact GELU in pieces: https://arxiv.org/abs/1606.08415"""
    half, root, one = (net.numbers([v], FLOAT, scalar=True) for v in (0.5, sqrt(2.0), 1.0))
    y = net.node("Erf", [net.node("Div", [x, root], x.shape)], x.shape)
    y = net.node("Mul", [x, net.node("Add", [y, one], x.shape)], x.shape)
    return net.node("Mul", [y, half], x.shape)


def layer_norm(net: Net, x: Tensor) -> Tensor:
    """A layer normalization over the last axis."""
    width = x.shape[-1]
    return net.node(
        "LayerNormalization",
        [x, net.weight(width, scale=0.1, shift=1.0), net.weight(width, scale=0.1)],
        x.shape,
        axis=-1,
        epsilon=EPSILON,
    )


def add(net: Net, x: Tensor, y: Tensor, act: str = "") -> Tensor:
    return activate(net, net.node("Add", [x, y], x.shape), act)


def reshape(net: Net, x: Tensor, *shape: int) -> Tensor:
    return net.node("Reshape", [x, net.numbers(shape, INT64)], shape, encoding=x.encoding)


def transpose(net: Net, x: Tensor, *perm: int) -> Tensor:
    return net.node("Transpose", [x], tuple(x.shape[i] for i in perm), encoding=x.encoding, perm=perm)


def concat(net: Net, tensors: list[Tensor], axis: int) -> Tensor:
    shape = list(tensors[0].shape)
    shape[axis] = sum(tensor.shape[axis] for tensor in tensors)
    return net.node("Concat", tensors, shape, axis=axis)


def split(net: Net, x: Tensor, parts: int, axis: int) -> list[Tensor]:
    shape = list(x.shape)
    shape[axis] //= parts
    return net.nodes("Split", [x, net.numbers([shape[axis]] * parts)], [shape] * parts, axis=axis)


def attention(
    net: Net, x: Tensor, heads: int, past: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Self-attention in pieces, with a cache or without: https://arxiv.org/abs/1706.03762

    x: batch x tokens x width. Returns the output and the keys and values, batch x heads x tokens x width / heads.
    """
    batch, tokens, width = x.shape
    each = width // heads
    q, k, v = (
        transpose(net, reshape(net, linear(net, x, width), batch, tokens, heads, each), 0, 2, 1, 3) for _ in range(3)
    )
    if past is not None:
        k, v = concat(net, [past[0], k], 2), concat(net, [past[1], v], 2)
    seen = k.shape[2]
    scores = net.node("MatMul", [q, transpose(net, k, 0, 1, 3, 2)], (batch, heads, tokens, seen))
    scaled = net.node("Div", [scores, net.numbers([sqrt(each)], FLOAT, scalar=True)], scores.shape)
    weights = net.node("Softmax", [scaled], scores.shape, axis=-1)
    found = net.node("MatMul", [weights, v], (batch, heads, tokens, each))
    joined = reshape(net, transpose(net, found, 0, 2, 1, 3), batch, tokens, width)
    return linear(net, joined, width), k, v


def block(net: Net, x: Tensor, heads: int) -> Tensor:
    """A transformer block, norms first."""
    x = add(net, x, attention(net, layer_norm(net, x), heads)[0])
    y = linear(net, layer_norm(net, x), 4 * x.shape[-1], act="Gelu")
    return add(net, x, linear(net, y, x.shape[-1]))
