"""VGG 16 and 19, https://arxiv.org/abs/1409.1556, configurations D and E; torchvision/models/vgg.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from benchmarks.sketch import Sketch
from benchmarks.zoo.layers import activated, conv_act, dense, finish, flatten, image, max_pool

WIDTHS = (64, 128, 256, 512, 512)
REPEATS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def vgg(depth: int, classes: int = 1000) -> Sketch:
    g = Sketch()
    x = image(g, 224)
    for stage, (width, repeats) in enumerate(zip(WIDTHS, REPEATS[depth], strict=True)):
        for i in range(repeats):
            x = conv_act(g, x, width, 3, f"stage{stage}.{i}")
        x = max_pool(g, x, 2, 2, f"stage{stage}")
    y, width = flatten(g, x, "flat"), x.channels * x.height * x.width
    for i in range(2):
        y, width = activated(g, dense(g, y, width, 4096, f"fc.{i}"), "relu", f"fc.{i}"), 4096
    return finish(g, dense(g, y, width, classes, "classifier"), classes)


NETWORKS: Mapping[str, Callable[[], Sketch]] = {
    "VGG16 (224)": partial(vgg, 16),
    "VGG19 (224)": partial(vgg, 19),
}
