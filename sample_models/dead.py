"""A network with channels that nothing depends on, as training with a sparsity penalty leaves them.

Every way a filter of zeros can end is in it: without a bias and with one, through batch norms and activations, before
a depthwise convolution, in a residual on both sides and on one, and before a padded window, where its number may not
go. The weights are random, not trained.
"""

from __future__ import annotations

from _builder import Net
from _layers import batch_norm, conv, gemm, square
from onnx import ModelProto

# What may go, by the convolution or dense layer that makes it: tests/whatif/prune/test_dead.py looks for exactly these.
GONE = {
    "stem/conv": 16 - 12,
    "block/expand": 24 - 19,
    "block/project": 16 - 14,
    "head/conv": 20 - 16,
    "head/hidden": 12 - 9,
}


def dead_channels() -> ModelProto:
    net = Net("dead-channels", "A small separable residual network, some of whose channels are dead")
    x = net.input("input", ["batch", 3, 16, 16])
    x = net.node("Relu", [square(net, x, "stem/conv", (3, 16), 3)], "stem")
    net.put("stem.conv.weight", (1, 4, 9, 10), 0.0)
    net.put("stem.conv.bias", (1,), 0.0)
    net.put("stem.conv.bias", (4, 9), -0.25)  # nothing is left after the activation
    net.put("stem.conv.bias", (10,), 0.5)  # a number, which the next window would meet beside its padding: it stays
    x = _block(net, x)
    return _head(net, x)


def _block(net: Net, x: str) -> str:
    """Pointwise, depthwise, pointwise, around them a residual that is a convolution itself."""
    y = batch_norm(net, square(net, x, "block/expand", (16, 24), 1, bias=False), "block/expand_norm", 24)
    net.put("block.expand.weight", (2, 7, 11), 0.0)
    net.put("block.expand_norm.bias", (2,), -1.0)
    net.put("block.expand_norm.running_mean", (2, 7, 11), 0.0)
    net.put("block.expand_norm.bias", (7, 11), 0.75)
    net.put("block.expand_norm.weight", (20,), 0.0)  # the norm makes a number of what is none
    net.put("block.expand_norm.bias", (20,), 0.0)
    y = net.node("Relu", [y], "block/expand")
    y = conv(net, y, "block/depthwise", (24, 24), (3, 3), strides=(1, 1), pads=(1, 1, 1, 1), group=24)
    net.put("block.depthwise.weight", (7, 15, 16), 0.0)
    net.put("block.depthwise.bias", (2, 20), -0.5)
    net.put("block.depthwise.bias", (7, 15), 0.4)  # the next convolution has no padding: its bias takes them
    net.put("block.depthwise.bias", (16,), 0.0)
    y = net.node("Relu", [y], "block/depthwise")
    y = square(net, y, "block/project", (24, 16), 1)
    x = square(net, x, "block/shortcut", (16, 16), 3)
    net.put("stem.conv.weight", (14,), 0.1)
    net.put("block.expand.weight", (14,), 0.0, axis=1)  # alive, and nobody reads it
    net.put("block.shortcut.weight", (14,), 0.0, axis=1)
    net.put("block.project.weight", (3, 5), 0.0)
    net.put("block.shortcut.weight", (3, 8), 0.0)  # 3 is dead on both sides; 5 and 8 on one
    net.put("block.project.bias", (3,), 0.3)
    net.put("block.shortcut.bias", (3,), -0.1)
    x = net.node("Relu", [net.node("Add", [y, x], "block")], "block")
    net.put("block.project.bias", (12,), -9.0)  # alive, but unread
    return x


def _head(net: Net, x: str) -> ModelProto:
    x = net.node("HardSwish", [square(net, x, "head/conv", (16, 20), 1)], "head")
    net.put("head.conv.weight", (12,), 0.0, axis=1)
    net.put("head.conv.weight", (0, 6, 13, 19), 0.0)
    net.put("head.conv.bias", (0, 6), 0.0)
    net.put("head.conv.bias", (13, 19), 1.5)
    x = net.node("GlobalAveragePool", [x], "head")
    x = net.node("Flatten", [x], "head", axis=1)
    x = net.node("Sigmoid", [gemm(net, x, "head/hidden", (20, 12))], "head/hidden")
    net.put("head.hidden.weight", (5, 8), 0.0)
    net.put("head.hidden.bias", (5,), 0.0)
    gemm(net, x, "head/fc", (12, 10), gain=2, output="output")
    net.put("head.fc.weight", (2,), 0.0, axis=1)  # unread
    net.output("output", ["batch", 10])
    return net.model()
