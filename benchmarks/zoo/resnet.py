"""Residual networks: https://arxiv.org/abs/1512.03385, wide https://arxiv.org/abs/1605.07146, V2
https://arxiv.org/abs/1603.05027.

`resnet` is torchvision/models/resnet.py: a bottleneck strides in its 3x3 convolution ("v1.5"), as in MLPerf. `slim` is
https://github.com/tensorflow/models/blob/master/research/slim/nets/resnet_v1.py and resnet_v2.py, which stride in the
*last* unit of a stage and so cost less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from benchmarks.sketch import Sketch
from benchmarks.zoo.layers import Map, activate, add, classify, conv, conv_norm, image, max_pool, norm

DEPTHS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
WIDTHS = (64, 128, 256, 512)


def backbone(g: Sketch, x: Map, depth: int, *, group: int = 1, wide: float = 1.0) -> list[Map]:
    """The outputs of the four stages; `wide` scales the bottleneck's inner width, `group` splits its convolution."""
    x = conv_norm(g, x, 64, 7, "stem", stride=2)
    x = max_pool(g, x, 3, 2, "stem", pad="half")
    maps = []
    for stage, (width, blocks) in enumerate(zip(WIDTHS, DEPTHS[depth], strict=True)):
        for i in range(blocks):
            stride = 2 if i == 0 and stage > 0 else 1
            at = f"layer{stage + 1}.{i}"
            if depth < 50:
                x = _basic(g, x, width, stride, at)
            else:
                x = _bottleneck(g, x, int(width * wide), 4 * width, stride, at, group)
        maps.append(x)
    return maps


def _basic(g: Sketch, x: Map, width: int, stride: int, at: str) -> Map:
    y = conv_norm(g, x, width, 3, f"{at}.1", stride=stride)
    y = conv_norm(g, y, width, 3, f"{at}.2", None)
    return add(g, y, _matched(g, x, width, stride, at), at, "relu")


def _bottleneck(g: Sketch, x: Map, width: int, out: int, stride: int, at: str, group: int) -> Map:
    y = conv_norm(g, x, width, 1, f"{at}.1")
    y = conv_norm(g, y, width, 3, f"{at}.2", stride=stride, group=group)
    y = conv_norm(g, y, out, 1, f"{at}.3", None)
    return add(g, y, _matched(g, x, out, stride, at), at, "relu")


def _matched(g: Sketch, x: Map, out: int, stride: int, at: str) -> Map:
    """The shortcut: projected where its shape would not fit."""
    if x.channels == out and stride == 1:
        return x
    return conv_norm(g, x, out, 1, f"{at}.shortcut", None, stride=stride)


def resnet(depth: int, *, wide: float = 1.0, side: int = 224, classes: int = 1000) -> Sketch:
    g = Sketch()
    return classify(g, backbone(g, image(g, side), depth, wide=wide)[-1], classes)


def slim(depth: int, version: int, side: int) -> Sketch:
    """TF-Slim's ResNet V1 (1000 classes) or V2 (1001)."""
    g = Sketch()
    x = image(g, side)
    x = conv_norm(g, x, 64, 7, "stem", stride=2) if version == 1 else conv(g, x, 64, 7, "stem", stride=2)
    x = max_pool(g, x, 3, 2, "stem", pad="same")
    unit = _slim_v1 if version == 1 else _slim_v2
    for stage, (width, blocks) in enumerate(zip(WIDTHS, DEPTHS[depth], strict=True)):
        for i in range(blocks):
            stride = 2 if i == blocks - 1 and stage < 3 else 1
            x = unit(g, x, width, stride, f"block{stage + 1}.{i}")
    if version == 2:
        x = activate(g, norm(g, x, "postnorm"), "relu", "postnorm")
    return classify(g, x, 1000 + (version == 2))


def _subsampled(g: Sketch, x: Map, stride: int, at: str) -> Map:
    return x if stride == 1 else max_pool(g, x, 1, stride, f"{at}.shortcut")


def _slim_v1(g: Sketch, x: Map, width: int, stride: int, at: str) -> Map:
    same = x.channels == 4 * width
    shortcut = _subsampled(g, x, stride, at) if same else _matched(g, x, 4 * width, stride, at)
    return add(g, shortcut, _slim_branch(g, x, width, stride, at, last_norm=True), at, "relu")


def _slim_v2(g: Sketch, x: Map, width: int, stride: int, at: str) -> Map:
    pre = activate(g, norm(g, x, f"{at}.preact"), "relu", f"{at}.preact")
    if x.channels == 4 * width:
        shortcut = _subsampled(g, x, stride, at)
    else:
        shortcut = conv(g, pre, 4 * width, 1, f"{at}.shortcut", stride=stride)
    return add(g, shortcut, _slim_branch(g, pre, width, stride, at, last_norm=False), at)


def _slim_branch(g: Sketch, x: Map, width: int, stride: int, at: str, *, last_norm: bool) -> Map:
    y = conv_norm(g, x, width, 1, f"{at}.1")
    y = conv_norm(g, y, width, 3, f"{at}.2", stride=stride)
    return conv_norm(g, y, 4 * width, 1, f"{at}.3", None) if last_norm else conv(g, y, 4 * width, 1, f"{at}.3")


NETWORKS: Mapping[str, Callable[[], Sketch]] = {
    "resnet18": partial(resnet, 18),
    "resnet50": partial(resnet, 50),
    "resnet101": partial(resnet, 101),
    "wideresnet50": partial(resnet, 50, wide=2.0),
    "ResNet-50 V1 (299)": partial(slim, 50, 1, 299),
    "ResNet-50 V2 (299)": partial(slim, 50, 2, 299),
    "ResNet-152 V2 (299)": partial(slim, 152, 2, 299),
}
