"""Randomly wired networks: WS(32, 4, 0.75) of "Exploring Randomly Wired Neural Networks for Image Recognition"
(Xie et al. 2019, https://arxiv.org/abs/1904.01569), the small regime of its table 1.
"""

from __future__ import annotations

import random

from onnx import TensorProto

from benchmarks.sketch import Sketch

NODES, NEIGHBOURS, REWIRED = 32, 4, 0.75
CHANNELS = 78
SIDE = 224


def wiring(draw: random.Random) -> list[tuple[int, int]]:
    """The edges of a Watts-Strogatz graph, each from the smaller to the larger number: nodes in a ring, each joined to
    `NEIGHBOURS` others, the far end of each edge redrawn with probability `REWIRED`."""
    joined: list[set[int]] = [set() for _ in range(NODES)]
    for distance in range(1, NEIGHBOURS // 2 + 1):
        for v in range(NODES):
            joined[v].add((v + distance) % NODES)
            joined[(v + distance) % NODES].add(v)
    for distance in range(1, NEIGHBOURS // 2 + 1):
        for v in range(NODES):
            w = (v + distance) % NODES
            if w in joined[v] and draw.random() < REWIRED:
                free = [u for u in range(NODES) if u != v and u not in joined[v]]
                if free:
                    new = draw.choice(free)
                    joined[v].remove(w)
                    joined[w].remove(v)
                    joined[v].add(new)
                    joined[new].add(v)
    return sorted((v, w) for v in range(NODES) for w in joined[v] if v < w)


def randwire(seed: int) -> Sketch:
    """The whole network for one image: two convolutions, three random stages, a classifier."""
    g, draw = Sketch(), random.Random(seed)
    x = g.input("x", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    x = g.node("Relu", [_conv(g, x, 3, CHANNELS // 2, 3, 2, "conv1")], "/conv1")
    x = _conv(g, x, CHANNELS // 2, CHANNELS, 3, 2, "conv2")
    channels = CHANNELS
    for stage, width in ((3, CHANNELS), (4, 2 * CHANNELS), (5, 4 * CHANNELS)):
        x = _stage(g, x, channels, width, wiring(draw), f"stage{stage}")
        channels = width
    x = _conv(g, g.node("Relu", [x], "/head"), channels, 1280, 1, 1, "head")
    x = g.node("Flatten", [g.node("GlobalAveragePool", [x], "/pool")], "/pool")
    x = g.node("Gemm", [x, g.weight("fc.weight", (1000, 1280)), g.weight("fc.bias", (1000,))], "/fc", transB=1)
    g.output(x, "logits", TensorProto.FLOAT, [1, 1000])
    return g


def _stage(g: Sketch, x: str, channels: int, width: int, edges: list[tuple[int, int]], name: str) -> str:
    """Nodes sum what they get, each input weighed, then ReLU and a separable convolution. Those that get nothing get
    the stage's input, at half the size; the stage's output is the mean of those that nobody reads."""
    made: list[str] = []
    for v in range(NODES):
        parts = [made[u] for u, w in edges if w == v]
        source, stride, count = (_weighed(g, parts, f"{name}.{v}"), 1, width) if parts else (x, 2, channels)
        source = g.node("Relu", [source], f"/{name}/{v}")
        deep = g.node(
            "Conv",
            [source, g.weight(f"{name}.{v}.deep", (count, 1, 3, 3))],
            f"/{name}/{v}/deep",
            kernel_shape=[3, 3],
            group=count,
            strides=[stride] * 2,
            pads=[1] * 4,
        )
        made.append(_conv(g, deep, count, width, 1, 1, f"{name}.{v}.wide"))
    ends = [made[v] for v in range(NODES) if all(u != v for u, _ in edges)]
    return g.node("Mean", ends, f"/{name}") if len(ends) > 1 else ends[0]


def _weighed(g: Sketch, parts: list[str], name: str) -> str:
    """The sum of the parts, each times a learned scalar, added one by one as exporters write it."""
    total = ""
    for i, part in enumerate(parts):
        scaled = g.node("Mul", [part, g.weight(f"{name}.weight{i}", (1,))], f"/{name}")
        total = g.node("Add", [total, scaled], f"/{name}") if total else scaled
    return total


def _conv(g: Sketch, x: str, channels: int, out: int, kernel: int, stride: int, name: str) -> str:
    weights = [g.weight(f"{name}.weight", (out, channels, kernel, kernel)), g.weight(f"{name}.bias", (out,))]
    return g.node(
        "Conv", [x, *weights], f"/{name}", kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4
    )
