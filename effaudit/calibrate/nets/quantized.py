"""Networks in integers."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt

from effaudit.calibrate.layers import concat, layer_norm, reshape, transpose
from effaudit.calibrate.net import Net, Tensor
from effaudit.calibrate.quantized import applied, conv, dynamic, gemm, linear, packed, product, rounded
from effaudit.graph import FLOAT, INT8, UINT8, Encoding


def nets() -> Iterator[Net]:
    for encoding in (UINT8, INT8):
        for channels, side in ((6, 50), (12, 22), (40, 40), (136, 18), (280, 8)):
            yield _images(channels, side, encoding)
        yield _layers(encoding)
    for tokens, width, heads in ((20, 96, 3), (150, 320, 5)):
        yield _block(tokens, width, heads)
    for tokens, width in ((1, 700), (90, 384)):
        yield _as_it_runs(tokens, width)


def _images(channels: int, side: int, encoding: Encoding) -> Net:
    net = Net(f"{encoding.dtype}-images-{channels}-{side}")
    x = conv(net, rounded(net, net.input(1, 3, side, side), encoding), channels, 3, encoding)
    y = conv(net, x, channels, 3, encoding)
    y = conv(net, y, channels, 3, encoding, act="")
    x = applied(net, "Add", [x, y], encoding)
    for kernel, stride in ((3, 1), (5, 2), (3, 2)):
        y = conv(net, x, 3 * channels, 1, encoding)
        y = conv(net, y, 3 * channels, kernel, encoding, stride=stride, group=3 * channels)
        x = conv(net, y, channels, 1, encoding, act="")
    x = rounded(net, concat(net, [x, x], 1), encoding)
    x = rounded(net, net.node("MaxPool", [x], x.shape, kernel_shape=(3, 3), pads=(1, 1, 1, 1)), encoding)
    x = rounded(net, net.node("AveragePool", [x], x.shape, kernel_shape=(3, 3), pads=(1, 1, 1, 1)), encoding)
    side = x.shape[-1]
    whole = net.node("AveragePool", [x], (*x.shape[:2], 1, 1), kernel_shape=(side, side))
    net.output(rounded(net, whole, encoding))
    gate = rounded(net, net.node("GlobalAveragePool", [x], (*x.shape[:2], 1, 1)), encoding)
    x = applied(net, "Mul", [x, gate], encoding)
    x = applied(net, "LeakyRelu", [x], encoding, alpha=0.1)
    x = rounded(net, net.node("GlobalAveragePool", [x], (*x.shape[:2], 1, 1)), encoding)
    x = applied(net, "Sigmoid", [x], encoding)
    x = gemm(net, reshape(net, x, 1, 2 * channels), 30, encoding)
    net.output(applied(net, "Softmax", [x], encoding, axis=-1))
    return net


def _layers(encoding: Encoding) -> Net:
    net = Net(f"{encoding.dtype}-layers")
    outputs: list[Tensor] = []
    for rows, widths in ((1, (300, 700, 90)), (1, (1500, 2100)), (40, (400, 900, 200))):
        x = rounded(net, net.input(rows, widths[0]), encoding)
        for width in widths[1:]:
            x = gemm(net, x, width, encoding)
        outputs.append(x)
    net.output(*outputs)
    return net


def _block(tokens: int, width: int, heads: int) -> Net:
    net = Net(f"int8-block-{tokens}-{width}")
    each, code = width // heads, UINT8
    x = rounded(net, net.input(1, tokens, width), code)
    q, k, v = (
        transpose(net, reshape(net, linear(net, x, width, code), 1, tokens, heads, each), 0, 2, 1, 3) for _ in range(3)
    )
    turned = transpose(net, k, 0, 1, 3, 2)
    scores = product(net, q, turned, (1, heads, tokens, tokens), code)
    scores = applied(net, "Mul", [scores, net.numbers([1 / sqrt(each)], FLOAT, scalar=True)], code)
    scores = applied(net, "Softmax", [scores], code, axis=-1)
    y = product(net, scores, v, (1, heads, tokens, each), code)
    y = linear(net, reshape(net, transpose(net, y, 0, 2, 1, 3), 1, tokens, width), width, code)
    y = rounded(net, layer_norm(net, applied(net, "Add", [x, y], code)), code)
    y = linear(net, y, 4 * width, code)
    y = applied(net, "Relu", [y], code)
    net.output(linear(net, y, width, code))
    return net


def _as_it_runs(tokens: int, width: int) -> Net:
    net = Net(f"as-it-runs-{tokens}-{width}")
    x = net.input(1, tokens, width - width % 32)
    y = dynamic(net, dynamic(net, x, 4 * x.shape[-1]), x.shape[-1])
    net.output(packed(net, packed(net, y, 3 * x.shape[-1]), x.shape[-1]))
    return net
