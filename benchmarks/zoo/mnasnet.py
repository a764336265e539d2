"""MnasNet-B1 0.5, https://arxiv.org/abs/1807.11626, as torchvision/models/mnasnet.py builds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from benchmarks.sketch import Sketch
from benchmarks.zoo.layers import classify, conv_norm, image
from benchmarks.zoo.mobilenet_v2 import divisible, inverted

# channels, kernel, stride, expansion, blocks
STAGES = ((24, 3, 2, 3, 3), (40, 5, 2, 3, 3), (80, 5, 2, 6, 3), (96, 3, 1, 6, 2), (192, 5, 2, 6, 4), (320, 3, 1, 6, 1))


def mnasnet(alpha: float, classes: int = 1000) -> Sketch:
    g = Sketch()
    width, first = (divisible(c * alpha) for c in (32, 16))
    x = conv_norm(g, image(g, 224), width, 3, "stem.1", stride=2)
    x = conv_norm(g, x, width, 3, "stem.2", group=width)
    x = conv_norm(g, x, first, 1, "stem.3", None)
    for stage, (channels, kernel, stride, expansion, blocks) in enumerate(STAGES):
        for i in range(blocks):
            out, hidden = divisible(channels * alpha), expansion * x.channels
            x = inverted(g, x, out, hidden, kernel, stride if i == 0 else 1, f"stage{stage}.{i}", "relu")
    return classify(g, conv_norm(g, x, 1280, 1, "last"), classes)


NETWORKS: Mapping[str, Callable[[], Sketch]] = {"mnasnet05": partial(mnasnet, 0.5)}
