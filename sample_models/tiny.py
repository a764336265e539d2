"""The four reference models of MLPerf Tiny 1.x, batch norms folded into the convolutions, NCHW.

Architectures: https://github.com/mlcommons/tiny/tree/master/benchmark/training
(anomaly_detection/keras_model.py, image_classification/keras_model.py, keyword_spotting/keras_model.py,
visual_wake_words/vww_model.py); Banbury et al., "MLPerf Tiny Benchmark", https://arxiv.org/abs/2106.07597.
The weights are random, not trained.
"""

from __future__ import annotations

import math
from itertools import pairwise

from _builder import Net
from _layers import conv, gemm, he, square
from _quantize import quantize_qdq
from _reference import tensor_ranges
from onnx import ModelProto

SAME_STRIDE_2 = (0, 0, 1, 1)  # TensorFlow's SAME on an even size pads only the end
# what a sample eats: values between these
FEEDS = {"ad": (-1.0, 1.0), "ic": (0.0, 1.0), "kws": (-1.0, 1.0), "vww": (0.0, 1.0)}


def ad() -> ModelProto:
    """Anomaly detection: fully connected autoencoder, 264,192 MACs per row."""
    net = Net("ad", "MLPerf Tiny anomaly detection: FC autoencoder 640-128x4-8-128x4-640")
    x = net.input("input", ["batch", 640])
    widths = [640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640]
    for i, (fan_in, out) in enumerate(pairwise(widths), 1):
        last = i == len(widths) - 1
        x = _dense(net, x, f"dense_{i}", fan_in, out, "output" if last else "")
        x = x if last else net.node("Relu", [x], f"dense_{i}")
    net.output("output", ["batch", 640])
    return net.model()


def _dense(net: Net, x: str, scope: str, fan_in: int, out: int, output: str) -> str:
    """A Keras Dense layer, weight [in, out]: the other orientation than PyTorch's."""
    kernel = net.weight(f"{scope}/kernel", (fan_in, out), he(fan_in))
    bias = net.weight(f"{scope}/bias", (out,), 1 / math.sqrt(fan_in))
    return net.node("Gemm", [x, kernel, bias], scope, output=output, alpha=1.0, beta=1.0)


def ic() -> ModelProto:
    """Image classification: ResNet-8 for CIFAR-10, 12,501,632 MACs."""
    net = Net("ic", "MLPerf Tiny image classification: ResNet-8, 32x32x3")
    x = net.input("input", [1, 3, 32, 32])
    x = net.node("Relu", [square(net, x, "stem/conv", (3, 16), 3)], "stem")
    for i, (cin, cout, stride) in enumerate([(16, 16, 1), (16, 32, 2), (32, 64, 2)], 1):
        x = _residual(net, x, f"stack{i}", cin, cout, stride)
    return _classify(net, x, (8, 8), (64, 10), gain=2)


def _residual(net: Net, x: str, scope: str, cin: int, cout: int, stride: int) -> str:
    pads = SAME_STRIDE_2 if stride == 2 else (1, 1, 1, 1)
    y = conv(net, x, f"{scope}/conv1", (cin, cout), (3, 3), strides=(stride, stride), pads=pads)
    y = net.node("Relu", [y], scope)
    y = square(net, y, f"{scope}/conv2", (cout, cout), 3)
    if stride != 1:
        x = square(net, x, f"{scope}/shortcut", (cin, cout), 1, stride=stride)
    return net.node("Relu", [net.node("Add", [x, y], scope)], scope)


def kws() -> ModelProto:
    """Keyword spotting: DS-CNN on 49 frames of 10 MFCCs, 2,656,768 MACs."""
    net = Net("kws", "MLPerf Tiny keyword spotting: DS-CNN, 49x10x1")
    x = net.input("input", [1, 1, 49, 10])
    x = conv(net, x, "stem/conv", (1, 64), (10, 4), strides=(2, 2), pads=(4, 1, 5, 1))  # SAME: 25x5
    x = net.node("Relu", [x], "stem")
    for i in range(1, 5):
        x = _separable(net, x, f"block{i}", 64, 64, 1)
    return _classify(net, x, (25, 5), (64, 12), gain=4)


def vww() -> ModelProto:
    """Visual wake words: MobileNetV1 0.25 at 96x96, 7,489,664 MACs."""
    net = Net("vww", "MLPerf Tiny visual wake words: MobileNetV1 0.25, 96x96x3")
    x = net.input("input", [1, 3, 96, 96])
    x = conv(net, x, "stem/conv", (3, 8), (3, 3), strides=(2, 2), pads=SAME_STRIDE_2)
    x = net.node("Relu", [x], "stem")
    cin = 8
    plan = [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1)]
    for i, (cout, stride) in enumerate(plan, 1):
        x = _separable(net, x, f"block{i}", cin, cout, stride)
        cin = cout
    return _classify(net, x, (3, 3), (256, 2), gain=8)


def _separable(net: Net, x: str, scope: str, cin: int, cout: int, stride: int) -> str:
    pads = SAME_STRIDE_2 if stride == 2 else (1, 1, 1, 1)
    x = conv(net, x, f"{scope}/depthwise", (cin, cin), (3, 3), strides=(stride, stride), pads=pads, group=cin)
    x = net.node("Relu", [x], f"{scope}/depthwise")
    x = square(net, x, f"{scope}/pointwise", (cin, cout), 1)
    return net.node("Relu", [x], f"{scope}/pointwise")


def _classify(net: Net, x: str, window: tuple[int, int], features: tuple[int, int], *, gain: float) -> ModelProto:
    """Average over the whole map, one dense layer, softmax.

    `gain` widens the dense layer, so that untrained classes differ by more than a step of an 8-bit softmax.
    """
    x = net.node("AveragePool", [x], "head/pool", kernel_shape=list(window), strides=list(window))
    x = net.node("Flatten", [x], "head", axis=1)
    x = gemm(net, x, "head/fc", features, gain=gain)
    net.node("Softmax", [x], "head", axis=-1, output="output")
    net.output("output", [1, features[1]])
    return net.model()


def int8(name: str) -> ModelProto:
    """The QDQ form of one of the four, calibrated on random inputs."""
    model = {"ad": ad, "ic": ic, "kws": kws, "vww": vww}[name]()
    return quantize_qdq(model, tensor_ranges(model, *FEEDS[name], samples=32), f"{name}-int8")
