"""MCUNet (https://arxiv.org/abs/2007.10319) and the scaled baselines it is compared with, as TinyEngine measures them.

Tables: https://github.com/mit-han-lab/tinyml/tree/e899b1bec08604910098ab6aab57bb30735dbb31/mcunet/assets/configs
(ImageNet). For visual wake words: 0 is `mcunet_model/mcunet-10fps_vww.json` of https://github.com/Eaglewzw/GD_Net, 1 is
`assets/vww.tflite` of https://github.com/mit-han-lab/tinyengine, 2 the Keras spelling of `mcunet-320kb-1mb_vww` in the
Wake Vision challenge. MACs and parameters are those of https://github.com/mit-han-lab/mcunet. Padding is PyTorch's; the
TFLite files spell it as Pad nodes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from benchmarks.sketch import Sketch
from benchmarks.zoo.layers import classify, conv_norm, image
from benchmarks.zoo.mobilenet_v2 import STAGES as V2
from benchmarks.zoo.mobilenet_v2 import divisible, inverted

Block = tuple[int, int, int, int]  # kernel, hidden, out, stride


@dataclass(frozen=True)
class Found:
    """A searched network: the stem's width, its blocks, the width of a final 1x1 convolution (0: none)."""

    stem: int
    blocks: tuple[Block, ...]
    last: int = 0


IN0 = Found(
    24,
    (
        *((3, 24, 16, 1), (5, 64, 16, 2), (3, 48, 16, 1), (3, 64, 16, 1), (7, 80, 24, 2), (5, 96, 24, 1)),
        *((5, 120, 24, 1), (7, 120, 48, 2), (5, 192, 48, 1), (3, 240, 56, 1), (5, 224, 56, 1), (3, 280, 56, 1)),
        *((3, 336, 112, 2), (5, 448, 112, 1), (3, 672, 192, 1)),
    ),
)
IN1 = Found(
    16,
    (
        *((3, 16, 8, 1), (3, 32, 16, 2), (3, 48, 16, 1), (7, 48, 24, 2), (3, 120, 24, 1), (3, 120, 40, 2)),
        *((7, 160, 40, 1), (5, 160, 48, 1), (3, 144, 48, 1), (3, 192, 48, 1), (7, 240, 96, 2), (5, 384, 96, 1)),
        *((5, 384, 96, 1), (3, 576, 160, 1)),
    ),
)
IN2 = Found(
    16,
    (
        *((3, 16, 8, 1), (5, 24, 16, 2), (7, 96, 16, 1), (3, 80, 16, 1), (5, 80, 16, 1), (3, 80, 24, 2)),
        *((7, 144, 24, 1), (5, 144, 24, 1), (7, 96, 40, 2), (5, 200, 40, 1), (3, 200, 48, 1), (5, 240, 48, 1)),
        *((3, 192, 48, 1), (5, 288, 96, 2), (5, 384, 96, 1), (5, 288, 96, 1), (3, 384, 96, 1), (5, 480, 160, 1)),
    ),
)
IN3 = Found(
    16,
    (
        *((3, 16, 8, 1), (7, 24, 16, 2), (3, 80, 16, 1), (7, 80, 16, 1), (5, 64, 16, 1), (5, 80, 24, 2)),
        *((5, 120, 24, 1), (5, 120, 24, 1), (3, 120, 40, 2), (7, 240, 40, 1), (5, 160, 40, 1), (5, 200, 48, 1)),
        *((7, 240, 48, 1), (3, 240, 48, 1), (3, 288, 96, 2), (7, 480, 96, 1), (3, 384, 96, 1), (7, 480, 160, 1)),
    ),
)
IN4 = Found(
    32,
    (
        *((3, 32, 16, 1), (7, 48, 24, 2), (3, 120, 24, 1), (5, 96, 24, 1), (7, 120, 40, 2), (3, 160, 40, 1)),
        *((7, 160, 40, 1), (7, 120, 80, 2), (3, 240, 80, 1), (7, 240, 80, 1), (3, 320, 96, 1), (5, 288, 96, 1)),
        *((5, 288, 96, 1), (7, 384, 192, 2), (7, 576, 192, 1), (5, 576, 192, 1), (5, 768, 320, 1)),
    ),
)
VWW0 = Found(
    16,
    (
        *((3, 16, 8, 1), (5, 48, 16, 2), (3, 64, 16, 1), (3, 80, 24, 2), (3, 96, 24, 1), (3, 96, 24, 1)),
        *((3, 120, 40, 2), (3, 160, 40, 1), (7, 120, 40, 1), (3, 120, 48, 1), (3, 192, 48, 1), (7, 240, 96, 2)),
        *((5, 480, 96, 1), (7, 384, 160, 1)),
    ),
)
VWW1 = Found(
    16,
    (
        *((3, 16, 8, 1), (3, 48, 16, 2), (3, 48, 16, 1), (3, 48, 16, 1), (7, 48, 24, 2), (3, 144, 24, 1)),
        *((5, 120, 24, 1), (7, 144, 40, 2), (7, 240, 40, 1), (3, 240, 48, 1), (3, 192, 48, 1), (5, 240, 96, 2)),
        *((3, 480, 96, 1), (3, 384, 96, 1), (7, 288, 160, 1)),
    ),
)
VWW2 = Found(
    16,
    (
        *((3, 16, 8, 1), (3, 24, 16, 2), (3, 80, 16, 1), (5, 96, 16, 1), (3, 48, 16, 1), (7, 80, 24, 2)),
        *((5, 96, 24, 1), (3, 96, 24, 1), (7, 144, 24, 1), (3, 144, 40, 2), (7, 240, 40, 1), (5, 160, 40, 1)),
        *((3, 200, 40, 1), (5, 200, 48, 1), (5, 144, 48, 1), (3, 192, 48, 1), (5, 144, 48, 1), (3, 192, 96, 2)),
        *((5, 480, 96, 1), (5, 384, 96, 1), (3, 384, 96, 1), (3, 480, 160, 1)),
    ),
)
# kernel, expansion, channels, stride
PROXYLESS = (
    *((3, 1, 16, 1), (5, 3, 32, 2), (3, 3, 32, 1), (7, 3, 40, 2), (3, 3, 40, 1), (5, 3, 40, 1), (5, 3, 40, 1)),
    *((7, 6, 80, 2), (5, 3, 80, 1), (5, 3, 80, 1), (5, 3, 80, 1), (5, 6, 96, 1), (5, 3, 96, 1), (5, 3, 96, 1)),
    *((5, 3, 96, 1), (7, 6, 192, 2), (7, 6, 192, 1), (7, 3, 192, 1), (7, 3, 192, 1), (7, 6, 320, 1)),
)
MOBILENET_V2 = tuple((3, t, c, s if i == 0 else 1) for t, c, n, s in V2 for i in range(n))


