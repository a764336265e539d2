"""MobileNet V2, https://arxiv.org/abs/1801.04381, table 2.

TensorFlow's (https://github.com/tensorflow/models/blob/master/research/slim/nets/mobilenet/mobilenet_v2.py) pads as
SAME and has 1001 classes, PyTorch's (torchvision/models/mobilenetv2.py) pads alike on both sides and has 1000.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from benchmarks.sketch import Sketch
from benchmarks.zoo.layers import Activation, Map, Pad, add, classify, conv_norm, image

# expansion, channels, blocks, stride of the first block
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def divisible(channels: float, by: int = 8) -> int:
    """The nearest multiple, never more than 10 % below: `_make_divisible` of both implementations."""
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * channels else rounded


def inverted(
    g: Sketch,
    x: Map,
    out: int,
    hidden: int,
    kernel: int,
    stride: int,
    at: str,
    act: Activation = "relu6",
    *,
    pad: Pad = "half",
    dilation: int = 1,
    shortcut: bool | None = None,
) -> Map:
    """Expand (unless `hidden` is the input's width), depthwise, project; `shortcut` None: where shapes allow."""
    y = x if hidden == x.channels else conv_norm(g, x, hidden, 1, f"{at}.expand", act, pad=pad)
    at_depthwise = f"{at}.depthwise"
    y = conv_norm(g, y, hidden, kernel, at_depthwise, act, stride=stride, pad=pad, group=hidden, dilation=dilation)
    y = conv_norm(g, y, out, 1, f"{at}.project", None, pad=pad)
    if shortcut is None:
        shortcut = stride == 1 and x.channels == out
    return add(g, x, y, at) if shortcut else y


def backbone(g: Sketch, x: Map, alpha: float, pad: Pad, *, widest_stride: int = 32) -> list[Map]:
    """Every block's output, the stem's first; past `widest_stride` strides turn into dilation."""
    maps = [conv_norm(g, x, divisible(32 * alpha), 3, "stem", "relu6", stride=2, pad=pad)]
    reached, dilation = 2, 1
    for expansion, channels, blocks, first in STAGES:
        for i in range(blocks):
            x, stride = maps[-1], first if i == 0 else 1
            applied = dilation
            if reached * stride > widest_stride:
                dilation, stride = dilation * stride, 1
            reached *= stride
            hidden, out = expansion * x.channels, divisible(channels * alpha)
            at = f"block.{len(maps)}"
            maps.append(inverted(g, x, out, hidden, 3, stride, at, pad=pad, dilation=applied))
    return maps


def mobilenet_v2(alpha: float, side: int, classes: int = 1001, pad: Pad = "same") -> Sketch:
    g = Sketch()
    x = backbone(g, image(g, side), alpha, pad)[-1]
    x = conv_norm(g, x, divisible(1280 * max(alpha, 1.0)), 1, "last", "relu6", pad=pad)
    return classify(g, x, classes)


_SLIM = {
    f"mobilenet-v2-{alpha}-{side}-{kind}": partial(mobilenet_v2, float(alpha), side)
    for alpha in ("0.35", "0.5", "0.75", "1.0", "1.3", "1.4")
    for side in (96, 128, 160, 192, 224)
    for kind in ("quantized", "non-quantized")
}
_ST = {
    f"mobilenet_v2_{alpha}_{side}": partial(mobilenet_v2, float(alpha), side, 1000)
    for alpha in ("0.35", "0.5", "0.75", "1.0", "1.3", "1.4")
    for side in (96, 128, 160, 192, 224)
}
NETWORKS: Mapping[str, Callable[[], Sketch]] = {
    **_SLIM,
    **_ST,
    "MobileNet v2 (224)": partial(mobilenet_v2, 1.0, 224),
    "mobilenet_v2": partial(mobilenet_v2, 1.0, 224, 1000, "half"),
}
