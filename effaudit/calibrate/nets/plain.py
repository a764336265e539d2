"""Operators without products, one after the other at several sizes: elementwise, reductions, norms, movement."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.calibrate.layers import activate, concat, gelu, layer_norm, reshape, split, transpose
from effaudit.calibrate.net import Net, Tensor
from effaudit.graph import BOOL, FLOAT, INT64

ACTIVATIONS = "Relu Sigmoid Tanh Erf Exp LeakyRelu HardSigmoid HardSwish Softplus Elu Abs Neg Clip6 SiLU".split()


def nets() -> Iterator[Net]:
    for shape in ((1, 8, 4, 4), (1, 24, 10, 10), (1, 80, 40, 40), (1, 64, 84, 84)):
        yield _elementwise(shape)
        yield _moving(shape)
        yield _reducing(shape)
    for rows, width in ((3, 12), (12, 48), (200, 400), (1100, 640)):
        yield _rows(rows, width)


def _elementwise(shape: tuple[int, ...]) -> Net:
    """Each reads the input itself: how long some take depends on signs, which a chain would make all alike."""
    net = Net(f"elementwise-{'x'.join(map(str, shape))}")
    x = net.input(*shape)
    made = [activate(net, x, op) for op in ACTIVATIONS]
    made.append(net.node("Sqrt", [made[ACTIVATIONS.index("Abs")]], shape))
    made.append(gelu(net, x))
    channel = net.weight(1, shape[1], 1, 1, scale=0.1, shift=1.0)
    for op in ("Add", "Sub", "Mul", "Div"):
        for other in (made[0], channel, net.numbers([1.5], FLOAT, scalar=True)):
            made.append(net.node(op, [x, other], shape))
    made.append(net.node("Pow", [x, net.numbers([2.0], FLOAT, scalar=True)], shape))
    made.append(net.node("Max", [x, made[1]], shape))
    above = net.node("Greater", [x, made[1]], shape, encoding=BOOL)
    made.append(net.node("Where", [above, x, made[1]], shape))
    made.append(net.node("PRelu", [x, net.weight(shape[1], 1, 1, scale=0.1)], shape))
    norm = [net.weight(shape[1], scale=0.1, shift=1.0) for _ in range(4)]
    made.append(net.node("BatchNormalization", [made[0], *norm], shape))
    net.output(*made)
    return net


def _moving(shape: tuple[int, ...]) -> Net:
    net = Net(f"moving-{'x'.join(map(str, shape))}")
    batch, channels, height, width = shape
    x = net.input(*shape)
    a = transpose(net, x, 0, 2, 3, 1)
    b = transpose(net, a, 0, 3, 1, 2)
    c = transpose(net, x, 0, 1, 3, 2)
    d = concat(net, [b, x], 1)
    parts = split(net, d, 2, 1)
    e = concat(net, parts, 3)
    f = net.node("Slice", [e, net.numbers([1]), net.numbers([width + 1]), net.numbers([3])], shape)
    g = net.node(
        "Pad", [f, net.numbers([0, 0, 1, 1, 0, 0, 1, 1])], (batch, channels, height + 2, width + 2), mode="reflect"
    )
    h = net.node("DepthToSpace", [x], (batch, channels // 4, 2 * height, 2 * width), blocksize=2)
    grown = (batch, channels, 2 * height, 2 * width)
    scales = net.numbers([1.0, 1.0, 2.0, 2.0], FLOAT)
    i = net.node("Resize", [c, "", scales], grown, mode="nearest")
    j = net.node("Resize", [c, "", scales], grown, mode="linear")
    k = net.node("Gather", [x, net.integers(INT64, 0, channels - 1, channels)], shape, axis=1)
    m = net.node(
        "Expand", [net.node("ReduceMean", [k, net.numbers([1])], (batch, 1, height, width)), net.numbers(shape)], shape
    )
    n = net.node("Tile", [m, net.numbers([1, 2, 1, 1])], (batch, 2 * channels, height, width))
    # channels in another order, as ShuffleNet has them
    shuffled = transpose(net, reshape(net, x, batch, 2, channels // 2, height, width), 0, 2, 1, 3, 4)
    # many small ones, as features that are joined
    pieces = split(net, reshape(net, x, channels, height * width), channels, 0)
    many = concat(net, pieces[::2] + pieces[1::2], 1)
    net.output(g, h, i, j, n, many, reshape(net, shuffled, *shape))
    return net


def _reducing(shape: tuple[int, ...]) -> Net:
    net = Net(f"reducing-{'x'.join(map(str, shape))}")
    batch, channels, height, width = shape
    x = net.input(*shape)
    made: list[Tensor] = []
    for op in ("ReduceMean", "ReduceMax", "ReduceSum"):
        made.append(net.node(op, [x, net.numbers([2, 3])], (batch, channels, 1, 1)))
        made.append(net.node(op, [x, net.numbers([1])], (batch, 1, height, width)))
        made.append(net.node(op, [x, net.numbers([3])], (batch, channels, height, 1)))
    scale = [net.weight(channels, scale=0.1, shift=1.0), net.weight(channels, scale=0.1)]
    made.append(net.node("InstanceNormalization", [x, *scale], shape))
    made.append(net.node("LRN", [x], shape, size=5))
    for op in ("MaxPool", "AveragePool"):
        made.append(net.node(op, [x], shape, kernel_shape=(3, 3), strides=(1, 1), pads=(1, 1, 1, 1)))
        made.append(net.node(op, [x], (batch, channels, height // 2, width // 2), kernel_shape=(2, 2), strides=(2, 2)))
    made.append(net.node("GlobalAveragePool", [x], (batch, channels, 1, 1)))
    made.append(net.node("ArgMax", [x], (batch, 1, height, width), encoding=INT64, axis=1))
    net.output(*made)
    return net


def _rows(rows: int, width: int) -> Net:
    net = Net(f"norms-{rows}-{width}")
    x = net.input(1, rows, width)
    y = layer_norm(net, x)
    # along the last axis, as queries, keys and values are cut out of one product
    queries, keys = split(net, y, 2, 2)
    net.output(concat(net, [keys, queries], 2))
    z = net.node("Softmax", [y], y.shape, axis=-1)
    w = net.node("LogSoftmax", [z], y.shape, axis=-1)
    v = net.node("Softmax", [w], y.shape, axis=1)
    t = transpose(net, v, 0, 2, 1)
    mean = net.node("ReduceMean", [t, net.numbers([-1])], (1, width, 1))
    centred = net.node("Sub", [t, mean], t.shape)
    square = net.node("Mul", [centred, centred], t.shape)
    spread = net.node("ReduceMean", [square, net.numbers([-1])], (1, width, 1))
    net.output(net.node("Div", [centred, net.node("Sqrt", [spread], spread.shape)], t.shape))
    table = net.weight(2000, width)
    net.output(net.node("Gather", [table, net.integers(INT64, 0, 1999, rows)], (rows, width), axis=0))
    return net
