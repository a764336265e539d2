"""Facts about published networks: the shipped samples, and builders where no sample has the architecture."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

import effaudit
from effaudit.report import ModelReport

from .example import Audited, Example, each, example, flops, macs, node, params, per, ratio
from .hierarchies import convnext_t, swin_t
from .networks import efficientnet, resnet, vgg16

GIGA_MACS, MILLION_PARAMS = per(1e9, macs), per(1e6, params)


def first_projection(model: ModelReport) -> int:
    """The side of the first projection's output."""
    shape = node(model, "layer1/0/downsample/0/Conv").outputs[0].shape
    assert shape is not None and shape[2] == shape[3]
    return int(shape[2])


EXAMPLES = [
    example("s0-089", 15.47026432, "VGG-16", GIGA_MACS, vgg16),
    example("s0-107", 56, "the first projection of ResNet-50 keeps the size", first_projection, "resnet50"),
    example("s0-108", 4.089184256, "ResNet-50", GIGA_MACS, "resnet50"),
    example("s0-157", 3.504872, "MobileNetV2", MILLION_PARAMS, "mobilenetv2"),
    example("s0-158", 300.774272, "MobileNetV2, millions of MACs", per(1e6, macs), "mobilenetv2"),
    example("s0-159", 13.595525404513323, "MACs of the one in the other", ratio(macs), "resnet50", "mobilenetv2"),
    example(
        "s0-160", 7.291858875302721, "parameters of the one in the other", ratio(params), "resnet50", "mobilenetv2"
    ),
    example("s0-187", 8.178368512, "ResNet-50, billions of FLOPs", per(1e9, flops), "resnet50"),
    example("s2-026", 0.993561872, "EfficientNet-B2 at 260", GIGA_MACS, partial(efficientnet, 1.1, 1.2, 260)),
    example("s2-027", 1.827141392, "EfficientNet-B3 at 300", GIGA_MACS, partial(efficientnet, 1.2, 1.4, 300)),
    example("s2-028", 4.393771024, "EfficientNet-B4 at 380", GIGA_MACS, partial(efficientnet, 1.4, 1.8, 380)),
    example("s2-029", 37.745884192, "EfficientNet-B7 at 600", GIGA_MACS, partial(efficientnet, 2.0, 3.1, 600)),
    example("s2-030", 11.513626624, "ResNet-152", GIGA_MACS, partial(resnet, (3, 8, 36, 3))),
    example("s2-034", 3.504872, "MobileNetV2", MILLION_PARAMS, "mobilenetv2"),
    example("s2-036", 5.288548, "EfficientNet-B0", MILLION_PARAMS, partial(efficientnet, 1.0, 1.0, 224)),
    example("s2-038", 28.288354, "Swin-T", MILLION_PARAMS, swin_t),
    example("s2-039", 28.589128, "ConvNeXt-T", MILLION_PARAMS, convnext_t),
    example("s2-040", 25.557032, "ResNet-50", MILLION_PARAMS, "resnet50"),
    example("s2-045", 4.490566656, "Swin-T", GIGA_MACS, swin_t),
    example("s2-046", 4.455531264, "ConvNeXt-T", GIGA_MACS, convnext_t),
    example("s2-047", 4.089184256, "ResNet-50", GIGA_MACS, "resnet50"),
]


@each(EXAMPLES)
def test_published(example: Example, audited: Audited) -> None:
    example.check(audited)


def test_builder_and_sample_agree(audited: Audited) -> None:
    """ResNet-50, written twice."""
    built, sample = audited(partial(resnet, (3, 4, 6, 3))), audited("resnet50")
    assert (built.totals.macs, built.totals.params) == (sample.totals.macs, sample.totals.params)
    assert built.memory.live_bytes == sample.memory.live_bytes


def test_alexnet_with_its_biases(audited: Audited) -> None:
    """The table of AlexNet (s0-055, s0-057) counts weights alone; the network has 10,568 biases."""
    sample = audited("alexnet")
    assert (params(sample), macs(sample)) == (60_954_656 + 10_568, 724_406_816)


CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "models"
EXPORTED = {
    "s0-089": ("vgg16.ts.op17", 15_470_264_320),
    "s2-030": ("resnet152.ts.op17", 11_513_626_624),
    "s2-045": ("swin_tiny_patch4_window7_224.ts.op17", 4_490_566_656),
}


@pytest.mark.parametrize("id", EXPORTED)
def test_what_an_exporter_made_of_them(id: str) -> None:
    """The same facts on graphs that PyTorch wrote, where those are at hand."""
    file, macs = EXPORTED[id]
    path = CORPUS / f"{file}.onnx"
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    assert effaudit.audit(str(path)).totals.macs == macs
