"""RetinaNet on ResNeXt-50 32x4d with a feature pyramid, 800x800, 264 classes: MLPerf's, https://arxiv.org/abs/1708.02002.

https://github.com/mlcommons/training/blob/master/single_stage_detector/ssd/model/retinanet.py. Levels 3 to 7, one head
for all of them: its weights are read five times. Decoding and non-maximum suppression are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from benchmarks.sketch import Sketch
from benchmarks.zoo import resnet
from benchmarks.zoo.layers import FLOAT, Map, activate, add, conv, conv_act, image, result
from benchmarks.zoo.ssd import rowed

CLASSES, SIDES, ANCHORS, WIDTH, SIDE = 264, 4, 9, 256, 800
DOUBLE = np.array([1, 1, 2, 2], np.float32).tobytes()


def retinanet() -> Sketch:
    g = Sketch()
    stages = resnet.backbone(g, image(g, SIDE), 50, group=32, wide=2.0)
    levels = _pyramid(g, stages[1:])
    for kind, width in (("boxes", SIDES), ("scores", CLASSES)):
        rows = [_head(g, x, kind, width) for x in levels]
        count = ANCHORS * sum(x.height * x.width for x in levels)
        result(g, g.node("Concat", rows, f"/{kind}", axis=1), kind, ["batch", count, width])
    return g


def _pyramid(g: Sketch, stages: list[Map]) -> list[Map]:
    """https://arxiv.org/abs/1612.03144, then levels 6 and 7 of the last one."""
    top = conv(g, stages[-1], WIDTH, 1, "fpn.inner.5")
    inner = [top]
    for i in (1, 0):
        lateral = conv(g, stages[i], WIDTH, 1, f"fpn.inner.{i + 3}")
        inner.insert(0, add(g, lateral, _doubled(g, inner[0], f"fpn.{i + 3}"), f"fpn.{i + 3}"))
    levels = [conv(g, x, WIDTH, 3, f"fpn.layer.{i}") for i, x in enumerate(inner, 3)]
    six = conv(g, levels[-1], WIDTH, 3, "fpn.6", stride=2)
    seven = conv(g, activate(g, six, "relu", "fpn.6"), WIDTH, 3, "fpn.7", stride=2)
    return [*levels, six, seven]


def _doubled(g: Sketch, x: Map, at: str) -> Map:
    """Nearest-neighbour upsampling by two."""
    scales = g.weight("upsampling.scales", (4,), FLOAT, DOUBLE)
    name = g.node(
        "Resize",
        [x.name, "", scales],
        f"/{at}",
        mode="nearest",
        nearest_mode="floor",
        coordinate_transformation_mode="asymmetric",
    )
    return replace(x, name=name, height=2 * x.height, width=2 * x.width)


def _head(g: Sketch, x: Map, kind: str, width: int) -> str:
    for i in range(4):
        x = conv_act(g, x, WIDTH, 3, f"head.{kind}.{i}")
    return rowed(g, conv(g, x, ANCHORS * width, 3, f"head.{kind}.out"), width, f"head.{kind}")


NETWORKS: Mapping[str, Callable[[], Sketch]] = {"retinanet": retinanet}
