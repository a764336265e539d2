"""What others say the zoo's networks cost, as they print it.

A figure is met when the audit is less than one unit of its last digit away: some sources round, some cut. `norms` says
how a source counts the parameters of a batch norm: "both" (scale and shift), "folded" (one bias a channel), "none".
`extra` are operations a source adds to the multiply-accumulates for each element that a batch norm writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from benchmarks.sketch import Sketch
from benchmarks.zoo import inception_v3, mcunet, mobilenet_v2, resnet, shufflenet_v2, ssd

Norms = Literal["both", "folded", "none"]


@dataclass(frozen=True)
class Published:
    """`macs` and `params` with k, M, G or B behind, "" where the source has none; `why` explains an allowance."""

    macs: str
    params: str
    source: str
    norms: Norms = "both"
    extra: int = 0
    within: float = 0.0
    why: str = ""


def _torchvision(macs: str, params: str, file: str) -> Published:
    return Published(macs, params, f"https://github.com/pytorch/vision/blob/main/torchvision/models/{file}.py")


_SLIM = "https://github.com/tensorflow/models/blob/master/research/slim/nets/"
_V1_PAPER = "https://arxiv.org/abs/1704.04861 table 6"
_LITE = "https://github.com/tensorflow/tpu/blob/master/models/official/efficientnet/lite/README.md"
_MCUNET = "https://github.com/mit-han-lab/mcunet/blob/master/README.md"
_TIMM = (
    "https://github.com/huggingface/pytorch-image-models/blob/main/results/"
    "benchmark-infer-amp-nhwc-pt240-cu124-rtx3090.csv"
)
_OMZ = "https://docs.openvino.ai/2021.1/omz_models_public_{0}_{0}.html"
_TINY = "https://github.com/mlcommons/tiny/tree/master/benchmark"
_COUNTS_MORE = "counts normalization as well"
_V1 = {
    ("1.0", 224): ("569M", "4.24M"),
    ("1.0", 192): ("418M", "4.24M"),
    ("1.0", 160): ("291M", "4.24M"),
    ("1.0", 128): ("186M", "4.24M"),
    ("0.5", 224): ("150M", "1.34M"),
    ("0.5", 192): ("110M", "1.34M"),
    ("0.5", 160): ("77M", "1.34M"),
    ("0.5", 128): ("49M", "1.34M"),
    ("0.25", 224): ("41M", "0.47M"),
    ("0.25", 160): ("21M", "0.47M"),
    ("0.25", 128): ("14M", "0.47M"),
}
_V2 = {
    ("1.4", 224): ("582M", "6.06M"),
    ("1.3", 224): ("509M", "5.34M"),
    ("1.0", 224): ("300M", "3.47M"),
    ("1.0", 192): ("221M", "3.47M"),
    ("1.0", 160): ("154M", "3.47M"),
    ("1.0", 128): ("99M", "3.47M"),
    ("1.0", 96): ("56M", "3.47M"),
    ("0.75", 224): ("209M", "2.61M"),
    ("0.75", 192): ("153M", "2.61M"),
    ("0.75", 160): ("107M", "2.61M"),
    ("0.75", 128): ("69M", "2.61M"),
    ("0.75", 96): ("39M", "2.61M"),
    ("0.5", 224): ("97M", "1.95M"),
    ("0.5", 192): ("71M", "1.95M"),
    ("0.5", 160): ("50M", "1.95M"),
    ("0.5", 128): ("32M", "1.95M"),
    ("0.5", 96): ("18M", "1.95M"),
    ("0.35", 224): ("59M", "1.66M"),
    ("0.35", 192): ("43M", "1.66M"),
    ("0.35", 160): ("30M", "1.66M"),
    ("0.35", 128): ("20M", "1.66M"),
    ("0.35", 96): ("11M", "1.66M"),
}
_TORCHVISION = {
    "mobilenet_v2": ("0.301G", "3504872", "mobilenetv2"),
    "mobilenet_v3_large": ("0.217G", "5483032", "mobilenetv3"),
    "mobilenet_v3_small": ("0.057G", "2542856", "mobilenetv3"),
    "resnet18": ("1.814G", "11689512", "resnet"),
    "resnet50": ("4.089G", "25557032", "resnet"),
    "resnet101": ("7.801G", "44549160", "resnet"),
    "wideresnet50": ("11.398G", "68883240", "resnet"),
    "squeezenet1_1": ("0.349G", "1235496", "squeezenet"),
    "SqueezeNet (224)": ("0.819G", "1248424", "squeezenet"),
    "googlenet": ("1.498G", "6624904", "googlenet"),
    "shufflenet_v2": ("0.04G", "1366792", "shufflenetv2"),
    "densenet121": ("2.834G", "7978856", "densenet"),
    "DenseNet (224)": ("2.834G", "7978856", "densenet"),
    "efficientnet_b0": ("0.386G", "5288548", "efficientnet"),
    "efficientnet_b4": ("4.394G", "19341616", "efficientnet"),
    "mnasnet05": ("0.104G", "2218512", "mnasnet"),
    "convnext_tiny": ("4.456G", "28589128", "convnext"),
    "vit": ("17.564G", "86567656", "vision_transformer"),
    "VGG16 (224)": ("15.47G", "138357544", "vgg"),
    "VGG19 (224)": ("19.632G", "143667240", "vgg"),
}
_FOUND = {
    "mcunet-in0": ("6.4M", "0.75M"),
    "mcunet-in1": ("12.8M", "0.64M"),
    "mcunet-in2": ("67.3M", "0.73M"),
    "mcunet-in3": ("81.8M", "0.74M"),
    "mcunet-in4": ("125.9M", "1.73M"),
    "mcunet-vww0": ("6.0M", "0.37M"),
    "mcunet-vww1": ("11.6M", "0.43M"),
    "mcunet-vww2": ("55.8M", "0.64M"),
    "proxyless-w0.3-r176": ("38.3M", "0.75M"),
}
_LITES = {1: ("631M", "5.4M"), 2: ("899M", "6.1M"), 3: ("1.44G", "8.2M"), 4: ("2.64G", "13.0M")}
_LITE_0 = "407 M is 1.6 M more than three operations for each normalized element, which the other four are"

PUBLISHED: Mapping[str, Published] = {
    **{name: _torchvision(*row) for name, row in _TORCHVISION.items()},
    **{f"mobilenet-v1-{a}-{s}-quantized": Published(*v, f"{_SLIM}mobilenet_v1.md") for (a, s), v in _V1.items()},
    **{
        f"mobilenet-v2-{a}-{s}-quantized": Published(*v, f"{_SLIM}mobilenet/README.md", "none")
        for (a, s), v in _V2.items()
    },
    **{
        f"efficientnet-lite{i}-quantized": Published(macs, params, _LITE, extra=3)
        for i, (macs, params) in _LITES.items()
    },
    "efficientnet-lite0-quantized": Published("407M", "4.7M", _LITE, extra=3, within=0.005, why=_LITE_0),
    **{name: Published(*v, _MCUNET) for name, v in _FOUND.items()},
    "mcunet-vww1": Published(
        "11578816", "0.43M", "https://github.com/mit-han-lab/tinyengine/blob/main/assets/vww.tflite, layer by layer"
    ),
    "mcunet-in3": Published(
        "81785520",
        "0.74M",
        "https://github.com/jangel19/mcunet-fault-sensitivity/blob/26fae34872a05ca4dc22809aae9a2bdfa6bc1174/"
        "layer_inventory.csv, the sum",
    ),
    "mobilenet-v1-0.75-224-quantized": Published("325M", "2.6M", _V1_PAPER),
    "mobilenet_v1_0.25_96 (flowers)": Published("7490432", "", f"{_TINY} (7,489,664 with 2 classes, 256 for each)"),
    "inception_v3": Published("", "23.83M", _TIMM),
    "Inception v4 (299)": Published("12.28G", "42.68M", _TIMM, within=0.005, why=_COUNTS_MORE),
    "Inception-ResNet V2 (299)": Published("13.18G", "55.84M", _TIMM, within=0.005, why=_COUNTS_MORE),
    "ssd-mobilenet": Published("", "6.807M", _OMZ.format("ssd_mobilenet_v1_coco"), "folded"),
    "MobileNet v2 SSD (224)": Published("", "16.818M", _OMZ.format("ssd_mobilenet_v2_coco"), "folded"),
    "DeepLab V3 (513)": Published(
        "2.75G", "", "https://github.com/tensorflow/models/blob/master/research/deeplab/g3doc/model_zoo.md"
    ),
}
# The same builders at sizes that have published figures, where the measured ones have none.
VARIANTS: Mapping[str, tuple[Callable[[], Sketch], Published]] = {
    "inception_v3 at 299": (
        partial(inception_v3.inception_v3, 299),
        Published("5.713G", "", "https://github.com/pytorch/vision/blob/main/torchvision/models/inception.py"),
    ),
    "shufflenet_v2_x1_0": (
        partial(shufflenet_v2.shufflenet_v2, shufflenet_v2.X1_0),
        _torchvision("0.145G", "2278604", "shufflenetv2"),
    ),
    "resnet152": (partial(resnet.resnet, 152), _torchvision("11.514G", "60192808", "resnet")),
    "slim resnet_v1_50 at 224": (
        partial(resnet.slim, 50, 1, 224),
        Published("3.5G", "", f"{_SLIM}mobilenet/README.md (approximately 3500 M)"),
    ),
    "mbv2-w0.3-r80": (
        partial(mcunet.mcunet, mcunet.scaled(mcunet.MOBILENET_V2, 0.3, mobilenet_v2.divisible), 80),
        Published(
            "7.3M",
            "0.63M",
            "https://github.com/mit-han-lab/tinyml/blob/e899b1bec08604910098ab6aab57bb30735dbb31/mcunet/README.md",
        ),
    ),
    "ssd_mobilenet_v2_coco at 300": (
        partial(ssd.ssd_v2, 300),
        Published(
            "1.8875G",
            "16.818M",
            _OMZ.format("ssd_mobilenet_v2_coco") + " (half of its GFLOPs)",
            "folded",
            within=0.01,
            why="counts biases and activations as well",
        ),
    ),
    "ssd_mobilenet_v1_coco at 300": (
        partial(ssd.ssd_v1, 300),
        Published(
            "1.247G",
            "6.807M",
            _OMZ.format("ssd_mobilenet_v1_coco") + " (half of its GFLOPs)",
            "folded",
            within=0.01,
            why="counts biases and activations as well",
        ),
    ),
}
