"""Products of matrices: fully connected layers, one row and many, transformer blocks, decoding, recurrent layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from effaudit.calibrate.layers import add, attention, block, gemm, layer_norm, linear, reshape, transpose
from effaudit.calibrate.net import Net
from effaudit.graph import FLOAT, INT64


def nets() -> Iterator[Net]:
    for rows, widths in (
        (1, (40, 96, 64, 10)),
        (3, (12, 30, 9)),
        (40, (30, 20, 15, 1)),
        (1, (700, 1500, 600, 1100)),
        (1, (1700, 3700, 1900)),
        (1, (2600, 5300)),
        (1, (7000, 2900, 1000)),
        (1, (6600, 4100, 900)),
        (2, (900, 2400)),
        (17, (300, 800, 450)),
        (130, (200, 700, 350, 900)),
        (900, (64, 256, 256, 8)),
    ):
        yield _layers(rows, widths)
    for tokens, width, heads in ((7, 24, 2), (24, 96, 3), (70, 288, 6), (190, 416, 8), (90, 768, 12), (300, 256, 4)):
        yield _blocks(tokens, width, heads)
    for width, heads, past in ((40, 2, 9), (160, 4, 40), (576, 9, 200), (832, 13, 500)):
        yield _decoding(width, heads, past)
    for steps, width, hidden in (
        (1, 1100, 1200),
        (8, 900, 700),
        (70, 40, 620),
        (6, 8, 10),
        (12, 20, 40),
        (30, 130, 110),
        (60, 100, 190),
        (250, 30, 70),
        (40, 300, 420),
    ):
        yield _recurrent(steps, width, hidden)
    for rows, entries, width in ((30, 5_000, 24), (700, 60_000, 40), (90, 9_000, 300)):
        yield _looking_up(rows, entries, width)
    yield _windows(49, 24, 112, 4)
    yield _mixing(150, 260)


def _layers(rows: int, widths: tuple[int, ...]) -> Net:
    net = Net(f"layers-{rows}-{'-'.join(map(str, widths))}")
    x = net.input(rows, widths[0])
    for width in widths[1:]:
        x = gemm(net, x, width)
    net.output(linear(net, linear(net, x, 120), 60, act="Tanh"))
    return net


def _blocks(tokens: int, width: int, heads: int) -> Net:
    net = Net(f"blocks-{tokens}-{width}-{heads}")
    x = net.input(1, tokens, width)
    y = add(net, x, attention(net, x, heads)[0])
    y = layer_norm(net, y)
    y = layer_norm(net, add(net, y, linear(net, linear(net, y, 4 * width, act="Gelu"), width)))
    net.output(layer_norm(net, block(net, y, heads)))
    return net


def _decoding(width: int, heads: int, past: int) -> Net:
    net = Net(f"decoding-{width}-{heads}-{past}")
    table = net.weight(900, width)
    x = net.node("Gather", [table, net.numbers([7], INT64)], (1, width), axis=0)
    x = add(net, reshape(net, x, 1, 1, width), net.input(1, 1, width))
    for _ in range(2):
        cache = (net.input(1, heads, past, width // heads), net.input(1, heads, past, width // heads))
        found, keys, values = attention(net, layer_norm(net, x), heads, cache)
        x = add(net, x, found)
        x = add(net, x, linear(net, linear(net, layer_norm(net, x), 4 * width, act="Gelu"), width))
        net.output(keys, values)
    net.output(linear(net, x, 900, bias=False))
    return net


def _looking_up(rows: int, entries: int, width: int) -> Net:
    """Tables that are looked up, and what is found joined and multiplied."""
    net = Net(f"looking-up-{rows}-{entries}-{width}")
    found = []
    for _ in range(3):
        places = net.integers(INT64, 0, entries - 1, rows, 2)
        moved = net.node("Add", [places, net.input(rows, 2, encoding=INT64)], (rows, 2), encoding=INT64)
        kept = net.node("Mod", [moved, net.numbers([entries], INT64, scalar=True)], (rows, 2), encoding=INT64)
        both = net.node("Gather", [net.weight(entries, width, scale=0.1), kept], (rows, 2, width), axis=0)
        found.append(net.node("ReduceSum", [both, net.numbers([1])], (rows, width), keepdims=0))
    one = net.node("Cast", [net.input(rows, encoding=INT64)], (rows,), to=1)
    table = net.node("Concat", found, (rows, 3 * width), axis=1)
    cube = reshape(net, table, rows, 3, width)
    pairs = net.node("MatMul", [cube, transpose(net, cube, 0, 2, 1)], (rows, 3, 3))
    y = net.node(
        "Concat", [table, reshape(net, pairs, rows, 9), reshape(net, one, rows, 1)], (rows, 3 * width + 10), axis=1
    )
    net.output(gemm(net, gemm(net, y, 64), 1, act="Sigmoid"))
    return net


def _recurrent(steps: int, width: int, hidden: int) -> Net:
    net = Net(f"recurrent-{steps}-{width}-{hidden}")
    x = net.input(steps, 1, width)
    found = []
    for op, gates in (("LSTM", 4), ("GRU", 3)):
        y = x
        for size in (width, hidden):
            scale = hidden**-0.5
            weights = [
                net.weight(1, gates * hidden, size, scale=scale),
                net.weight(1, gates * hidden, hidden, scale=scale),
            ]
            bias = net.weight(1, 2 * gates * hidden, scale=0.1)
            extra: dict[str, Any] = {"linear_before_reset": 1} if op == "GRU" else {}
            y = net.node(op, [y, *weights, bias], (steps, 1, 1, hidden), hidden_size=hidden, **extra)
            y = reshape(net, y, steps, 1, hidden)
        found.append(y)
    net.output(*found)
    return net


def _windows(tokens: int, windows: int, width: int, heads: int) -> Net:
    """Attention in windows, each by itself: https://arxiv.org/abs/2103.14030"""
    net = Net(f"windows-{windows}-{tokens}-{width}")
    x = net.input(windows, tokens, width)
    y = add(net, x, attention(net, layer_norm(net, x), heads)[0])
    y = reshape(net, y, 1, windows * tokens, width)
    y = linear(net, layer_norm(net, y), 4 * width, act="Gelu")
    net.output(linear(net, y, width))
    return net


def _mixing(tokens: int, width: int) -> Net:
    """Products along both axes: https://arxiv.org/abs/2105.01601"""
    net = Net(f"mixing-{tokens}-{width}")
    x = net.input(1, tokens, width)
    y = transpose(net, layer_norm(net, x), 0, 2, 1)
    y = linear(net, linear(net, y, 2 * tokens, act="Gelu"), tokens)
    x = add(net, x, transpose(net, y, 0, 2, 1))
    root = net.numbers([0.5], FLOAT, scalar=True)
    net.output(net.node("Mul", [x, root], x.shape))
    return net
