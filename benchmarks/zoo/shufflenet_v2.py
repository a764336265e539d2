"""ShuffleNet V2, https://arxiv.org/abs/1807.11164, as torchvision/models/shufflenetv2.py builds it.

Qualcomm AI Hub's `shufflenet_v2` is x0.5: it states 1.37 M parameters
(https://github.com/quic/ai-hub-models/blob/main/qai_hub_models/models/shufflenet_v2/info.yaml).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from benchmarks.sketch import Sketch
from benchmarks.zoo.layers import Map, classify, concat, conv_norm, image, max_pool

UNITS = (4, 8, 4)
X0_5, X1_0 = (48, 96, 192), (116, 232, 464)


def shufflenet_v2(widths: tuple[int, int, int], classes: int = 1000) -> Sketch:
    """`widths`: the channels of the three stages."""
    g = Sketch()
    x = max_pool(g, conv_norm(g, image(g, 224), 24, 3, "stem", stride=2), 3, 2, "stem", pad="half")
    for stage, (channels, units) in enumerate(zip(widths, UNITS, strict=True), 2):
        for i in range(units):
            at = f"stage{stage}.{i}"
            x = _down(g, x, channels // 2, at) if i == 0 else _unit(g, x, at)
    return classify(g, conv_norm(g, x, 1024, 1, "last"), classes)


def _branch(g: Sketch, x: Map, width: int, stride: int, at: str) -> Map:
    y = conv_norm(g, x, width, 1, f"{at}.1")
    y = conv_norm(g, y, width, 3, f"{at}.2", None, stride=stride, group=width)
    return conv_norm(g, y, width, 1, f"{at}.3")


def _down(g: Sketch, x: Map, width: int, at: str) -> Map:
    left = conv_norm(g, x, x.channels, 3, f"{at}.left.1", None, stride=2, group=x.channels)
    left = conv_norm(g, left, width, 1, f"{at}.left.2")
    return _shuffled(g, concat(g, [left, _branch(g, x, width, 2, f"{at}.right")], at), at)


def _unit(g: Sketch, x: Map, at: str) -> Map:
    half = x.channels // 2
    parts = [
        replace(x, name=g.node("Slice", [x.name, g.integers(a), g.integers(b), g.integers(1)], f"/{at}"), channels=half)
        for a, b in ((0, half), (half, x.channels))
    ]
    return _shuffled(g, concat(g, [parts[0], _branch(g, parts[1], half, 1, f"{at}.right")], at), at)


def _shuffled(g: Sketch, x: Map, at: str) -> Map:
    """Channels of the two halves take turns; the batch keeps its size (0: as it is)."""
    split = g.node("Reshape", [x.name, g.integers(0, 2, x.channels // 2, x.height, x.width)], f"/{at}/shuffle")
    turned = g.node("Transpose", [split], f"/{at}/shuffle", perm=[0, 2, 1, 3, 4])
    return replace(x, name=g.node("Reshape", [turned, g.integers(0, x.channels, x.height, x.width)], f"/{at}/shuffle"))


NETWORKS: Mapping[str, Callable[[], Sketch]] = {"shufflenet_v2": partial(shufflenet_v2, X0_5)}
