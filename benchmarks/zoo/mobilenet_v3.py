"""MobileNet V3, https://arxiv.org/abs/1905.02244, as torchvision/models/mobilenetv3.py builds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from benchmarks.sketch import Sketch
from benchmarks.zoo.layers import (
    Activation,
    Map,
    activated,
    add,
    conv_norm,
    dense,
    finish,
    flatten,
    global_pool,
    image,
    squeeze_excite,
)
from benchmarks.zoo.mobilenet_v2 import divisible

Block = tuple[int, int, int, bool, Activation, int]  # kernel, hidden, out, squeeze and excite, activation, stride
LARGE: tuple[Block, ...] = (
    (3, 16, 16, False, "relu", 1),
    (3, 64, 24, False, "relu", 2),
    (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2),
    (5, 120, 40, True, "relu", 1),
    (5, 120, 40, True, "relu", 1),
    (3, 240, 80, False, "hard_swish", 2),
    (3, 200, 80, False, "hard_swish", 1),
    (3, 184, 80, False, "hard_swish", 1),
    (3, 184, 80, False, "hard_swish", 1),
    (3, 480, 112, True, "hard_swish", 1),
    (3, 672, 112, True, "hard_swish", 1),
    (5, 672, 160, True, "hard_swish", 2),
    (5, 960, 160, True, "hard_swish", 1),
    (5, 960, 160, True, "hard_swish", 1),
)
SMALL: tuple[Block, ...] = (
    (3, 16, 16, True, "relu", 2),
    (3, 72, 24, False, "relu", 2),
    (3, 88, 24, False, "relu", 1),
    (5, 96, 40, True, "hard_swish", 2),
    (5, 240, 40, True, "hard_swish", 1),
    (5, 240, 40, True, "hard_swish", 1),
    (5, 120, 48, True, "hard_swish", 1),
    (5, 144, 48, True, "hard_swish", 1),
    (5, 288, 96, True, "hard_swish", 2),
    (5, 576, 96, True, "hard_swish", 1),
    (5, 576, 96, True, "hard_swish", 1),
)


def mobilenet_v3(blocks: tuple[Block, ...], last: int, side: int = 224, classes: int = 1000) -> Sketch:
    """`last`: the width of the layer before the classifier."""
    g = Sketch()
    x = conv_norm(g, image(g, side), 16, 3, "stem", "hard_swish", stride=2)
    for i, block in enumerate(blocks):
        x = _block(g, x, block, f"block.{i}")
    x = global_pool(g, conv_norm(g, x, 6 * x.channels, 1, "last", "hard_swish"), "pool")
    y = activated(g, dense(g, flatten(g, x, "pool"), x.channels, last, "fc"), "hard_swish", "fc")
    return finish(g, dense(g, y, last, classes, "classifier"), classes)


def _block(g: Sketch, x: Map, block: Block, at: str) -> Map:
    kernel, hidden, out, excited, act, stride = block
    y = x if hidden == x.channels else conv_norm(g, x, hidden, 1, f"{at}.expand", act)
    y = conv_norm(g, y, hidden, kernel, f"{at}.depthwise", act, stride=stride, group=hidden)
    if excited:
        y = squeeze_excite(g, y, divisible(hidden // 4), f"{at}.se", gate="hard_sigmoid")
    y = conv_norm(g, y, out, 1, f"{at}.project", None)
    return add(g, x, y, at) if stride == 1 and x.channels == out else y


NETWORKS: Mapping[str, Callable[[], Sketch]] = {
    "mobilenet_v3_small": partial(mobilenet_v3, SMALL, 1024),
    "mobilenet_v3_large": partial(mobilenet_v3, LARGE, 1280),
}
