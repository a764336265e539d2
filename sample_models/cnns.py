"""Convolutional networks: a small U-Net with weights, and three well-known graphs without theirs."""

from __future__ import annotations

from _builder import Net
from _layers import batch_norm, conv, gemm, square
from onnx import ModelProto


# ---- U-Net: Ronneberger et al., https://arxiv.org/abs/1505.04597 (padded convolutions, narrow)
def unet() -> ModelProto:
    net = Net("unet", "U-Net, 8 to 64 channels, one class")
    x = net.input("input", ["batch", 1, 64, 64])
    skips: list[str] = []
    cin = 1
    for i, c in enumerate((8, 16, 32)):
        x = _double_conv(net, x, f"down.{i}", cin, c)
        skips.append(x)
        x = net.node("MaxPool", [x], f"down.{i}/pool", kernel_shape=[2, 2], strides=[2, 2])
        cin = c
    x = _double_conv(net, x, "bottom", 32, 64)
    for i, c in enumerate((32, 16, 8)):
        up = conv(net, x, f"up.{i}/up", (2 * c, c), (2, 2), strides=(2, 2), pads=[0] * 4, op="ConvTranspose")
        x = net.node("Concat", [skips.pop(), up], f"up.{i}", axis=1)
        x = _double_conv(net, x, f"up.{i}", 2 * c, c)
    x = square(net, x, "head", (8, 1), 1)
    net.node("Sigmoid", [x], "head", output="mask")
    net.output("mask", ["batch", 1, 64, 64])
    return net.model()


def _double_conv(net: Net, x: str, scope: str, cin: int, cout: int) -> str:
    for i, c in enumerate((cin, cout)):
        x = square(net, x, f"{scope}/conv{i + 1}", (c, cout), 3)
        x = net.node("Relu", [x], scope)
    return x


# ---- AlexNet: Krizhevsky et al., https://papers.nips.cc/paper/4824 ; layer sizes as in
# https://github.com/BVLC/caffe/tree/master/models/bvlc_alexnet (227 is the input its 55x55 maps need)
def alexnet() -> ModelProto:
    net = Net(
        "alexnet",
        "AlexNet with its two groups and local response normalization",
        weights_file="alexnet.weights",
    )
    x = net.input("input", [1, 3, 227, 227])
    x = _norm_pool(net, _conv_relu(net, x, "conv1", 3, 96, 11, stride=4, pad=0), "conv1")
    x = _norm_pool(net, _conv_relu(net, x, "conv2", 96, 256, 5, group=2), "conv2")
    x = _conv_relu(net, x, "conv3", 256, 384, 3)
    x = _conv_relu(net, x, "conv4", 384, 384, 3, group=2)
    x = _max_pool3(net, _conv_relu(net, x, "conv5", 384, 256, 3, group=2), "conv5")
    x = net.node("Flatten", [x], axis=1)
    for name, fan_in in (("fc6", 256 * 6 * 6), ("fc7", 4096)):
        x = net.node("Relu", [gemm(net, x, name, (fan_in, 4096))], name)
    x = gemm(net, x, "fc8", (4096, 1000))
    net.node("Softmax", [x], axis=-1, output="prob")
    net.output("prob", [1, 1000])
    return net.model()


def _conv_relu(
    net: Net,
    x: str,
    scope: str,
    cin: int,
    cout: int,
    k: int,
    *,
    stride: int = 1,
    pad: int | None = None,
    group: int = 1,
) -> str:
    x = square(net, x, scope, (cin, cout), k, stride=stride, pad=pad, group=group)
    return net.node("Relu", [x], scope)


def _norm_pool(net: Net, x: str, scope: str) -> str:
    # the paper's k=2, n=5, alpha=1e-4, beta=0.75; ONNX divides alpha by n, the paper does not
    x = net.node("LRN", [x], scope, size=5, alpha=5e-4, beta=0.75, bias=2.0)
    return _max_pool3(net, x, scope)


def _max_pool3(net: Net, x: str, scope: str, pad: int = 0) -> str:
    return net.node("MaxPool", [x], scope, kernel_shape=[3, 3], pads=[pad] * 4, strides=[2, 2])


