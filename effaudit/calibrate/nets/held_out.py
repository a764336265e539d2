"""Networks that no cost is fitted to: how far estimates are from them is the error that the profile states."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.calibrate.layers import (
    add,
    attention,
    block,
    classify,
    concat,
    conv,
    depthwise,
    gemm,
    layer_norm,
    linear,
    pool,
    reshape,
    squeeze,
    transpose,
    transposed,
)
from effaudit.calibrate.net import Net, Tensor
from effaudit.graph import FLOAT


def nets() -> Iterator[Net]:
    yield _residual(36, 76)
    yield _residual(88, 44)
    yield _mobile(20, 68, "Relu")
    yield _mobile(44, 120, "HardSwish")
    yield _dense(52, 34)
    yield _encoder(60, 256, 4)
    yield _encoder(180, 192, 3)
    yield _decoder(480, 6, 120)
    yield _perceptron((500, 900, 400, 12))
    yield _perceptron((4000, 2500, 700))
    yield _hourglass(24, 64)
    yield _keywords(60, 24, 90)
    yield _patches(96, 14, 160)


def _residual(width: int, side: int) -> Net:
    net = Net(f"held-out-residual-{width}-{side}")
    x = pool(net, "MaxPool", conv(net, net.input(1, 3, 2 * side, 2 * side), width, 7, stride=2), 3, 2)
    for stage in range(3):
        out = width * 2**stage
        for i in range(2):
            stride = 2 if stage and not i else 1
            y = conv(net, conv(net, x, out, 3, stride=stride), out, 3, act="")
            short = x if x.shape == y.shape else conv(net, x, out, 1, stride=stride, act="")
            x = add(net, short, y, "Relu")
    net.output(classify(net, x, 200))
    return net


def _mobile(width: int, side: int, act: str) -> Net:
    net = Net(f"held-out-mobile-{width}-{side}")
    x = conv(net, net.input(1, 3, side, side), width, 3, stride=2, act=act)
    for out, stride in ((width, 1), (2 * width, 2), (2 * width, 1), (4 * width, 2), (4 * width, 1), (6 * width, 2)):
        y = depthwise(net, conv(net, x, 4 * x.shape[1], 1, act=act), 3, stride=stride, act=act)
        if act == "HardSwish":
            y = squeeze(net, y, x.shape[1])
        y = conv(net, y, out, 1, act="")
        x = add(net, x, y) if x.shape == y.shape else y
    net.output(classify(net, conv(net, x, 500, 1, act=act), 80))
    return net


def _dense(growth: int, side: int) -> Net:
    net = Net(f"held-out-dense-{growth}-{side}")
    x = conv(net, net.input(1, 3, 2 * side, 2 * side), 2 * growth, 3, stride=2)
    for _ in range(4):
        x = concat(net, [x, conv(net, conv(net, x, 4 * growth, 1), growth, 3)], 1)
    net.output(classify(net, pool(net, "AveragePool", conv(net, x, 3 * growth, 1), 2, 2), 50))
    return net


def _encoder(tokens: int, width: int, heads: int) -> Net:
    net = Net(f"held-out-encoder-{tokens}-{width}")
    x = net.input(1, tokens, width)
    for _ in range(2):
        x = block(net, x, heads)
    net.output(linear(net, layer_norm(net, x), 30))
    return net


def _decoder(width: int, heads: int, past: int) -> Net:
    net = Net(f"held-out-decoder-{width}-{past}")
    x = net.input(1, 1, width)
    for _ in range(3):
        cache = (net.input(1, heads, past, width // heads), net.input(1, heads, past, width // heads))
        found, keys, values = attention(net, layer_norm(net, x), heads, cache)
        x = add(net, x, found)
        x = add(net, x, linear(net, linear(net, layer_norm(net, x), 4 * width, act="Gelu"), width))
        net.output(keys, values)
    net.output(linear(net, x, 3000, bias=False))
    return net


def _perceptron(widths: tuple[int, ...]) -> Net:
    net = Net(f"held-out-perceptron-{widths[0]}")
    x = net.input(1, widths[0])
    for width in widths[1:]:
        x = gemm(net, x, width)
    net.output(x)
    return net


def _hourglass(width: int, side: int) -> Net:
    net = Net(f"held-out-hourglass-{width}-{side}")
    x = conv(net, net.input(1, 3, side, side), width, 3)
    y = conv(net, conv(net, x, 2 * width, 3, stride=2), 2 * width, 3)
    z = conv(net, conv(net, y, 4 * width, 3, stride=2), 4 * width, 3)
    y = conv(net, concat(net, [y, transposed(net, z, 2 * width, 2, 2)], 1), 2 * width, 3)
    x = conv(net, concat(net, [x, transposed(net, y, width, 2, 2)], 1), width, 3)
    net.output(conv(net, x, 2, 1, act="Sigmoid"))
    return net


def _keywords(steps: int, features: int, hidden: int) -> Net:
    net = Net(f"held-out-keywords-{steps}-{hidden}")
    x = conv(net, net.input(1, features, steps), hidden, 5)
    x = conv(net, x, hidden, 3)
    y: Tensor = transpose(net, x, 2, 0, 1)
    weights = [
        net.weight(1, 4 * hidden, hidden),
        net.weight(1, 4 * hidden, hidden),
        net.weight(1, 8 * hidden, scale=0.1),
    ]
    y = net.node("LSTM", [y, *weights], (steps, 1, 1, hidden), hidden_size=hidden)
    y = net.node("ReduceMean", [reshape(net, y, steps, hidden), net.numbers([0])], (1, hidden))
    net.output(net.node("Softmax", [gemm(net, y, 12, act="")], (1, 12), axis=-1))
    return net


def _patches(side: int, size: int, width: int) -> Net:
    net = Net(f"held-out-patches-{side}-{width}")
    x = net.input(1, 3, side // size * size, side // size * size)
    count = side // size
    kernel = net.weight(width, 3, size, size)
    y = net.node("Conv", [x, kernel, net.weight(width)], (1, width, count, count), strides=(size, size))
    y = transpose(net, reshape(net, y, 1, width, count * count), 0, 2, 1)
    y = block(net, add(net, y, net.weight(1, count * count, width, scale=0.02)), 4)
    scale = net.numbers([0.5], FLOAT, scalar=True)
    net.output(net.node("Mul", [y, scale], y.shape))
    return net
