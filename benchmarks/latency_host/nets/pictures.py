"""Networks that draw: from images, or from noise, to images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from benchmarks.latency_host.nets.layers import doubled, op, up_conv
from benchmarks.sketch import Sketch
from benchmarks.zoo.layers import (
    FLOAT,
    Map,
    activate,
    add,
    concat,
    conv,
    conv_act,
    conv_norm,
    image,
    max_pool,
    norm,
    result,
)


def _drawn(g: Sketch, x: Map) -> Sketch:
    result(g, x.name, "drawn", ["batch", x.channels, x.height, x.width])
    return g


def _to(g: Sketch, kind: str, x: Map, at: str) -> Map:
    return replace(x, name=op(g, kind, [x.name], at))


def unet(side: int = 256, base: int = 32) -> Sketch:
    """https://arxiv.org/abs/1505.04597 as https://github.com/mateuszbuda/brain-segmentation-pytorch."""
    g = Sketch()
    x, kept = image(g, side), []
    for i in range(4):
        x = _twice(g, x, base << i, f"down{i}")
        kept.append(x)
        x = max_pool(g, x, 2, 2, f"down{i}")
    x = _twice(g, x, base << 4, "bottom")
    for i in reversed(range(4)):
        x = up_conv(g, x, base << i, 2, f"up{i}", stride=2)
        x = _twice(g, concat(g, [x, kept[i]], f"up{i}"), base << i, f"up{i}")
    return _drawn(g, _to(g, "Sigmoid", conv(g, x, 1, 1, "out"), "out"))


def _twice(g: Sketch, x: Map, out: int, at: str) -> Map:
    return conv_norm(g, conv_norm(g, x, out, 3, f"{at}.1"), out, 3, f"{at}.2")


def dcgan() -> Sketch:
    """The generator of https://arxiv.org/abs/1511.06434, 64x64, as
    https://github.com/pytorch/examples/blob/main/dcgan/main.py."""
    g = Sketch()
    x = Map(g.input("noise", FLOAT, ["batch", 100, 1, 1]), 100, 1, 1)
    for i, out in enumerate((512, 256, 128, 64)):
        stride, pad = (1, 0) if i == 0 else (2, 1)
        x = up_conv(g, x, out, 4, f"up{i}", stride=stride, pad=pad, bias=False)
        x = activate(g, norm(g, x, f"up{i}.norm"), "relu", f"up{i}")
    return _drawn(g, _to(g, "Tanh", up_conv(g, x, 3, 4, "out", stride=2, pad=1, bias=False), "out"))


def fsrcnn(side: int = 160) -> Sketch:
    """Super-resolution by two, https://arxiv.org/abs/1608.00367, FSRCNN(56, 12, 4)."""
    g = Sketch()
    x = _prelu(g, conv(g, image(g, side, 1), 56, 5, "features"), "features")
    x = _prelu(g, conv(g, x, 12, 1, "shrink"), "shrink")
    for i in range(4):
        x = _prelu(g, conv(g, x, 12, 3, f"map{i}"), f"map{i}")
    x = _prelu(g, conv(g, x, 56, 1, "expand"), "expand")
    return _drawn(g, up_conv(g, x, 1, 9, "out", stride=2, pad=4, extra=1))


def _prelu(g: Sketch, x: Map, at: str) -> Map:
    return replace(x, name=op(g, "PRelu", [x.name, g.weight(f"{at}.slope", (x.channels, 1, 1))], at))


def espcn(side: int = 224) -> Sketch:
    """Super-resolution by three, https://arxiv.org/abs/1609.05158, as
    https://github.com/pytorch/examples/tree/main/super_resolution."""
    g = Sketch()
    x = image(g, side, 1)
    for i, (out, kernel) in enumerate(((64, 5), (64, 3), (32, 3))):
        x = conv_act(g, x, out, kernel, f"conv{i}")
    x = conv(g, x, 9, 3, "out")
    name = op(g, "DepthToSpace", [x.name], "out", blocksize=3, mode="CRD")
    return _drawn(g, Map(name, 1, 3 * side, 3 * side))


