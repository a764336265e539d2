"""Classifiers of images."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks.latency_host.nets.layers import op
from benchmarks.sketch import Sketch
from benchmarks.zoo import resnet
from benchmarks.zoo.layers import (
    FLOAT,
    Map,
    activate,
    classify,
    conv,
    conv_act,
    dense,
    finish,
    flatten,
    image,
    max_pool,
)


def alexnet() -> Sketch:
    """https://papers.nips.cc/paper/4824, with its response normalization and its two groups, as
    https://github.com/BVLC/caffe/tree/master/models/bvlc_alexnet."""
    g = Sketch()
    x = conv_act(g, image(g, 227), 96, 11, "conv1", stride=4, pad="valid")
    x = max_pool(g, _lrn(g, x, "norm1"), 3, 2, "pool1")
    x = activate(g, conv(g, x, 256, 5, "conv2", group=2), "relu", "conv2")
    x = max_pool(g, _lrn(g, x, "norm2"), 3, 2, "pool2")
    for name, out, group in (("conv3", 384, 1), ("conv4", 384, 2), ("conv5", 256, 2)):
        x = activate(g, conv(g, x, out, 3, name, group=group), "relu", name)
    x = max_pool(g, x, 3, 2, "pool5")
    y, width = flatten(g, x, "flat"), x.channels * x.height * x.width
    for name in ("fc6", "fc7"):
        y, width = op(g, "Relu", [dense(g, y, width, 4096, name)], name), 4096
    return finish(g, op(g, "Softmax", [dense(g, y, width, 1000, "fc8")], "prob", axis=-1), 1000)


def _lrn(g: Sketch, x: Map, at: str) -> Map:
    return Map(op(g, "LRN", [x.name], at, size=5, alpha=1e-4, beta=0.75, bias=1.0), x.channels, x.height, x.width)


def lenet() -> Sketch:
    """LeNet-5, http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf, with ReLU and maxima."""
    g = Sketch()
    x = Map(g.input("image", FLOAT, [1, 1, 28, 28]), 1, 28, 28)
    x = max_pool(g, conv_act(g, x, 6, 5, "conv1"), 2, 2, "pool1")
    x = max_pool(g, conv_act(g, x, 16, 5, "conv2", pad="valid"), 2, 2, "pool2")
    y, width = flatten(g, x, "flat"), x.channels * x.height * x.width
    for name, out in (("fc1", 120), ("fc2", 84)):
        y, width = op(g, "Relu", [dense(g, y, width, out, name)], name), out
    return finish(g, dense(g, y, width, 10, "fc3"), 10)


def resnext50() -> Sketch:
    """ResNeXt-50 32x4d, https://arxiv.org/abs/1611.05431."""
    g = Sketch()
    return classify(g, resnet.backbone(g, image(g, 224), 50, group=32, wide=2.0)[-1], 1000)


NETWORKS: Mapping[str, Callable[[], Sketch]] = {"alexnet": alexnet, "lenet5": lenet, "resnext50_32x4d": resnext50}
SOURCES: Mapping[str, str] = {
    "alexnet": "https://github.com/BVLC/caffe/tree/master/models/bvlc_alexnet",
    "lenet5": "http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf",
    "resnext50_32x4d": "https://arxiv.org/abs/1611.05431",
}
