"""Inception V3, https://arxiv.org/abs/1512.00567, as torchvision/models/inception.py builds it for inference.

The published 5.713 GMACs are at 299. Qualcomm AI Hub measures it at 224
(https://github.com/quic/ai-hub-models/blob/main/qai_hub_models/models/inception_v3/info.yaml), half of that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from benchmarks.sketch import Sketch
from benchmarks.zoo.layers import Map, average_pool, classify, concat, conv_norm, image, max_pool

# channels, kernel; a path of convolutions, padded to keep the size
Path = Sequence[tuple[int, int | tuple[int, int]]]
ROW, COLUMN = (1, 7), (7, 1)  # kernels


def path(g: Sketch, x: Map, steps: Path, at: str) -> Map:
    for i, (out, kernel) in enumerate(steps):
        x = conv_norm(g, x, out, kernel, f"{at}.{i}")
    return x


def reduced(g: Sketch, x: Map, steps: Path, out: int, at: str) -> Map:
    """A path, then a 3x3 convolution of stride 2 without padding."""
    return conv_norm(g, path(g, x, steps, at), out, 3, f"{at}.reduce", stride=2, pad="valid")


def pooled(g: Sketch, x: Map, out: int, at: str) -> Map:
    return conv_norm(g, average_pool(g, x, 3, 1, at, pad="half"), out, 1, at)


def stem(g: Sketch, x: Map) -> Map:
    """Down to 35 x 35 x 192 from 299; Inception-ResNet V2 starts so too."""
    x = conv_norm(g, x, 32, 3, "stem.1", stride=2, pad="valid")
    x = conv_norm(g, x, 32, 3, "stem.2", pad="valid")
    x = max_pool(g, conv_norm(g, x, 64, 3, "stem.3"), 3, 2, "stem.3")
    x = conv_norm(g, conv_norm(g, x, 80, 1, "stem.4"), 192, 3, "stem.5", pad="valid")
    return max_pool(g, x, 3, 2, "stem.5")


def inception_v3(side: int, classes: int = 1000) -> Sketch:
    g = Sketch()
    x = stem(g, image(g, side))
    for i, width in enumerate((32, 64, 64)):
        x = _a(g, x, width, f"a.{i}")
    branches = [reduced(g, x, [], 384, "b.1"), reduced(g, x, [(64, 1), (96, 3)], 96, "b.2"), max_pool(g, x, 3, 2, "b")]
    x = concat(g, branches, "b")
    for i, width in enumerate((128, 160, 160, 192)):
        x = _c(g, x, width, f"c.{i}")
    sevens: Path = [(192, 1), (192, ROW), (192, COLUMN)]
    branches = [reduced(g, x, [(192, 1)], 320, "d.1"), reduced(g, x, sevens, 192, "d.2"), max_pool(g, x, 3, 2, "d")]
    x = concat(g, branches, "d")
    for i in range(2):
        x = _e(g, x, f"e.{i}")
    return classify(g, x, classes)


def _a(g: Sketch, x: Map, width: int, at: str) -> Map:
    paths: list[Path] = [[(64, 1)], [(48, 1), (64, 5)], [(64, 1), (96, 3), (96, 3)]]
    return concat(
        g, [*(path(g, x, p, f"{at}.{i}") for i, p in enumerate(paths)), pooled(g, x, width, f"{at}.pool")], at
    )


def _c(g: Sketch, x: Map, c: int, at: str) -> Map:
    paths: list[Path] = [
        [(192, 1)],
        [(c, 1), (c, ROW), (192, COLUMN)],
        [(c, 1), (c, COLUMN), (c, ROW), (c, COLUMN), (192, ROW)],
    ]
    return concat(g, [*(path(g, x, p, f"{at}.{i}") for i, p in enumerate(paths)), pooled(g, x, 192, f"{at}.pool")], at)


def _e(g: Sketch, x: Map, at: str) -> Map:
    branches = [
        path(g, x, [(320, 1)], f"{at}.1"),
        fork(g, path(g, x, [(384, 1)], f"{at}.2"), 384, f"{at}.2"),
        fork(g, path(g, x, [(448, 1), (384, 3)], f"{at}.3"), 384, f"{at}.3"),
        pooled(g, x, 192, f"{at}.pool"),
    ]
    return concat(g, branches, at)


def fork(g: Sketch, x: Map, out: int, at: str) -> Map:
    """A 1x3 and a 3x1 convolution side by side."""
    pair = [conv_norm(g, x, out, k, f"{at}.{name}") for k, name in (((1, 3), "row"), ((3, 1), "column"))]
    return concat(g, pair, at)


NETWORKS: Mapping[str, Callable[[], Sketch]] = {"inception_v3": partial(inception_v3, 224)}
