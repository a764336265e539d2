"""Single-shot detectors on MobileNet backbones, https://arxiv.org/abs/1512.02325, up to their raw predictions.

https://github.com/tensorflow/models/blob/master/research/object_detection/samples/configs/ssd_mobilenet_v1_coco.config
and ssd_mobilenet_v2_coco.config: 91 classes with the background, six maps, three boxes a place on the first and six on
the others. Box decoding and non-maximum suppression are left out: MLPerf's and Coral's run them after the network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from benchmarks.sketch import Sketch
from benchmarks.zoo import mobilenet_v1, mobilenet_v2
from benchmarks.zoo.layers import Map, conv, conv_norm, image, result

CLASSES, SIDES, FIRST_BOXES, BOXES = 91, 4, 3, 6
EXTRAS = (512, 256, 256, 128)


def ssd_v1(side: int) -> Sketch:
    g = Sketch()
    blocks = mobilenet_v1.backbone(g, image(g, side), 1.0)
    maps = [blocks[11], *_extras(g, blocks[13], depthwise=False)]
    return _predicted(g, maps, kernel=1)


def ssd_v2(side: int) -> Sketch:
    """Extra layers are separable, predictors 3x3; the first map is the last stride's expansion."""
    g = Sketch()
    blocks = mobilenet_v2.backbone(g, image(g, side), 1.0, "same")
    name = next(node.output[0] for node in g.nodes if node.name == "/block.14.expand/Clip")
    expanded = replace(blocks[13], name=name, channels=6 * blocks[13].channels)
    last = conv_norm(g, blocks[-1], 1280, 1, "last", "relu6", pad="same")
    return _predicted(g, [expanded, *_extras(g, last, depthwise=True)], kernel=3)


def _extras(g: Sketch, x: Map, *, depthwise: bool) -> list[Map]:
    maps = [x]
    for i, out in enumerate(EXTRAS):
        x = conv_norm(g, x, out // 2, 1, f"extra.{i}.1", "relu6", pad="same")
        if depthwise:
            x = conv_norm(g, x, out // 2, 3, f"extra.{i}.2", "relu6", stride=2, pad="same", group=out // 2)
            x = conv_norm(g, x, out, 1, f"extra.{i}.3", "relu6", pad="same")
        else:
            x = conv_norm(g, x, out, 3, f"extra.{i}.2", "relu6", stride=2, pad="same")
        maps.append(x)
    return maps


def _predicted(g: Sketch, maps: Sequence[Map], kernel: int) -> Sketch:
    for kind, width in (("boxes", SIDES), ("scores", CLASSES)):
        rows = []
        for i, x in enumerate(maps):
            boxes = FIRST_BOXES if i == 0 else BOXES
            y = conv(g, x, boxes * width, kernel, f"{kind}.{i}", pad="same")
            rows.append(rowed(g, y, width, f"{kind}.{i}"))
        count = sum(x.height * x.width * (FIRST_BOXES if i == 0 else BOXES) for i, x in enumerate(maps))
        joined = g.node("Concat", rows, f"/{kind}", axis=1)
        joined = g.node("Sigmoid", [joined], f"/{kind}") if kind == "scores" else joined
        result(g, joined, kind, ["batch", count, width])
    return g


def rowed(g: Sketch, x: Map, width: int, at: str) -> str:
    """One row of `width` numbers for every box of a map: [batch, boxes, width]."""
    y = g.node("Transpose", [x.name], f"/{at}", perm=[0, 2, 3, 1])
    return g.node("Reshape", [y, g.integers(0, x.height * x.width * x.channels // width, width)], f"/{at}")


NETWORKS: Mapping[str, Callable[[], Sketch]] = {
    "ssd-mobilenet": partial(ssd_v1, 300),
    "MobileNet v1 SSD (224)": partial(ssd_v1, 224),
    "MobileNet v2 SSD (224)": partial(ssd_v2, 224),
}
