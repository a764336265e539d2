"""MobileNet V1, https://arxiv.org/abs/1704.04861, padded as TensorFlow's SAME.

https://github.com/tensorflow/models/blob/master/research/slim/nets/mobilenet_v1.py: the classifier is a convolution
on the mean, here a dense layer of the same cost. TensorFlow's networks have 1001 classes (one is background).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from benchmarks.sketch import Sketch
from benchmarks.zoo.layers import Map, classify, conv_norm, image

# channels and stride of the 13 separable blocks
BLOCKS = (
    *((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1),) * 5,
    *((1024, 2), (1024, 1)),
)


def backbone(g: Sketch, x: Map, alpha: float) -> list[Map]:
    """Every block's output, the stem's first."""
    maps = [conv_norm(g, x, _scaled(32, alpha), 3, "stem", "relu6", stride=2, pad="same")]
    for i, (out, stride) in enumerate(BLOCKS, 1):
        x, at = maps[-1], f"block.{i}"
        x = conv_norm(g, x, x.channels, 3, f"{at}.depthwise", "relu6", stride=stride, pad="same", group=x.channels)
        maps.append(conv_norm(g, x, _scaled(out, alpha), 1, f"{at}.pointwise", "relu6", pad="same"))
    return maps


def _scaled(channels: int, alpha: float) -> int:
    return max(int(channels * alpha), 8)


def mobilenet_v1(alpha: float, side: int, classes: int = 1001, channels: int = 3) -> Sketch:
    g = Sketch()
    return classify(g, backbone(g, image(g, side, channels), alpha)[-1], classes)


# Both spellings of a name are one graph: precision is the runtime's matter.
_SLIM = {
    f"mobilenet-v1-{alpha}-{side}-{kind}": partial(mobilenet_v1, float(alpha), side)
    for alpha in ("0.25", "0.5", "0.75", "1.0")
    for side in (128, 160, 192, 224)
    for kind in ("quantized", "non-quantized")
}
_ST = {
    f"mobilenet_v1_{alpha}_{side}": partial(mobilenet_v1, float(alpha), side, 1000)
    for alpha in ("0.25", "0.5", "0.75", "1.0")
    for side in (96, 224)
}
NETWORKS: Mapping[str, Callable[[], Sketch]] = {
    **_SLIM,
    **_ST,
    "mobilenet_v1_0.25_96 (flowers)": partial(mobilenet_v1, 0.25, 96, 5),
    "MobileNet v1 (224)": partial(mobilenet_v1, 1.0, 224),
    "person_detection (TFLM example, MobileNetV1 0.25 96x96x1)": partial(mobilenet_v1, 0.25, 96, 2, 1),
}