def scaled(blocks: tuple[Block, ...], width: float, rounded: Callable[[float], int]) -> Found:
    """A network of (kernel, expansion, channels, stride) with every width scaled, the last ones as well."""
    stem = at = rounded(32 * width)
    found = []
    for kernel, expansion, channels, stride in blocks:
        found.append((kernel, at * expansion, rounded(channels * width), stride))
        at = found[-1][2]
    return Found(stem, tuple(found), rounded(1280 * width))


def up(channels: float) -> int:
    """The next multiple of 8.

    The scaled ProxylessNAS has no published table. Of its widths only 192 x 0.3 depends on the rounding: with 64 it has
    the published 38.3 M MACs and 0.75 M parameters, with 56 it has 36.8 M and 0.71 M.
    """
    return math.ceil(round(channels, 6) / 8) * 8


def mcunet(found: Found, side: int, classes: int = 1000) -> Sketch:
    g = Sketch()
    x = conv_norm(g, image(g, side), found.stem, 3, "stem", "relu6", stride=2)
    for i, (kernel, hidden, out, stride) in enumerate(found.blocks):
        shortcut = i > 0 and stride == 1 and x.channels == out  # none around the first, separable block
        x = inverted(g, x, out, hidden, kernel, stride, f"block.{i}", shortcut=shortcut)
    if found.last:
        x = conv_norm(g, x, found.last, 1, "last", "relu6")
    return classify(g, x, classes)


NETWORKS: Mapping[str, Callable[[], Sketch]] = {
    "mcunet-in0": partial(mcunet, IN0, 48),
    "mcunet-in1": partial(mcunet, IN1, 96),
    "mcunet-in2": partial(mcunet, IN2, 160),
    "mcunet-in3": partial(mcunet, IN3, 176),
    "mcunet-in4": partial(mcunet, IN4, 160),
    "mcunet-vww0": partial(mcunet, VWW0, 64, 2),
    "mcunet-vww1": partial(mcunet, VWW1, 80, 2),
    "mcunet-vww2": partial(mcunet, VWW2, 144, 2),
    "mbv2-w0.3-r64": partial(mcunet, scaled(MOBILENET_V2, 0.3, divisible), 64),
    "proxyless-w0.3-r64": partial(mcunet, scaled(PROXYLESS, 0.3, up), 64),
    "proxyless-w0.3-r176": partial(mcunet, scaled(PROXYLESS, 0.3, up), 176),
}
