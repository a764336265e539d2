"""Detectors of objects, up to their raw predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from benchmarks.latency_host.nets.layers import doubled, op, reshape
from benchmarks.sketch import Sketch
from benchmarks.zoo.efficientnet import Scale, backbone
from benchmarks.zoo.layers import Map, activate, add, concat, conv, conv_norm, image, max_pool, norm, result
from benchmarks.zoo.ssd import rowed


def yolo_v3_tiny(side: int = 416) -> Sketch:
    """https://github.com/pjreddie/darknet/blob/master/cfg/yolov3-tiny.cfg, 80 classes."""
    g = Sketch()
    x, kept = image(g, side), None
    for i, out in enumerate((16, 32, 64, 128, 256, 512)):
        x = _leaky(g, x, out, 3, f"conv{i}")
        kept = x if i == 4 else kept
        x = max_pool(g, x, 2, 2, f"pool{i}") if i < 5 else _same_pool(g, x, f"pool{i}")
    assert kept is not None
    x = _leaky(g, _leaky(g, x, 1024, 3, "conv6"), 256, 1, "conv7")
    coarse = conv(g, _leaky(g, x, 512, 3, "conv8"), 255, 1, "coarse")
    x = concat(g, [doubled(g, _leaky(g, x, 128, 1, "conv9"), "up"), kept], "joined")
    fine = conv(g, _leaky(g, x, 256, 3, "conv10"), 255, 1, "fine")
    for name, y in (("coarse", coarse), ("fine", fine)):
        result(g, y.name, name, ["batch", 255, y.height, y.width])
    return g


def _leaky(g: Sketch, x: Map, out: int, kernel: int, at: str) -> Map:
    y = conv_norm(g, x, out, kernel, at, None)
    return replace(y, name=op(g, "LeakyRelu", [y.name], at, alpha=0.1))


def _same_pool(g: Sketch, x: Map, at: str) -> Map:
    """2x2 that leaves the sides as they are."""
    return replace(x, name=op(g, "MaxPool", [x.name], at, kernel_shape=[2, 2], strides=[1, 1], pads=[0, 0, 1, 1]))


def yolo_v8n(side: int = 640) -> Sketch:
    """https://github.com/ultralytics/ultralytics/blob/main/ultralytics/cfg/models/v8/yolov8.yaml, scale n, 80 classes,
    without the decoding of boxes."""
    g = Sketch()
    x = _silu(g, image(g, side), 16, 3, "b0", 2)
    maps = []
    for i, (out, repeats) in enumerate(((32, 1), (64, 2), (128, 2), (256, 1))):
        x = _c2f(g, _silu(g, x, out, 3, f"b{i}.down", 2), out, repeats, f"b{i}.c2f", shortcut=True)
        maps.append(x)
    x = _sppf(g, x, "sppf")
    middle = _c2f(g, concat(g, [doubled(g, x, "up0"), maps[2]], "n0"), 128, 1, "n0", shortcut=False)
    fine = _c2f(g, concat(g, [doubled(g, middle, "up1"), maps[1]], "n1"), 64, 1, "n1", shortcut=False)
    middle = concat(g, [_silu(g, fine, 64, 3, "n2.down", 2), middle], "n2")
    middle = _c2f(g, middle, 128, 1, "n2", shortcut=False)
    coarse = concat(g, [_silu(g, middle, 128, 3, "n3.down", 2), x], "n3")
    coarse = _c2f(g, coarse, 256, 1, "n3", shortcut=False)
    rows = [_detect(g, x, f"head{i}") for i, x in enumerate((fine, middle, coarse))]
    count = sum(x.height * x.width for x in (fine, middle, coarse))
    result(g, op(g, "Concat", rows, "predictions", axis=2), "predictions", ["batch", 144, count])
    return g


def _silu(g: Sketch, x: Map, out: int, kernel: int, at: str, stride: int = 1) -> Map:
    return conv_norm(g, x, out, kernel, at, "swish", stride=stride)


def _c2f(g: Sketch, x: Map, out: int, repeats: int, at: str, *, shortcut: bool) -> Map:
    half = out // 2
    y = _silu(g, x, out, 1, f"{at}.in")
    names = [f"/{at}/split_{i}" for i in range(2)]
    op(g, "Split", [y.name], at, axis=1)
    del g.nodes[-1].output[:]
    g.nodes[-1].output.extend(names)
    parts = [Map(name, half, y.height, y.width) for name in names]
    for i in range(repeats):
        z = _silu(g, _silu(g, parts[-1], half, 3, f"{at}.{i}.1"), half, 3, f"{at}.{i}.2")
        parts.append(add(g, parts[-1], z, f"{at}.{i}") if shortcut else z)
    return _silu(g, concat(g, parts, at), out, 1, f"{at}.out")


