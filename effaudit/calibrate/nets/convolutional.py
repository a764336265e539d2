"""Convolutions in the company they keep: stems, residual and inverted blocks, branches, enlargements."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.calibrate.layers import activate, add, classify, concat, conv, depthwise, pool, squeeze, transposed
from effaudit.calibrate.net import Net


def nets() -> Iterator[Net]:
    """Channels and sizes are odd ones on purpose: no published network is among these."""
    for channels, side in ((24, 72), (56, 52), (80, 38), (144, 26), (300, 16), (400, 8)):
        yield _residual(channels, side)
    for channels, side in ((16, 20), (24, 100), (48, 52), (104, 24), (208, 12), (336, 6)):
        yield _inverted(channels, side)
    for side in (30, 90, 200):
        yield _stem(side)
    yield _branches(160, 30)
    yield _branches(416, 15)
    yield _large(72, 140)
    yield _bottlenecks(288, 44)
    yield _bottlenecks(960, 11)
    for width, side in ((4, 11), (8, 24), (12, 17), (20, 40)):
        yield _tiny(width, side)
    for channels, side in ((112, 12), (28, 44), (40, 5), (300, 7)):
        yield _enlarging(channels, side)
    for channels, classes in ((60, 200),):
        yield _generating(channels, classes)
    for channels, length in ((12, 60), (28, 1500), (72, 700), (320, 90), (520, 240)):
        yield _rows(channels, length)
    for channels, side in ((6, 9), (20, 20), (56, 20)):
        yield _volumes(channels, side)
    yield _grouped(192, 28)
    yield _grouped(576, 11)
    yield _few(150)
    yield _few(230)


def _residual(channels: int, side: int) -> Net:
    net = Net(f"residual-{channels}-{side}")
    x = conv(net, net.input(1, channels, side, side), channels, 3)
    y = conv(net, conv(net, x, channels, 3), channels, 3, act="")
    x = add(net, x, y, "Relu")
    x = conv(net, x, channels + 24, 3, stride=2)
    x = conv(net, x, 2 * channels, 1)
    x = conv(net, x, 2 * channels, 3, stride=1)
    x = conv(net, x, channels // 2, 1)
    net.output(conv(net, x, channels, 3, dilation=2, act=""))
    return net


def _bottlenecks(channels: int, side: int) -> Net:
    net = Net(f"bottlenecks-{channels}-{side}")
    x = net.input(1, channels, side, side)
    for inner, stride in ((channels // 4, 1), (channels // 4, 1), (channels // 2, 2)):
        y = conv(net, x, inner, 1)
        y = conv(net, y, inner, 3, stride=stride)
        y = conv(net, y, channels * stride, 1, act="")
        short = x if stride == 1 else conv(net, x, channels * stride, 1, stride=stride, act="")
        x = add(net, short, y, "Relu")
    net.output(classify(net, x, 611))
    return net


def _inverted(channels: int, side: int) -> Net:
    net = Net(f"inverted-{channels}-{side}")
    x = net.input(1, channels, side, side)
    for expand, kernel, stride, act in (
        (4, 3, 1, "Clip6"),
        (6, 5, 1, "HardSwish"),
        (3, 3, 2, "Relu"),
        (6, 3, 1, "SiLU"),
        (5, 5, 2, "HardSwish"),
        (4, 7, 1, "Relu"),
    ):
        out = x.shape[1] if stride == 1 else x.shape[1] + 40
        y = conv(net, x, expand * x.shape[1], 1, act=act)
        y = depthwise(net, y, kernel, stride=stride, act=act)
        if kernel == 5:
            y = squeeze(net, y, x.shape[1], "Sigmoid" if stride == 2 else "HardSigmoid")
        y = conv(net, y, out, 1, act="")
        x = add(net, x, y) if stride == 1 else y
    net.output(classify(net, x, 300))
    return net


def _stem(side: int) -> Net:
    net = Net(f"stem-{side}")
    x = net.input(1, 3, side, side)
    a = pool(net, "MaxPool", conv(net, x, 56, 7, stride=2), 3, 2)
    b = conv(net, conv(net, x, 40, 3, stride=2, act="HardSwish"), 72, 3)
    b = depthwise(net, b, 3, stride=2)
    c = conv(net, x, 24, 3)
    net.output(conv(net, a, 64, 1), conv(net, b, 64, 1), pool(net, "MaxPool", c, 2, 2))
    return net


def _branches(channels: int, side: int) -> Net:
    net = Net(f"branches-{channels}-{side}")
    x = net.input(1, channels, side, side)
    for _ in range(2):
        a = conv(net, x, channels // 4, 1)
        b = conv(net, conv(net, x, channels // 4, 1), channels // 4, 3)
        c = conv(net, conv(net, conv(net, x, channels // 8, 1), channels // 6, (1, 7)), channels // 4, (7, 1))
        d = conv(net, pool(net, "AveragePool", x, 3, 1), channels // 8, 1)
        e = pool(net, "MaxPool", x, 3, 1)
        x = concat(net, [a, b, c, d, e], 1)
    # as dense blocks do: what is joined is normalized and activated before its convolution
    y = net.node("BatchNormalization", [x, *(net.weight(x.shape[1], scale=0.1, shift=1.0) for _ in range(4))], x.shape)
    net.output(conv(net, activate(net, y, "Relu"), 48, 1))
    return net


def _large(channels: int, side: int) -> Net:
    net = Net(f"large-{channels}-{side}")
    x = net.input(1, channels, side, side)
    y = conv(net, x, channels, 1)
    y = depthwise(net, y, 3)
    y = conv(net, y, 2 * channels, 1)
    y = depthwise(net, y, 3, stride=2)
    y = conv(net, y, channels, 3)
    net.output(y)
    return net


def _tiny(channels: int, side: int) -> Net:
    net = Net(f"tiny-{channels}-{side}")
    x = conv(net, net.input(1, 3, side, side), channels, 3)
    for i in range(3):
        x = conv(net, depthwise(net, x, 3, stride=1 + i % 2), channels * (1 + i), 1)
        y = conv(net, x, x.shape[1], 3, act="")
        x = add(net, x, y, "Relu")
    net.output(net.node("Softmax", [classify(net, x, 10)], (1, 10), axis=-1))
    return net


def _enlarging(channels: int, side: int) -> Net:
    net = Net(f"enlarging-{channels}-{side}")
    x = net.input(1, channels, side, side)
    y = transposed(net, x, channels // 2, 4, 2)
    y = conv(net, y, channels // 2, 3)
    y = transposed(net, y, channels // 4, 2, 2)
    sizes = (1, channels, 2 * side, 2 * side)
    scales = net.numbers([1.0, 1.0, 2.0, 2.0], x.encoding)
    z = conv(net, x, channels, 1)
    near = net.node(
        "Resize",
        [z, "", scales],
        sizes,
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
    smooth = net.node("Resize", [x, "", scales], sizes, mode="linear")
    wide = transposed(net, x, 8, 8, 4)
    net.output(y, conv(net, near, channels, 3), conv(net, smooth, channels, 3), wide, transposed(net, wide, 3, 9, 3))
    return net


def _generating(channels: int, classes: int) -> Net:
    """An image out of a few numbers."""
    net = Net(f"generating-{channels}-{classes}")
    x = net.input(1, classes, 1, 1)
    weights = [net.weight(classes, 4 * channels, 4, 4, scale=0.05), net.weight(4 * channels)]
    y = net.node("ConvTranspose", [x, *weights], (1, 4 * channels, 4, 4), kernel_shape=(4, 4))
    y = transposed(net, transposed(net, activate(net, y, "Relu"), 2 * channels, 4, 2), channels, 4, 2)
    net.output(activate(net, transposed(net, y, 3, 4, 2), "Tanh"))
    return net


def _rows(channels: int, length: int) -> Net:
    net = Net(f"rows-{channels}-{length}")
    x = net.input(1, channels, length)
    y = conv(net, conv(net, x, channels, 3), channels, 5, dilation=2)
    y = add(net, y, conv(net, y, channels, 1, act=""))
    y = conv(net, depthwise(net, y, 9), channels, 3, stride=2)
    net.output(y)
    return net


def _volumes(channels: int, side: int) -> Net:
    net = Net(f"volumes-{channels}-{side}")
    x = net.input(1, channels, 10, side, side)
    y = conv(net, conv(net, x, channels, 3), 2 * channels, 3, stride=2)
    net.output(pool(net, "MaxPool", conv(net, y, channels, 1), 3, 2))
    return net


def _few(side: int) -> Net:
    """A few channels on a large map, what is not blocked between."""
    net = Net(f"few-{side}")
    x = conv(net, net.input(1, 3, side, side), 20, 3, act="PRelu")
    y = conv(net, x, 12, 1, act="PRelu")
    net.output(conv(net, conv(net, y, 12, 3, act="Tanh"), 3, 5, act=""))
    return net


def _grouped(channels: int, side: int) -> Net:
    net = Net(f"grouped-{channels}-{side}")
    x = net.input(1, channels, side, side)
    y = conv(net, x, channels, 3, group=channels // 32)
    y = conv(net, y, channels, 3, group=channels // 16)
    y = conv(net, y, channels, 1, group=3)
    y = conv(net, y, channels, 3, group=channels // 4, stride=2)
    net.output(y)
    return net
