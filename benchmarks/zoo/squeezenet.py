"""SqueezeNet 1.0 (https://arxiv.org/abs/1602.07360) and 1.1, as torchvision/models/squeezenet.py builds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from benchmarks.sketch import Sketch
from benchmarks.zoo.layers import Map, ceil_max_pool, concat, conv_act, finish, flatten, global_pool, image

# squeeze and expand width of the fire modules; None: a pool
V1_0 = ((16, 64), (16, 64), (32, 128), None, (32, 128), (48, 192), (48, 192), (64, 256), None, (64, 256))
V1_1 = ((16, 64), (16, 64), None, (32, 128), (32, 128), None, (48, 192), (48, 192), (64, 256), (64, 256))


def squeezenet(stem: tuple[int, int], fires: tuple[tuple[int, int] | None, ...], classes: int = 1000) -> Sketch:
    """`stem`: channels and kernel of the first convolution."""
    g = Sketch()
    x = conv_act(g, image(g, 224), stem[0], stem[1], "stem", stride=2, pad="valid")
    x = ceil_max_pool(g, x, 3, 2, "stem")
    for i, fire in enumerate(fires):
        x = ceil_max_pool(g, x, 3, 2, f"pool.{i}") if fire is None else _fire(g, x, *fire, f"fire.{i}")
    x = global_pool(g, conv_act(g, x, classes, 1, "classifier"), "pool")
    return finish(g, flatten(g, x, "pool"), classes)


def _fire(g: Sketch, x: Map, squeeze: int, expand: int, at: str) -> Map:
    x = conv_act(g, x, squeeze, 1, f"{at}.squeeze")
    return concat(g, [conv_act(g, x, expand, k, f"{at}.expand{k}x{k}") for k in (1, 3)], at)


NETWORKS: Mapping[str, Callable[[], Sketch]] = {
    "squeezenet1_1": partial(squeezenet, (64, 3), V1_1),
    "SqueezeNet (224)": partial(squeezenet, (96, 7), V1_0),
}
