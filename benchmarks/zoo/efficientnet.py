"""EfficientNet, https://arxiv.org/abs/1905.11946 (torchvision/models/efficientnet.py), and EfficientNet-Lite.

Lite: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite: no squeeze and excite, ReLU6, the
stem, the last layer and the repeats of the first and last stage unscaled; TensorFlow's SAME padding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from benchmarks.sketch import Sketch
from benchmarks.zoo.layers import Map, add, classify, conv_norm, image, squeeze_excite
from benchmarks.zoo.mobilenet_v2 import divisible, inverted

# expansion, kernel, stride, channels, blocks
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


@dataclass(frozen=True)
class Scale:
    width: float
    depth: float
    side: int


def backbone(g: Sketch, x: Map, scale: Scale) -> list[Map]:
    """The outputs of the seven stages."""
    x = conv_norm(g, x, divisible(32 * scale.width), 3, "stem", "swish", stride=2)
    maps = []
    for stage, (expansion, kernel, stride, channels, blocks) in enumerate(STAGES):
        for i in range(math.ceil(blocks * scale.depth)):
            out, first = divisible(channels * scale.width), stride if i == 0 else 1
            x = _excited(g, x, out, expansion, kernel, first, f"stage{stage}.{i}")
        maps.append(x)
    return maps


def efficientnet(scale: Scale, classes: int = 1000) -> Sketch:
    g = Sketch()
    x = backbone(g, image(g, scale.side), scale)[-1]
    return classify(g, conv_norm(g, x, 4 * x.channels, 1, "last", "swish"), classes)


def _excited(g: Sketch, x: Map, out: int, expansion: int, kernel: int, stride: int, at: str) -> Map:
    hidden = expansion * x.channels
    y = x if expansion == 1 else conv_norm(g, x, hidden, 1, f"{at}.expand", "swish")
    y = conv_norm(g, y, hidden, kernel, f"{at}.depthwise", "swish", stride=stride, group=hidden)
    y = squeeze_excite(g, y, max(1, x.channels // 4), f"{at}.se", "swish")
    y = conv_norm(g, y, out, 1, f"{at}.project", None)
    return add(g, y, x, at) if stride == 1 and x.channels == out else y


def lite(scale: Scale, classes: int = 1000) -> Sketch:
    g = Sketch()
    x = conv_norm(g, image(g, scale.side), 32, 3, "stem", "relu6", stride=2, pad="same")
    for stage, (expansion, kernel, stride, channels, blocks) in enumerate(STAGES):
        fixed = stage in (0, len(STAGES) - 1)
        for i in range(blocks if fixed else math.ceil(blocks * scale.depth)):
            out, hidden = divisible(channels * scale.width), expansion * x.channels
            x = inverted(g, x, out, hidden, kernel, stride if i == 0 else 1, f"stage{stage}.{i}", pad="same")
    return classify(g, conv_norm(g, x, 1280, 1, "last", "relu6", pad="same"), classes)


LITE = {
    0: Scale(1.0, 1.0, 224),
    1: Scale(1.0, 1.1, 240),
    2: Scale(1.1, 1.2, 260),
    3: Scale(1.2, 1.4, 280),
    4: Scale(1.4, 1.8, 300),
}
NETWORKS: Mapping[str, Callable[[], Sketch]] = {
    "efficientnet_b0": partial(efficientnet, Scale(1.0, 1.0, 224)),
    "efficientnet_b4": partial(efficientnet, Scale(1.4, 1.8, 380)),
    **{
        f"efficientnet-lite{i}-{kind}": partial(lite, scale)
        for i, scale in LITE.items()
        for kind in ("quantized", "non-quantized")
    },
}