# ---- ResNet-50: He et al., https://arxiv.org/abs/1512.03385 ; v1.5 (the stride on the 3x3) as in
# https://github.com/pytorch/vision/blob/main/torchvision/models/resnet.py
def resnet50() -> ModelProto:
    net = Net("resnet50", "ResNet-50 v1.5, batch norms unfolded", weights_file="resnet50.weights")
    x = net.input("input", [1, 3, 224, 224])
    x = net.node("Relu", [_conv_bn(net, x, "conv1", "bn1", (3, 64), 7, stride=2)])
    x = _max_pool3(net, x, "maxpool", pad=1)
    cin = 64
    for i, (width, blocks) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)], 1):
        for j in range(blocks):
            x = _bottleneck(net, x, f"layer{i}/{j}", cin, width, stride=2 if i > 1 and j == 0 else 1)
            cin = 4 * width
    net.output("logits", [1, 1000])
    return _pooled_logits(net, x, "fc", 2048)


def _bottleneck(net: Net, x: str, scope: str, cin: int, width: int, stride: int) -> str:
    s = f"{scope}/"
    y = net.node("Relu", [_conv_bn(net, x, f"{s}conv1", f"{s}bn1", (cin, width), 1)], scope)
    y = net.node("Relu", [_conv_bn(net, y, f"{s}conv2", f"{s}bn2", (width, width), 3, stride=stride)], scope)
    y = _conv_bn(net, y, f"{s}conv3", f"{s}bn3", (width, 4 * width), 1)
    if cin != 4 * width:
        x = _conv_bn(net, x, f"{s}downsample/0", f"{s}downsample/1", (cin, 4 * width), 1, stride=stride)
    return net.node("Relu", [net.node("Add", [y, x], scope)], scope)


def _conv_bn(
    net: Net,
    x: str,
    conv_scope: str,
    bn_scope: str,
    channels: tuple[int, int],
    k: int,
    *,
    stride: int = 1,
    group: int = 1,
) -> str:
    y = square(net, x, conv_scope, channels, k, stride=stride, group=group, bias=False)
    return batch_norm(net, y, bn_scope, channels[1])


def _pooled_logits(net: Net, x: str, scope: str, features: int) -> ModelProto:
    x = net.node("GlobalAveragePool", [x], "avgpool")
    x = net.node("Flatten", [x], axis=1)
    gemm(net, x, scope, (features, 1000), output="logits")
    return net.model()


# ---- MobileNetV2: Sandler et al., https://arxiv.org/abs/1801.04381 ; as in
# https://github.com/pytorch/vision/blob/main/torchvision/models/mobilenetv2.py
# expansion, channels, repeats, stride of the first
MOBILENETV2 = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
]


def mobilenetv2() -> ModelProto:
    net = Net("mobilenetv2", "MobileNetV2 1.0, batch norms unfolded", weights_file="mobilenetv2.weights")
    x = net.input("input", [1, 3, 224, 224])
    x = _conv_bn_relu6(net, x, "features/0", "", (3, 32), 3, stride=2)
    index, cin = 1, 32
    for expand, cout, repeats, first_stride in MOBILENETV2:
        for i in range(repeats):
            stride = first_stride if i == 0 else 1
            x = _inverted_residual(net, x, f"features/{index}", (cin, cout), expand, stride)
            index, cin = index + 1, cout
    x = _conv_bn_relu6(net, x, f"features/{index}", "", (320, 1280), 1)
    net.output("logits", [1, 1000])
    return _pooled_logits(net, x, "classifier/1", 1280)


def _inverted_residual(net: Net, x: str, scope: str, channels: tuple[int, int], expand: int, stride: int) -> str:
    cin, cout = channels
    hidden, y, i = cin * expand, x, 0
    if expand != 1:
        y, i = _conv_bn_relu6(net, y, f"{scope}/conv", "/0", (cin, hidden), 1), 1
    y = _conv_bn_relu6(net, y, f"{scope}/conv", f"/{i}", (hidden, hidden), 3, stride=stride, group=hidden)
    y = _conv_bn(net, y, f"{scope}/conv/{i + 1}", f"{scope}/conv/{i + 2}", (hidden, cout), 1)
    return net.node("Add", [x, y], scope) if stride == 1 and cin == cout else y


def _conv_bn_relu6(
    net: Net,
    x: str,
    scope: str,
    index: str,
    channels: tuple[int, int],
    k: int,
    *,
    stride: int = 1,
    group: int = 1,
) -> str:
    at = f"{scope}{index}"
    y = _conv_bn(net, x, f"{at}/0", f"{at}/1", channels, k, stride=stride, group=group)
    return net.node("Clip", [y, net.constant(0.0), net.constant(6.0)], f"{at}/2")
