"""ResNet-50 as it is trained (batch norms unfolded), and chains of any number of nodes."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from benchmarks.sketch import Sketch

FLOAT = TensorProto.FLOAT
STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # width, blocks, stride of the first block


def resnet50(seed: int = 0) -> Sketch:
    """25.6 million random float32 weights, 102 MB."""
    g, rng = Sketch(), np.random.default_rng(seed)
    x = g.input("x", FLOAT, [1, 3, 224, 224])
    x = _conv_norm(g, rng, x, 3, 64, 7, 2, "stem")
    x = g.node("MaxPool", [g.node("Relu", [x], "/stem")], "/stem", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    channels = 64
    for stage, (width, blocks, stride) in enumerate(STAGES, 1):
        for block in range(blocks):
            x = _bottleneck(g, rng, x, channels, width, stride if block == 0 else 1, f"layer{stage}.{block}")
            channels = 4 * width
    x = g.node("Flatten", [g.node("GlobalAveragePool", [x], "/pool")], "/pool")
    x = g.node(
        "Gemm",
        [x, _random(g, rng, "fc.weight", (1000, 2048)), _random(g, rng, "fc.bias", (1000,))],
        "/fc",
        transB=1,
    )
    g.output(x, "logits", FLOAT, [1, 1000])
    return g


def _bottleneck(g: Sketch, rng: np.random.Generator, x: str, channels: int, width: int, stride: int, name: str) -> str:
    y = g.node("Relu", [_conv_norm(g, rng, x, channels, width, 1, 1, f"{name}.conv1")], f"/{name}/relu1")
    y = g.node("Relu", [_conv_norm(g, rng, y, width, width, 3, stride, f"{name}.conv2")], f"/{name}/relu2")
    y = _conv_norm(g, rng, y, width, 4 * width, 1, 1, f"{name}.conv3")
    if channels != 4 * width:
        x = _conv_norm(g, rng, x, channels, 4 * width, 1, stride, f"{name}.downsample")
    return g.node("Relu", [g.node("Add", [y, x], f"/{name}")], f"/{name}")


def _conv_norm(
    g: Sketch, rng: np.random.Generator, x: str, channels: int, out: int, kernel: int, stride: int, name: str
) -> str:
    weight = _random(g, rng, f"{name}.weight", (out, channels, kernel, kernel))
    pads = [kernel // 2] * 4
    x = g.node("Conv", [x, weight], f"/{name}", kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pads)
    statistics = [_random(g, rng, f"{name}.{part}", (out,)) for part in ("scale", "shift", "mean", "variance")]
    return g.node("BatchNormalization", [x, *statistics], f"/{name}")


def _random(g: Sketch, rng: np.random.Generator, name: str, dims: tuple[int, ...]) -> str:
    """Positive, so that variances are valid; a static audit reads none of it."""
    return g.weight(name, dims, FLOAT, rng.random(dims, np.float32).tobytes())


def chain(nodes: int, channels: int = 8, side: int = 8) -> Sketch:
    """Exactly `nodes` nodes: a line of residual convolution and token blocks with weights of their own."""
    g = Sketch()
    x = g.input("x", FLOAT, [1, channels, side, side])
    block = 0
    while nodes - len(g.nodes) > BLOCK_NODES:
        x = _block(g, x, channels, side, f"block.{block}")
        block += 1
    while nodes - len(g.nodes) > 1:
        x = g.node("Relu", [x], f"/tail.{len(g.nodes)}")
    g.output(x, "y", FLOAT, [1, channels, side, side])
    return g


BLOCK_NODES = 15


def _block(g: Sketch, x: str, channels: int, side: int, name: str) -> str:
    """Two convolutions with a shortcut, then the pixels projected as tokens after a computed Reshape."""
    y = g.node("Relu", [_small_conv(g, x, channels, f"{name}.conv1")], f"/{name}/relu1")
    y = g.node("Add", [_small_conv(g, y, channels, f"{name}.conv2"), x], f"/{name}/shortcut")
    y = g.node("Relu", [y], f"/{name}/relu2")
    batch = g.node("Gather", [g.node("Shape", [y], f"/{name}"), g.integers(0)], f"/{name}")
    shape = g.node("Concat", [batch, g.integers(channels, -1)], f"/{name}", axis=0)
    tokens = g.node("Transpose", [g.node("Reshape", [y, shape], f"/{name}")], f"/{name}/tokens", perm=[0, 2, 1])
    projected = g.node("MatMul", [tokens, _zeros(g, f"{name}.proj.weight", (channels, channels))], f"/{name}/proj")
    projected = g.node("Add", [projected, _zeros(g, f"{name}.proj.bias", (channels,))], f"/{name}/proj")
    back = g.node("Transpose", [projected], f"/{name}/pixels", perm=[0, 2, 1])
    back = g.node("Reshape", [back, g.integers(1, channels, side, side)], f"/{name}/pixels")
    return g.node("Add", [y, back], f"/{name}/out")


def _small_conv(g: Sketch, x: str, channels: int, name: str) -> str:
    inputs = [
        x,
        _zeros(g, f"{name}.weight", (channels, channels, 3, 3)),
        _zeros(g, f"{name}.bias", (channels,)),
    ]
    return g.node("Conv", inputs, f"/{name}", kernel_shape=[3, 3], pads=[1] * 4)


def _zeros(g: Sketch, name: str, dims: tuple[int, ...]) -> str:
    return g.weight(name, dims, FLOAT, bytes(4 * int(np.prod(dims))))
