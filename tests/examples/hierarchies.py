"""Swin and ConvNeXt, tiny: stages of 96, 192, 384, 768 channels at one image of 224 px."""

from __future__ import annotations

from onnx import ModelProto

from .blocks import attention_products, feed_forward
from .graphs import Net

WINDOW = 7


def swin_t() -> ModelProto:
    """Liu et al. 2021, https://arxiv.org/abs/2103.14030, without the roll of shifted windows, which only moves data."""
    net = Net()
    x = net.conv(net.input(1, 3, 224, 224), 96, 4, 4, 0, bias=True)
    x = net.layer_norm(net.transpose(x, 0, 2, 3, 1))
    offsets = net.constant([0] * WINDOW**4)
    for stage, repeats in enumerate((2, 2, 6, 2)):
        if stage:
            x = _merge(net, x)
        for _ in range(repeats):
            x = net.add(x, _windows(net, net.layer_norm(x), 3 * 2**stage, offsets))
            x = net.add(x, feed_forward(net, net.layer_norm(x), bias=True))
    x = net.transpose(net.layer_norm(x), 0, 3, 1, 2)
    return net.model(net.linear(net.global_pool(x), 1000, bias=True))


def _merge(net: Net, x: str) -> str:
    """Four neighbours side by side, then half of the channels."""
    _, h, w, c = net.shape[x]
    rows = [net.slice(x, 1, i, h, 2) for i in (0, 1)]
    quarters = [net.slice(row, 2, i, w, 2) for row in rows for i in (0, 1)]
    return net.linear(net.layer_norm(net.concat(quarters, 3)), 2 * c)


def _windows(net: Net, x: str, heads: int, offsets: str) -> str:
    """Attention inside windows, with learned biases of relative positions."""
    _, h, w, c = net.shape[x]
    tokens, count = WINDOW**2, h * w // WINDOW**2
    x = net.reshape(x, 1, h // WINDOW, WINDOW, w // WINDOW, WINDOW, c)
    x = net.reshape(net.transpose(x, 0, 1, 3, 2, 4, 5), count, tokens, c)
    parts = []
    for part in "qkv":
        y = net.reshape(net.linear(x, c, bias=True, name=part), count, tokens, heads, c // heads)
        parts.append(net.transpose(y, 0, 2, 1, 3))
    table = net.weight((2 * WINDOW - 1) ** 2, heads)
    bias = net.reshape(net.node("Gather", [table, offsets], (tokens**2, heads), axis=0), tokens, tokens, heads)
    y = attention_products(net, *parts, net.reshape(net.transpose(bias, 2, 0, 1), 1, heads, tokens, tokens))
    y = net.reshape(net.transpose(y, 0, 2, 1, 3), count, tokens, c)
    y = net.reshape(net.linear(y, c, bias=True), 1, h // WINDOW, w // WINDOW, WINDOW, WINDOW, c)
    return net.reshape(net.transpose(y, 0, 1, 3, 2, 4, 5), 1, h, w, c)


def convnext_t() -> ModelProto:
    """Liu et al. 2022, https://arxiv.org/abs/2201.03545, as in torchvision."""
    net = Net()
    x = _channel_norm(net, net.conv(net.input(1, 3, 224, 224), 96, 4, 4, 0, bias=True))
    for stage, repeats in enumerate((3, 3, 9, 3)):
        if stage:
            x = net.conv(_channel_norm(net, x), 96 * 2**stage, 2, 2, 0, bias=True)
        for _ in range(repeats):
            x = net.add(_convnext_block(net, x), x)
    n, c, *_ = net.shape[x]
    x = _channel_norm(net, net.node("GlobalAveragePool", [x], (n, c, 1, 1)))
    return net.model(net.linear(net.flatten(x), 1000, bias=True))


def _convnext_block(net: Net, x: str) -> str:
    c = net.shape[x][1]
    y = net.transpose(net.conv(x, c, 7, g=c, bias=True), 0, 2, 3, 1)
    y = net.transpose(feed_forward(net, net.layer_norm(y), bias=True), 0, 3, 1, 2)
    return net.mul(y, net.weight(c, 1, 1))


def _channel_norm(net: Net, x: str) -> str:
    return net.transpose(net.layer_norm(net.transpose(x, 0, 2, 3, 1)), 0, 3, 1, 2)
