"""Vision transformers and mixers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from benchmarks.latency_host.nets.layers import INT64, floats, op, reshape, transpose
from benchmarks.sketch import Sketch
from benchmarks.zoo.attention import attention, feed_forward
from benchmarks.zoo.layers import activated, conv, dense, finish, image, layer_norm, linear

WINDOW = 7


def _patches(g: Sketch, width: int, patch: int) -> tuple[str, int]:
    """[1, tokens, width] and how many tokens."""
    x = conv(g, image(g, 224), width, patch, "patches", stride=patch, pad="valid")
    tokens = x.height * x.width
    return transpose(g, reshape(g, x.name, (1, width, tokens), "patches"), (0, 2, 1), "patches"), tokens


def vit(width: int, heads: int, layers: int = 12) -> Sketch:
    """https://arxiv.org/abs/2012.12877, 16x16 patches of 224x224."""
    g = Sketch()
    x, tokens = _patches(g, width, 16)
    tokens += 1
    x = op(g, "Concat", [floats(g, "class_token", np.ones((1, 1, width))), x], "tokens", axis=1)
    x = op(g, "Add", [x, g.weight("positions", (1, tokens, width))], "tokens")
    for i in range(layers):
        y = attention(g, layer_norm(g, x, width, f"{i}.norm1"), width, heads, tokens, f"{i}.attention")
        x = op(g, "Add", [x, y], f"{i}/attn")
        y = feed_forward(g, layer_norm(g, x, width, f"{i}.norm2"), width, 4 * width, f"{i}")
        x = op(g, "Add", [x, y], f"{i}/mlp")
    first = op(g, "Gather", [layer_norm(g, x, width, "norm"), g.scalar(0, INT64)], "first", axis=1)
    return finish(g, dense(g, first, width, 1000, "classifier"), 1000)


def mixer(layers: int = 8, width: int = 512, hidden: tuple[int, int] = (256, 2048)) -> Sketch:
    """MLP-Mixer S/16, https://arxiv.org/abs/2105.01601."""
    g = Sketch()
    x, tokens = _patches(g, width, 16)
    for i in range(layers):
        y = transpose(g, layer_norm(g, x, width, f"{i}.norm1"), (0, 2, 1), f"{i}/tokens")
        y = activated(g, linear(g, y, tokens, hidden[0], f"{i}.tokens1"), "gelu", f"{i}.tokens")
        y = transpose(g, linear(g, y, hidden[0], tokens, f"{i}.tokens2"), (0, 2, 1), f"{i}/back")
        x = op(g, "Add", [x, y], f"{i}/tokens")
        y = feed_forward(g, layer_norm(g, x, width, f"{i}.norm2"), width, hidden[1], f"{i}.channels")
        x = op(g, "Add", [x, y], f"{i}/channels")
    mean = op(g, "ReduceMean", [layer_norm(g, x, width, "norm")], "mean", axes=[1], keepdims=0)
    return finish(g, dense(g, mean, width, 1000, "classifier"), 1000)


def swin_tiny() -> Sketch:
    """https://arxiv.org/abs/2103.14030: windows of 7x7, shifted in every second block."""
    g = Sketch()
    x, _ = _patches(g, 96, 4)
    side, width = 56, 96
    x = layer_norm(g, x, width, "patches.norm")
    for stage, blocks in enumerate((2, 2, 6, 2)):
        if stage:
            x, side, width = _merged(g, x, side, width, f"{stage}.merge"), side // 2, 2 * width
        for i in range(blocks):
            shift = WINDOW // 2 if i % 2 and side > WINDOW else 0
            x = _block(g, x, side, width, shift, f"{stage}.{i}")
    mean = op(g, "ReduceMean", [layer_norm(g, x, width, "norm")], "mean", axes=[1], keepdims=0)
    return finish(g, dense(g, mean, width, 1000, "classifier"), 1000)


