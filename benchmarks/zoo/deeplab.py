"""DeepLab V3 on MobileNet V2, 513x513, 21 classes, output stride 16, https://arxiv.org/abs/1801.04381 section 6.3.

https://github.com/tensorflow/models/blob/master/research/deeplab/g3doc/model_zoo.md, `mobilenetv2_coco_voc_trainaug`:
2.75 billion multiply-adds. No atrous pyramid and no decoder: the image's mean and a 1x1 convolution, joined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from benchmarks.sketch import Sketch
from benchmarks.zoo.layers import Map, concat, conv, conv_norm, global_pool, image, result
from benchmarks.zoo.mobilenet_v2 import backbone

SIDE, CLASSES, WIDTH = 513, 21, 256


def deeplab_v3() -> Sketch:
    g = Sketch()
    x = backbone(g, image(g, SIDE), 1.0, "same", widest_stride=16)[-1]
    mean = conv_norm(g, global_pool(g, x, "mean"), WIDTH, 1, "mean")
    mean = _resized(g, mean, x.height, "mean")
    x = concat(g, [mean, conv_norm(g, x, WIDTH, 1, "aspp0")], "joined")
    x = conv_norm(g, x, WIDTH, 1, "projection")
    x = _resized(g, conv(g, x, CLASSES, 1, "logits"), SIDE, "logits")
    result(g, x.name, "logits", ["batch", CLASSES, SIDE, SIDE])
    return g


def _resized(g: Sketch, x: Map, side: int, at: str) -> Map:
    """Bilinear, corners kept."""
    shape = g.node("Shape", [x.name], f"/{at}/size")
    kept = g.node("Slice", [shape, g.integers(0), g.integers(2)], f"/{at}/size")
    sizes = g.node("Concat", [kept, g.integers(side, side)], f"/{at}/size", axis=0)
    mode = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
    return replace(x, name=g.node("Resize", [x.name, "", "", sizes], f"/{at}", **mode), height=side, width=side)


NETWORKS: Mapping[str, Callable[[], Sketch]] = {"DeepLab V3 (513)": deeplab_v3}
