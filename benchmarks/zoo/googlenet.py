"""GoogLeNet / Inception V1, https://arxiv.org/abs/1409.4842, with batch norms and 3x3 in place of 5x5.

torchvision/models/googlenet.py is a port of
https://github.com/tensorflow/models/blob/master/research/slim/nets/inception_v1.py: both have this shape. The auxiliary
classifiers train only. TensorFlow pads as SAME and has 1001 classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from benchmarks.sketch import Sketch
from benchmarks.zoo.layers import Map, Pad, ceil_max_pool, classify, concat, conv_norm, image, max_pool

# widths: 1x1, reduce and 3x3, reduce and second 3x3, behind the pool; None: a pool
BLOCKS: tuple[tuple[int, int, int, int, int, int] | None, ...] = (
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    None,
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    None,
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
)


def googlenet(classes: int = 1000, pad: Pad = "half") -> Sketch:
    g = Sketch()
    x = conv_norm(g, image(g, 224), 64, 7, "conv1", stride=2, pad=pad)
    x = ceil_max_pool(g, x, 3, 2, "pool1")
    x = conv_norm(g, conv_norm(g, x, 64, 1, "conv2", pad=pad), 192, 3, "conv3", pad=pad)
    x = ceil_max_pool(g, x, 3, 2, "pool2")
    kernels = iter((3, 2))
    for i, block in enumerate(BLOCKS):
        at = f"inception.{i}"
        x = ceil_max_pool(g, x, next(kernels), 2, at) if block is None else _inception(g, x, block, at, pad)
    return classify(g, x, classes)


def _inception(g: Sketch, x: Map, widths: tuple[int, int, int, int, int, int], at: str, pad: Pad) -> Map:
    one, reduce3, three, reduce5, five, behind = widths
    branches = [
        conv_norm(g, x, one, 1, f"{at}.1", pad=pad),
        conv_norm(g, conv_norm(g, x, reduce3, 1, f"{at}.2a", pad=pad), three, 3, f"{at}.2b", pad=pad),
        conv_norm(g, conv_norm(g, x, reduce5, 1, f"{at}.3a", pad=pad), five, 3, f"{at}.3b", pad=pad),
        conv_norm(g, max_pool(g, x, 3, 1, f"{at}.4", pad="half"), behind, 1, f"{at}.4", pad=pad),
    ]
    return concat(g, branches, at)


NETWORKS: Mapping[str, Callable[[], Sketch]] = {
    "googlenet": googlenet,
    "Inception v1 (224)": partial(googlenet, 1001, "same"),
}
