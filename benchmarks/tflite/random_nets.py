"""Random int8 networks: chains and branches of convolutions, additions and poolings, many of equal size.

They are drawn and quantized with the code of the sample models. Equal sizes are what the planner of TensorFlow Lite
Micro treats in a way of its own, so they are frequent.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import onnx

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "sample_models"))
from _builder import Net
from _layers import conv
from _quantize import quantize_qdq

CHANNELS = (1, 3, 4, 8, 12, 16)
Map = tuple[str, int, int]  # name, channels, height and width


def random_net(seed: int) -> onnx.ModelProto:
    """Deterministic. Every map that nothing reads is an output of the graph."""
    draw = random.Random(seed)
    net = Net(f"random-{seed}", "")
    side = draw.choice((8, 12, 15, 16))
    channels = draw.choice(CHANNELS)
    maps: list[Map] = [(net.input("input", [1, channels, side, side]), channels, side)]
    unread: dict[str, Map] = {}
    for i in range(draw.randrange(4, 16)):
        source = maps[-1] if draw.random() < 0.6 else draw.choice(maps)
        partners = [m for m in maps if m[1:] == source[1:] and m != source]
        if partners and draw.random() < 0.4:
            partner = draw.choice(partners)
            unread.pop(partner[0], None)
            made = (net.node("Add", [source[0], partner[0]], f"add{i}"), *source[1:])
        else:
            made = _convolved(net, draw, source, f"conv{i}")
        if draw.random() < 0.5:
            made = (net.node("Relu", [made[0]], f"relu{i}"), *made[1:])
        unread.pop(source[0], None)
        unread[made[0]] = made
        maps.append(made)
    for name, c, s in unread.values():
        net.output(name, [1, c, s, s])
    model = net.model()
    model.graph.output.sort(key=lambda o: o.name)
    names = ["input", *(n.output[0] for n in model.graph.node)]
    return quantize_qdq(model, dict.fromkeys(names, (-1.0, 1.0)), net.name)


def _convolved(net: Net, draw: random.Random, source: Map, scope: str) -> Map:
    """A convolution, padded as TensorFlow's SAME; sometimes depthwise, sometimes behind a pooling."""
    name, channels, side = source
    if side >= 8 and draw.random() < 0.15:
        name = net.node("AveragePool", [name], scope, kernel_shape=[2, 2], strides=[2, 2])
        side //= 2
    kernel, stride = draw.choice((1, 3, 5)), draw.choice((1, 1, 1, 2))
    made = -(-side // stride)
    total = max((made - 1) * stride + kernel - side, 0)
    pads = (total // 2, total // 2, total - total // 2, total - total // 2)
    depthwise = channels > 1 and draw.random() < 0.3
    out = channels if depthwise or draw.random() < 0.4 else draw.choice(CHANNELS)
    group = channels if depthwise else 1
    widths, strides = (channels, out), (stride, stride)
    name = conv(net, name, scope, widths, (kernel, kernel), strides=strides, pads=pads, group=group)
    return name, out, made
