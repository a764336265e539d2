"""ViT-B/16, https://arxiv.org/abs/2010.11929, as torchvision/models/vision_transformer.py builds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from onnx import TensorProto

from benchmarks.sketch import Sketch
from benchmarks.zoo.attention import attention, feed_forward
from benchmarks.zoo.layers import conv, dense, finish, image, layer_norm

LAYERS, WIDTH, HEADS, HIDDEN, PATCH, SIDE = 12, 768, 12, 3072, 16, 224


def vit(classes: int = 1000) -> Sketch:
    g = Sketch()
    pixels = image(g, SIDE)
    patches = conv(g, pixels, WIDTH, PATCH, "patches", stride=PATCH, pad="valid")
    tokens = patches.height * patches.width + 1
    x = g.node("Reshape", [patches.name, g.integers(0, WIDTH, tokens - 1)], "/patches")
    x = g.node("Transpose", [x], "/patches", perm=[0, 2, 1])
    x = g.node("Concat", [_class_token(g, pixels.name), x], "/tokens", axis=1)
    x = g.node("Add", [x, g.weight("position", (1, tokens, WIDTH))], "/tokens")
    for i in range(LAYERS):
        at = f"layer.{i}"
        y = attention(g, layer_norm(g, x, WIDTH, f"{at}.norm1"), WIDTH, HEADS, tokens, f"{at}.attention")
        x = g.node("Add", [x, y], f"/{at}")
        y = feed_forward(g, layer_norm(g, x, WIDTH, f"{at}.norm2"), WIDTH, HIDDEN, at)
        x = g.node("Add", [x, y], f"/{at}")
    x = layer_norm(g, x, WIDTH, "norm")
    first = g.node("Gather", [x, g.scalar(0, TensorProto.INT64)], "/head", axis=1)
    return finish(g, dense(g, first, WIDTH, classes, "classifier"), classes)


def _class_token(g: Sketch, pixels: str) -> str:
    """One token for each image of the batch."""
    batch = g.node("Slice", [g.node("Shape", [pixels], "/class"), g.integers(0), g.integers(1)], "/class")
    shape = g.node("Concat", [batch, g.integers(1, WIDTH)], "/class", axis=0)
    return g.node("Expand", [g.weight("class_token", (1, 1, WIDTH)), shape], "/class")


NETWORKS: Mapping[str, Callable[[], Sketch]] = {"vit": vit}