def _sppf(g: Sketch, x: Map, at: str) -> Map:
    parts = [_silu(g, x, x.channels // 2, 1, f"{at}.in")]
    for i in range(3):
        parts.append(max_pool(g, parts[-1], 5, 1, f"{at}.{i}", pad="half"))
    return _silu(g, concat(g, parts, at), x.channels, 1, f"{at}.out")


def _detect(g: Sketch, x: Map, at: str) -> str:
    """64 numbers of a box's distribution and 80 scores for every place: [batch, 144, places]."""
    parts = []
    for kind, width, out in (("box", 64, 64), ("class", 80, 80)):
        y = _silu(g, _silu(g, x, width, 3, f"{at}.{kind}.1"), width, 3, f"{at}.{kind}.2")
        parts.append(conv(g, y, out, 1, f"{at}.{kind}"))
    return reshape(g, concat(g, parts, at).name, (0, 144, -1), at)


def efficientdet_d0(side: int = 512) -> Sketch:
    """https://arxiv.org/abs/1911.09070: EfficientNet-B0, three BiFPN layers of 64 channels, 90 classes."""
    g = Sketch()
    stages = backbone(g, image(g, side), Scale(1.0, 1.0, side))
    levels = [conv_norm(g, stages[i], 64, 1, f"level{i}", None) for i in (2, 4, 6)]
    for i in (6, 7):
        levels.append(max_pool(g, levels[-1], 3, 2, f"level{i}.pool", pad="same"))
    for i in range(3):
        levels = _bifpn(g, levels, f"bifpn{i}")
    for kind, width in (("boxes", 4), ("scores", 90)):
        rows = [_head(g, x, kind, width, i) for i, x in enumerate(levels)]
        count = 9 * sum(x.height * x.width for x in levels)
        result(g, op(g, "Concat", rows, kind, axis=1), kind, ["batch", count, width])
    return g


def _bifpn(g: Sketch, levels: Sequence[Map], at: str) -> list[Map]:
    """Down from coarse to fine, and up again."""
    inner = [levels[-1]]
    for i in reversed(range(len(levels) - 1)):
        inner.insert(0, _fused(g, [levels[i], doubled(g, inner[0], f"{at}.down{i}")], f"{at}.down{i}"))
    outer = [inner[0]]
    for i in range(1, len(levels)):
        lower = max_pool(g, outer[-1], 3, 2, f"{at}.up{i}", pad="same")
        mixed = [levels[i], lower] if i == len(levels) - 1 else [levels[i], inner[i], lower]
        outer.append(_fused(g, mixed, f"{at}.up{i}"))
    return outer


def _fused(g: Sketch, maps: Sequence[Map], at: str) -> Map:
    """A weighted mean, swish, and a separable convolution."""
    scaled = []
    for i, x in enumerate(maps):
        share = g.scalar(round(1 / len(maps), 4))
        scaled.append(replace(x, name=op(g, "Mul", [x.name, share], f"{at}.{i}")))
    x = scaled[0]
    for y in scaled[1:]:
        x = add(g, x, y, at)
    return norm(g, _separable(g, activate(g, x, "swish", at), 64, at), at)


def _separable(g: Sketch, x: Map, out: int, at: str) -> Map:
    return conv(
        g, conv(g, x, x.channels, 3, f"{at}.depthwise", group=x.channels, bias=False), out, 1, f"{at}.pointwise"
    )


def _head(g: Sketch, x: Map, kind: str, width: int, level: int) -> str:
    """Convolutions shared by all levels, norms of each level."""
    for i in range(3):
        x = _separable(g, x, 64, f"{kind}.{i}")
        x = activate(g, norm(g, x, f"{kind}.{i}.norm{level}"), "swish", f"{kind}.{i}.{level}")
    return rowed(g, _separable(g, x, 9 * width, f"{kind}.out"), width, f"{kind}.{level}")


NETWORKS: Mapping[str, Callable[[], Sketch]] = {
    "yolov3_tiny_416": yolo_v3_tiny,
    "yolov8n_640": yolo_v8n,
    "efficientdet_d0_512": efficientdet_d0,
}
SOURCES: Mapping[str, str] = {
    "yolov3_tiny_416": "https://github.com/pjreddie/darknet/blob/master/cfg/yolov3-tiny.cfg",
    "yolov8n_640": "https://github.com/ultralytics/ultralytics",
    "efficientdet_d0_512": "https://arxiv.org/abs/1911.09070",
}
