"""Inception V4 and Inception-ResNet V2, https://arxiv.org/abs/1602.07261, at 299.

Widths as in https://github.com/tensorflow/models/blob/master/research/slim/nets/inception_v4.py and
inception_resnet_v2.py (1001 classes), which timm/models/inception_v4.py and inception_resnet_v2.py port.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from benchmarks.sketch import Sketch
from benchmarks.zoo.inception_v3 import COLUMN, ROW, Path, fork, path, pooled, reduced, stem
from benchmarks.zoo.layers import Map, add, classify, concat, conv, conv_norm, image, max_pool


def inception_v4(classes: int = 1001) -> Sketch:
    g = Sketch()
    x = _stem_v4(g, image(g, 299))
    for i in range(4):
        paths: list[Path] = [[(96, 1)], [(64, 1), (96, 3)], [(64, 1), (96, 3), (96, 3)]]
        x = _block(g, x, paths, 96, f"a.{i}")
    branches = [reduced(g, x, [], 384, "ra.1"), reduced(g, x, [(192, 1), (224, 3)], 256, "ra.2")]
    x = concat(g, [*branches, max_pool(g, x, 3, 2, "ra")], "ra")
    for i in range(7):
        paths = [
            [(384, 1)],
            [(192, 1), (224, ROW), (256, COLUMN)],
            [(192, 1), (192, COLUMN), (224, ROW), (224, COLUMN), (256, ROW)],
        ]
        x = _block(g, x, paths, 128, f"b.{i}")
    sevens: Path = [(256, 1), (256, ROW), (320, COLUMN)]
    branches = [reduced(g, x, [(192, 1)], 192, "rb.1"), reduced(g, x, sevens, 320, "rb.2")]
    x = concat(g, [*branches, max_pool(g, x, 3, 2, "rb")], "rb")
    for i in range(3):
        x = _c_v4(g, x, f"c.{i}")
    return classify(g, x, classes)


def _stem_v4(g: Sketch, x: Map) -> Map:
    x = conv_norm(g, x, 32, 3, "stem.1", stride=2, pad="valid")
    x = conv_norm(g, conv_norm(g, x, 32, 3, "stem.2", pad="valid"), 64, 3, "stem.3")
    x = concat(g, [max_pool(g, x, 3, 2, "stem.3"), reduced(g, x, [], 96, "stem.4")], "stem.4")
    left = conv_norm(g, path(g, x, [(64, 1)], "stem.5l"), 96, 3, "stem.6l", pad="valid")
    right = path(g, x, [(64, 1), (64, ROW), (64, COLUMN)], "stem.5r")
    x = concat(g, [left, conv_norm(g, right, 96, 3, "stem.6r", pad="valid")], "stem.6")
    return concat(g, [reduced(g, x, [], 192, "stem.7"), max_pool(g, x, 3, 2, "stem.7")], "stem.7")


def _block(g: Sketch, x: Map, paths: list[Path], behind: int, at: str) -> Map:
    """Paths side by side, and one behind a pool."""
    branches = [path(g, x, steps, f"{at}.{i}") for i, steps in enumerate(paths)]
    return concat(g, [*branches, pooled(g, x, behind, f"{at}.pool")], at)


def _c_v4(g: Sketch, x: Map, at: str) -> Map:
    long = path(g, x, [(384, 1), (448, (3, 1)), (512, (1, 3))], f"{at}.3")
    branches = [
        path(g, x, [(256, 1)], f"{at}.1"),
        fork(g, path(g, x, [(384, 1)], f"{at}.2"), 256, f"{at}.2"),
        fork(g, long, 256, f"{at}.3"),
        pooled(g, x, 256, f"{at}.pool"),
    ]
    return concat(g, branches, at)


def inception_resnet_v2(classes: int = 1001) -> Sketch:
    g = Sketch()
    x = stem(g, image(g, 299))
    x = _block(g, x, [[(96, 1)], [(48, 1), (64, 5)], [(64, 1), (96, 3), (96, 3)]], 64, "5b")
    for i in range(10):
        x = _residual(g, x, [[(32, 1)], [(32, 1), (32, 3)], [(32, 1), (48, 3), (64, 3)]], 0.17, f"block35.{i}")
    branches = [reduced(g, x, [], 384, "6a.1"), reduced(g, x, [(256, 1), (256, 3)], 384, "6a.2")]
    x = concat(g, [*branches, max_pool(g, x, 3, 2, "6a")], "6a")
    for i in range(20):
        x = _residual(g, x, [[(192, 1)], [(128, 1), (160, ROW), (192, COLUMN)]], 0.1, f"block17.{i}")
    branches = [reduced(g, x, [(256, 1)], out, f"7a.{out}") for out in (384, 288)]
    branches.append(reduced(g, x, [(256, 1), (288, 3)], 320, "7a.3"))
    x = concat(g, [*branches, max_pool(g, x, 3, 2, "7a")], "7a")
    for i in range(10):
        paths: list[Path] = [[(192, 1)], [(192, 1), (224, (1, 3)), (256, (3, 1))]]
        x = _residual(g, x, paths, 0.2, f"block8.{i}", activated=i < 9)
    return classify(g, conv_norm(g, x, 1536, 1, "last"), classes)


def _residual(g: Sketch, x: Map, paths: list[Path], scale: float, at: str, *, activated: bool = True) -> Map:
    """Paths side by side, projected, scaled and added."""
    y = concat(g, [path(g, x, steps, f"{at}.{i}") for i, steps in enumerate(paths)], at)
    y = conv(g, y, x.channels, 1, f"{at}.project")
    y = replace(y, name=g.node("Mul", [y.name, g.scalar(scale)], f"/{at}"))
    return add(g, y, x, at, "relu" if activated else None)


NETWORKS: Mapping[str, Callable[[], Sketch]] = {
    "Inception v4 (299)": inception_v4,
    "Inception-ResNet V2 (299)": inception_resnet_v2,
}