def _merged(g: Sketch, x: str, side: int, width: int, at: str) -> str:
    """Every second row and column, four ways, side by side: half the side, twice the width."""
    x = reshape(g, x, (1, side, side, width), at)
    parts = [
        op(g, "Slice", [x, g.integers(i, j), g.integers(side, side), g.integers(1, 2), g.integers(2, 2)], at)
        for j in (0, 1)
        for i in (0, 1)
    ]
    x = reshape(g, op(g, "Concat", parts, at, axis=-1), (1, side * side // 4, 4 * width), f"{at}/joined")
    x = layer_norm(g, x, 4 * width, f"{at}.norm")
    return op(g, "MatMul", [x, g.weight(f"{at}.weight", (4 * width, 2 * width))], at)


def _block(g: Sketch, x: str, side: int, width: int, shift: int, at: str) -> str:
    y = reshape(g, layer_norm(g, x, width, f"{at}.norm1"), (1, side, side, width), at)
    y = _rolled(g, y, shift, side, f"{at}/shift")
    n = side // WINDOW
    y = transpose(g, reshape(g, y, (n, WINDOW, n, WINDOW, width), f"{at}/cut"), (0, 2, 1, 3, 4), f"{at}/cut")
    y = reshape(g, y, (n * n, WINDOW * WINDOW, width), f"{at}/windows")
    y = _windowed(g, y, n, side, width, shift, f"{at}.attention")
    y = transpose(g, reshape(g, y, (n, n, WINDOW, WINDOW, width), f"{at}/glue"), (0, 2, 1, 3, 4), f"{at}/glue")
    y = _rolled(g, reshape(g, y, (1, side, side, width), f"{at}/glued"), side - shift if shift else 0, side, f"{at}/b")
    x = op(g, "Add", [x, reshape(g, y, (1, side * side, width), f"{at}/flat")], f"{at}/attn")
    y = feed_forward(g, layer_norm(g, x, width, f"{at}.norm2"), width, 4 * width, at)
    return op(g, "Add", [x, y], f"{at}/mlp")


def _rolled(g: Sketch, x: str, shift: int, side: int, at: str) -> str:
    """Rows and columns turned by `shift`, as exporters write it: two slices and a Concat for each axis."""
    if not shift:
        return x
    for axis in (1, 2):
        parts = [
            op(g, "Slice", [x, g.integers(start), g.integers(end), g.integers(axis)], f"{at}/{axis}")
            for start, end in ((shift, side), (0, shift))
        ]
        x = op(g, "Concat", parts, f"{at}/{axis}", axis=axis)
    return x


def _windowed(g: Sketch, x: str, n: int, side: int, width: int, shift: int, at: str) -> str:
    heads, size, tokens = width // 32, 32, WINDOW * WINDOW
    y = reshape(g, linear(g, x, width, 3 * width, f"{at}.qkv"), (n * n, tokens, 3, heads, size), f"{at}/qkv")
    y = transpose(g, y, (2, 0, 3, 1, 4), f"{at}/qkv")
    q, k, v = (op(g, "Gather", [y, g.scalar(i, INT64)], f"{at}/{part}", axis=0) for i, part in enumerate("qkv"))
    q = op(g, "Mul", [q, g.scalar(1 / math.sqrt(size))], f"{at}/scaled")
    scores = op(g, "MatMul", [q, transpose(g, k, (0, 1, 3, 2), f"{at}/k_t")], f"{at}/scores")
    scores = op(g, "Add", [scores, g.weight(f"{at}.places", (1, heads, tokens, tokens))], f"{at}/places")
    if shift:
        mask = floats(g, f"mask.{side}", _mask(side, shift)[:, None])
        scores = op(g, "Add", [scores, mask], f"{at}/masked")
    mixed = op(g, "MatMul", [op(g, "Softmax", [scores], at, axis=-1), v], f"{at}/mixed")
    joined = reshape(g, transpose(g, mixed, (0, 2, 1, 3), f"{at}/mixed"), (n * n, tokens, width), f"{at}/mixed")
    return linear(g, joined, width, width, f"{at}.out")


def _mask(side: int, shift: int) -> np.ndarray:
    """-10000 between places of one window that were no neighbours before the shift: [windows, 49, 49]. The paper's -100
    leaves denormal numbers behind Softmax."""
    region = np.zeros(side, np.int64)
    region[side - WINDOW : side - shift], region[side - shift :] = 1, 2
    of, n = region[:, None] * 3 + region[None], side // WINDOW
    flat = of.reshape(n, WINDOW, n, WINDOW).transpose(0, 2, 1, 3).reshape(n * n, WINDOW * WINDOW)
    return np.where(flat[:, :, None] == flat[:, None], 0.0, -1e4)


NETWORKS: Mapping[str, Callable[[], Sketch]] = {
    "deit_tiny": partial(vit, 192, 3),
    "vit_small_16": partial(vit, 384, 6),
    "mixer_s16": mixer,
    "swin_tiny": swin_tiny,
}
SOURCES: Mapping[str, str] = {
    "deit_tiny": "https://arxiv.org/abs/2012.12877",
    "vit_small_16": "https://arxiv.org/abs/2012.12877",
    "mixer_s16": "https://arxiv.org/abs/2105.01601",
    "swin_tiny": "https://arxiv.org/abs/2103.14030",
}
