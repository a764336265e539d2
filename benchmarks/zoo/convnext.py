"""ConvNeXt Tiny, https://arxiv.org/abs/2201.03545, as torchvision/models/convnext.py builds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from benchmarks.sketch import Sketch
from benchmarks.zoo.layers import (
    Map,
    activated,
    add,
    conv,
    dense,
    finish,
    flatten,
    global_pool,
    image,
    layer_norm,
    linear,
)

STAGES = ((96, 3), (192, 3), (384, 9), (768, 3))  # channels, blocks


def convnext_tiny(classes: int = 1000) -> Sketch:
    g = Sketch()
    x = image(g, 224)
    for stage, (channels, blocks) in enumerate(STAGES):
        at = f"stage{stage}"
        if stage == 0:
            x = _normed(g, conv(g, x, channels, 4, f"{at}.down", stride=4, pad="valid"), f"{at}.down")
        else:
            x = conv(g, _normed(g, x, f"{at}.down"), channels, 2, f"{at}.down", stride=2, pad="valid")
        for i in range(blocks):
            x = _block(g, x, f"{at}.{i}")
    x = _normed(g, global_pool(g, x, "pool"), "head")
    return finish(g, dense(g, flatten(g, x, "head"), x.channels, classes, "classifier"), classes)


def _last(g: Sketch, x: str, at: str) -> str:
    return g.node("Transpose", [x], f"/{at}", perm=[0, 2, 3, 1])


def _first(g: Sketch, x: str, at: str) -> str:
    return g.node("Transpose", [x], f"/{at}", perm=[0, 3, 1, 2])


def _normed(g: Sketch, x: Map, at: str) -> Map:
    """Layer norm over the channels."""
    return replace(x, name=_first(g, layer_norm(g, _last(g, x.name, at), x.channels, f"{at}.norm"), at))


def _block(g: Sketch, x: Map, at: str) -> Map:
    c = x.channels
    y = _last(g, conv(g, x, c, 7, f"{at}.depthwise", group=c).name, at)
    y = layer_norm(g, y, c, f"{at}.norm")
    y = activated(g, linear(g, y, c, 4 * c, f"{at}.fc1"), "gelu", f"{at}.fc1")
    y = _first(g, linear(g, y, 4 * c, c, f"{at}.fc2"), at)
    y = g.node("Mul", [y, g.weight(f"{at}.layer_scale", (c, 1, 1))], f"/{at}")
    return add(g, replace(x, name=y), x, at)


NETWORKS: Mapping[str, Callable[[], Sketch]] = {"convnext_tiny": convnext_tiny}
