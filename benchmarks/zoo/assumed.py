"""What the sources of the measurements leave open about a network, and what was taken instead."""

from __future__ import annotations

from collections.abc import Mapping

_CORAL = "https://coral.ai/docs/edgetpu/benchmarks states a name and an input size only"
_SLIM = f"{_CORAL}: TF-Slim's network with 1001 classes"
_DETECTOR = "box decoding and non-maximum suppression, which the measured file may hold, are left out"

ASSUMED: Mapping[str, str] = {
    "MobileNet v1 (224)": _SLIM,
    "MobileNet v2 (224)": _SLIM,
    "Inception v1 (224)": _SLIM,
    "Inception v4 (299)": _SLIM,
    "Inception-ResNet V2 (299)": _SLIM,
    "ResNet-50 V1 (299)": f"{_CORAL}: TF-Slim's with 1000 classes, 6.54 GMACs; a v1.5 would have 7.3",
    "ResNet-50 V2 (299)": _SLIM,
    "ResNet-152 V2 (299)": _SLIM,
    "DenseNet (224)": f"{_CORAL}: DenseNet-121",
    "SqueezeNet (224)": f"{_CORAL}: version 1.0",
    "DeepLab V3 (513)": f"{_CORAL}: MobileNet V2 1.0, output stride 16, no pyramid, logits upsampled to the image",
    "MobileNet v1 SSD (224)": f"{_CORAL}: ssd_mobilenet_v1_coco at 224; {_DETECTOR}",
    "MobileNet v2 SSD (224)": f"{_CORAL}: ssd_mobilenet_v2_coco at 224; {_DETECTOR}",
    "ssd-mobilenet": _DETECTOR,
    "retinanet": _DETECTOR,
    "bert-99": "384 tokens every time: an implementation that skips padding does less",
    "resnet50": "MLPerf's and Qualcomm AI Hub's differ in 1000 or 1001 classes: 1000",
    "inception_v3": "without the rescaling of the input that torchvision's weights bring",
    "googlenet": "without the rescaling of the input that torchvision's weights bring",
    "person_detection (TFLM example, MobileNetV1 0.25 96x96x1)": (
        "2 classes; converters may spell the stem, of one input channel, as a depthwise convolution"
    ),
    "proxyless-w0.3-r64": "the last stage's width is inferred, see benchmarks.zoo.mcunet.up",
    "proxyless-w0.3-r176": "the last stage's width is inferred, see benchmarks.zoo.mcunet.up",
}
