"""Networks to run: every one a real architecture, at one size, with random weights; the shipped samples of int8.

`python -m benchmarks.latency_host.networks NAME FOLDER` writes one and prints its path; `all` for NAME writes every
one; without arguments, lists the names. The weights depend on the names alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx

from benchmarks.latency_host import quantized
from benchmarks.latency_host.nets import (
    detectors,
    images,
    pictures,
    recurrent,
    signals,
    tables,
    text,
    vision_transformers,
)
from benchmarks.latency_host.weights import filled
from benchmarks.sketch import Sketch, save
from benchmarks.zoo import NETWORKS as ZOO

SAMPLES = Path(__file__).resolve().parents[2] / "sample_models"
_TORCHVISION = "https://github.com/pytorch/vision/tree/main/torchvision/models"
_TINY = "https://github.com/mlcommons/tiny/tree/master/benchmark"

MOBILE, LARGE = "small CNN", "large CNN"
# name: of the zoo, family, where it is published
_OF_ZOO: Mapping[str, tuple[str, str, str]] = {
    "mobilenet_v1_0.25_96": ("mobilenet_v1_0.25_96", MOBILE, "https://arxiv.org/abs/1704.04861"),
    "mobilenet_v1_0.5_160": ("mobilenet-v1-0.5-160-non-quantized", MOBILE, "https://arxiv.org/abs/1704.04861"),
    "mobilenet_v1_1.0_224": ("mobilenet_v1_1.0_224", MOBILE, "https://arxiv.org/abs/1704.04861"),
    "mobilenet_v2_0.35_96": ("mobilenet_v2_0.35_96", MOBILE, "https://arxiv.org/abs/1801.04381"),
    "mobilenet_v2_1.0_224": ("mobilenet_v2_1.0_224", MOBILE, "https://arxiv.org/abs/1801.04381"),
    "mobilenet_v3_small": ("mobilenet_v3_small", MOBILE, "https://arxiv.org/abs/1905.02244"),
    "mobilenet_v3_large": ("mobilenet_v3_large", MOBILE, "https://arxiv.org/abs/1905.02244"),
    "mnasnet05": ("mnasnet05", MOBILE, "https://arxiv.org/abs/1807.11626"),
    "mcunet_in2": ("mcunet-in2", MOBILE, "https://github.com/mit-han-lab/mcunet"),
    "proxyless_0.3_176": ("proxyless-w0.3-r176", MOBILE, "https://arxiv.org/abs/1812.00332"),
    "shufflenet_v2": ("shufflenet_v2", MOBILE, "https://arxiv.org/abs/1807.11164"),
    "squeezenet1_1": ("squeezenet1_1", MOBILE, "https://arxiv.org/abs/1602.07360"),
    "efficientnet_b0": ("efficientnet_b0", MOBILE, "https://arxiv.org/abs/1905.11946"),
    "efficientnet_lite0": (
        "efficientnet-lite0-non-quantized",
        MOBILE,
        "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite",
    ),
    "resnet18": ("resnet18", LARGE, _TORCHVISION),
    "resnet50": ("resnet50", LARGE, _TORCHVISION),
    "wide_resnet50": ("wideresnet50", LARGE, _TORCHVISION),
    "googlenet": ("googlenet", LARGE, _TORCHVISION),
    "inception_v3": ("inception_v3", LARGE, _TORCHVISION),
    "densenet121": ("densenet121", LARGE, _TORCHVISION),
    "convnext_tiny": ("convnext_tiny", LARGE, _TORCHVISION),
    "vgg16": ("VGG16 (224)", LARGE, _TORCHVISION),
    "ssd_mobilenet_v1_300": ("ssd-mobilenet", "detector, segmenter", "https://github.com/tensorflow/models"),
    "ssd_mobilenet_v2_224": ("MobileNet v2 SSD (224)", "detector, segmenter", "https://github.com/tensorflow/models"),
    "deeplab_v3_513": ("DeepLab V3 (513)", "detector, segmenter", "https://github.com/tensorflow/models"),
    "vit_base_16": ("vit", "vision transformer", "https://arxiv.org/abs/2010.11929"),
}
_OWN = (
    (images, LARGE),
    (detectors, "detector, segmenter"),
    (pictures, "image to image"),
    (vision_transformers, "vision transformer"),
    (text, "language, sound"),
    (recurrent, "recurrent"),
    (signals, "1-D, 3-D"),
    (tables, "dense layers"),
)
_ELSEWHERE = {"lenet5": MOBILE}  # another family than the others of its file
_SAMPLED = ("ad-int8", "ic-int8", "kws-int8", "vww-int8")


@dataclass(frozen=True)
class Network:
    """`write` writes the file. `sketch`: of what is drawn, without its weights."""

    name: str
    family: str
    source: str
    write: Callable[[Path], None]
    sketch: Callable[[], Sketch] | None = None


def networks() -> Mapping[str, Network]:
    """Every one by name."""
    found = [_drawn(name, ZOO[zoo], family, source) for name, (zoo, family, source) in _OF_ZOO.items()]
    for module, family in _OWN:
        found += [
            _drawn(name, sketch, _ELSEWHERE.get(name, family), module.SOURCES[name])
            for name, sketch in module.NETWORKS.items()
        ]
    for name, network in quantized.NETWORKS.items():
        found.append(Network(name, "int8", network.source, _quantizer(name, network)))
    found += [Network(name, "int8", _TINY, _copier(SAMPLES / f"{name}.onnx")) for name in _SAMPLED]
    return {network.name: network for network in found}


def _drawn(name: str, sketch: Callable[[], Sketch], family: str, source: str) -> Network:
    def write(path: Path) -> None:
        save(filled(sketch(), name), path)

    return Network(name, family, source, write, sketch)


def _quantizer(name: str, network: quantized.Quantized) -> Callable[[Path], None]:
    return lambda path: quantized.write(name, network, path)


def _copier(sample: Path) -> Callable[[Path], None]:
    """The sample with its symbolic dims set to 1."""

    def write(path: Path) -> None:
        model = onnx.load(sample)
        for value in (*model.graph.input, *model.graph.output):
            for dim in value.type.tensor_type.shape.dim:
                if dim.WhichOneof("value") != "dim_value":
                    dim.dim_value = 1
        onnx.save(model, path)

    return write


def build(network: Network, folder: Path) -> Path:
    """The model's path, written into `folder` unless it is there already."""
    path = folder / f"{network.name}.onnx"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        network.write(unfinished)
        os.replace(unfinished, path)
    return path


def chosen(names: Iterable[str]) -> list[Network]:
    """Those whose names are given, or all. Raises KeyError for a name there is not."""
    every = networks()
    return [every[name] for name in names] or list(every.values())


if __name__ == "__main__":
    if not sys.argv[1:]:
        print("\n".join(networks()))
    for one in chosen(() if sys.argv[1:2] == ["all"] else sys.argv[1:2]) if sys.argv[1:] else ():
        print(build(one, Path(sys.argv[2])), flush=True)
