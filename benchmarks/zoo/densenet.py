"""DenseNet-121, https://arxiv.org/abs/1608.06993, as torchvision/models/densenet.py builds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks.sketch import Sketch
from benchmarks.zoo.layers import (
    Map,
    activate,
    average_pool,
    classify,
    concat,
    conv,
    conv_norm,
    image,
    max_pool,
    norm,
)

BLOCKS = (6, 12, 24, 16)
GROWTH, BOTTLENECK = 32, 4 * 32


def densenet121(classes: int = 1000) -> Sketch:
    g = Sketch()
    x = max_pool(g, conv_norm(g, image(g, 224), 64, 7, "stem", stride=2), 3, 2, "stem", pad="half")
    for block, layers in enumerate(BLOCKS):
        features = [x]
        for i in range(layers):
            at = f"block{block}.{i}"
            joined = concat(g, features, at) if len(features) > 1 else x
            features.append(_layer(g, joined, at))
        x = concat(g, features, f"block{block}")
        if block < len(BLOCKS) - 1:
            x = conv(g, _normed(g, x, f"transition{block}"), x.channels // 2, 1, f"transition{block}", bias=False)
            x = average_pool(g, x, 2, 2, f"transition{block}")
    return classify(g, _normed(g, x, "last"), classes)


def _normed(g: Sketch, x: Map, at: str) -> Map:
    return activate(g, norm(g, x, f"{at}.norm"), "relu", at)


def _layer(g: Sketch, x: Map, at: str) -> Map:
    y = conv_norm(g, _normed(g, x, at), BOTTLENECK, 1, f"{at}.1")
    return conv(g, y, GROWTH, 3, f"{at}.2", bias=False)


NETWORKS: Mapping[str, Callable[[], Sketch]] = {"densenet121": densenet121, "DenseNet (224)": densenet121}
