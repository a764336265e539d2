"""Graphs of one or two layers."""

from __future__ import annotations

from onnx import ModelProto, helper

from .graphs import FLOAT, INT8, Net


def conv(
    cin: int, side: int, cout: int, k: int, s: int = 1, p: int | None = None, g: int = 1, d: int = 1, dtype: int = FLOAT
) -> ModelProto:
    net = Net(dtype)
    return net.model(net.conv(net.input(1, cin, side, side), cout, k, s, p, g, d))


def convs(cin: int, side: int, count: int, k: int, p: int | None = None) -> ModelProto:
    """A chain of `count` convolutions of `cin` channels."""
    net = Net()
    x = net.input(1, cin, side, side)
    for _ in range(count):
        x = net.conv(x, cin, k, p=p)
    return net.model(x)


def separable(cin: int, side: int, cout: int, k: int) -> ModelProto:
    """A depthwise and a pointwise convolution."""
    net = Net()
    x = net.conv(net.input(1, cin, side, side), cin, k, g=cin, name="depthwise")
    return net.model(net.conv(x, cout, 1, name="pointwise"))


def linears(*features: int, bias: bool = False) -> ModelProto:
    """Fully connected layers, one after the other."""
    net = Net()
    x = net.input(1, features[0])
    for cout in features[1:]:
        x = net.linear(x, cout, bias=bias)
    return net.model(x)


def linears_beside(count: int, cin: int, cout: int) -> ModelProto:
    """`count` fully connected layers with biases that read the same input."""
    net = Net()
    x = net.input(1, cin)
    return net.model(*[net.linear(x, cout, bias=True) for _ in range(count)])


def pool(channels: int, side: int, k: int, s: int) -> ModelProto:
    net = Net()
    return net.model(net.pool(net.input(1, channels, side, side), k, s))


def qlinear_conv(cin: int, side: int, cout: int) -> ModelProto:
    """A 3x3 convolution of int8 tensors."""
    net = Net(INT8)
    x = net.input(1, cin, side, side)
    scale, zero = net.constant(0.1, helper.tensor_dtype_to_np_dtype(FLOAT)), net.scalar(0)
    weight = net.weight(cout, cin, 3, 3)
    inputs = [x, scale, zero, weight, scale, zero, scale, zero]
    return net.model(net.node("QLinearConv", inputs, (1, cout, side, side), pads=[1] * 4))


def im2col(channels: int, side: int) -> ModelProto:
    """The nine shifted copies of an image that a 3x3 convolution reads, side by side."""
    net = Net()
    x = net.pad(net.input(1, channels, side, side), (0, 0, 1, 1), (0, 0, 1, 1))
    rows = [net.slice(x, 2, i, i + side) for i in range(3)]
    return net.model(net.concat([net.slice(row, 3, j, j + side) for row in rows for j in range(3)], 1))


def winograd(channels: int) -> ModelProto:
    """The products of one F(2x2, 3x3) tile for one filter: at each of its 4 x 4 places, a sum over channels."""
    net = Net()
    tile, weights = net.input(16, 1, channels), net.input(16, channels, 1)
    return net.model(net.matmul(tile, weights))


def temporal_shift(frames: int, channels: int, side: int) -> ModelProto:
    """TSM: an eighth of the channels moves one frame ahead, an eighth one back, zeros fill up."""
    net = Net()
    x, fold = net.input(frames, channels, side, side), channels // 8
    ahead = net.slice(net.slice(x, 1, 0, fold), 0, 0, frames - 1)
    back = net.slice(net.slice(x, 1, fold, 2 * fold), 0, 1, frames)
    ahead, back = net.pad(ahead, (1, 0, 0, 0), (0,) * 4), net.pad(back, (0,) * 4, (1, 0, 0, 0))
    return net.model(net.concat([ahead, back, net.slice(x, 1, 2 * fold, channels)], 1))