def autoencoder() -> Sketch:
    """Convolutions down to 8x8 and transposed ones back, of CIFAR images:
    https://github.com/chenjie/PyTorch-CIFAR-10-autoencoder."""
    g = Sketch()
    x = image(g, 32)
    for i, out in enumerate((12, 24, 48)):
        x = _even(g, x, out, f"down{i}")
    for i, out in enumerate((24, 12)):
        x = activate(g, up_conv(g, x, out, 4, f"up{i}", stride=2, pad=1), "relu", f"up{i}")
    return _drawn(g, _to(g, "Sigmoid", up_conv(g, x, 3, 4, "up2", stride=2, pad=1), "up2"))


def _even(g: Sketch, x: Map, out: int, at: str) -> Map:
    """A 4x4 convolution that halves the sides."""
    inputs = [x.name, g.weight(f"{at}.weight", (out, x.channels, 4, 4)), g.weight(f"{at}.bias", (out,))]
    name = op(g, "Conv", inputs, at, kernel_shape=[4, 4], strides=[2, 2], pads=[1] * 4)
    return activate(g, Map(name, out, x.height // 2, x.width // 2), "relu", at)


def style(side: int = 224) -> Sketch:
    """https://arxiv.org/abs/1603.08155 with instance norms, reflected borders and upsampling, as
    https://github.com/pytorch/examples/tree/main/fast_neural_style."""
    g = Sketch()
    x = image(g, side)
    for i, (out, kernel, stride) in enumerate(((32, 9, 1), (64, 3, 2), (128, 3, 2))):
        x = activate(g, _styled(g, x, out, kernel, f"down{i}", stride), "relu", f"down{i}")
    for i in range(5):
        y = activate(g, _styled(g, x, 128, 3, f"residual{i}.1"), "relu", f"residual{i}")
        x = add(g, _styled(g, y, 128, 3, f"residual{i}.2"), x, f"residual{i}")
    for i, out in enumerate((64, 32)):
        x = activate(g, _styled(g, doubled(g, x, f"up{i}"), out, 3, f"up{i}"), "relu", f"up{i}")
    return _drawn(g, conv(g, _reflected(g, x, 4, "out"), 3, 9, "out", pad="valid"))


def _reflected(g: Sketch, x: Map, border: int, at: str) -> Map:
    pads = g.integers(0, 0, border, border, 0, 0, border, border)
    name = op(g, "Pad", [x.name, pads], f"{at}/pad", mode="reflect")
    return Map(name, x.channels, x.height + 2 * border, x.width + 2 * border)


def _styled(g: Sketch, x: Map, out: int, kernel: int, at: str, stride: int = 1) -> Map:
    y = conv(g, _reflected(g, x, kernel // 2, at), out, kernel, at, stride=stride, pad="valid")
    parts = [g.weight(f"{at}.norm.{part}", (out,)) for part in ("scale", "shift")]
    return replace(y, name=op(g, "InstanceNormalization", [y.name, *parts], at))


NETWORKS: Mapping[str, Callable[[], Sketch]] = {
    "unet_256": unet,
    "dcgan_64": dcgan,
    "fsrcnn_160": fsrcnn,
    "espcn_224": espcn,
    "conv_autoencoder_32": autoencoder,
    "style_transfer_224": style,
}
SOURCES: Mapping[str, str] = {
    "unet_256": "https://github.com/mateuszbuda/brain-segmentation-pytorch",
    "dcgan_64": "https://github.com/pytorch/examples/blob/main/dcgan/main.py",
    "fsrcnn_160": "https://arxiv.org/abs/1608.00367",
    "espcn_224": "https://github.com/pytorch/examples/tree/main/super_resolution",
    "conv_autoencoder_32": "https://github.com/chenjie/PyTorch-CIFAR-10-autoencoder",
    "style_transfer_224": "https://github.com/pytorch/examples/tree/main/fast_neural_style",
}
