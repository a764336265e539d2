"""Depthwise convolutions, and depthwise with pointwise against standard ones."""

from __future__ import annotations

from functools import partial

from effaudit.report import ModelReport

from .example import Audited, Example, each, example, macs, node, node_macs, node_params, params, ratio
from .layers import conv, separable

STANDARD128, SEPARABLE128 = partial(conv, 128, 56, 128, 3), partial(separable, 128, 56, 128, 3)
STANDARD256, SEPARABLE256 = partial(conv, 256, 56, 256, 3), partial(separable, 256, 56, 256, 3)
STANDARD64, SEPARABLE64 = partial(conv, 64, 28, 64, 3), partial(separable, 64, 28, 64, 3)
TINY, TINY_SEPARABLE = partial(conv, 32, 28, 64, 3), partial(separable, 32, 28, 64, 3)
DEPTHWISE = partial(conv, 32, 28, 32, 3, g=32)
WIDE, WIDER = partial(separable, 1024, 7, 1024, 3), partial(separable, 2048, 7, 2048, 3)


def dominant(model: ModelReport) -> str:
    """Which term of 1/K^2 + 1/C is larger: the pointwise layer's or the depthwise layer's."""
    return "1/K^2" if node_macs("pointwise")(model) > node_macs("depthwise")(model) else "1/C"


def growth(double: ModelReport, single: ModelReport) -> str:
    """How MACs grow as channels double."""
    return {2: "linear", 4: "quadratic"}[round(macs(double) / macs(single))]


def expanded(model: ModelReport) -> int:
    """Output channels of the first expansion of a block that reads 24."""
    return int(node(model, "features/3/conv/0/0/Conv").outputs[0].shape[1])  # type: ignore[index]


EXAMPLES = [
    example("s0-083", 8.408759124087592, "fewer MACs at 128 channels", ratio(macs), STANDARD128, SEPARABLE128),
    example("s0-086", "1/K^2", "what the saving is made of at 256 channels", dominant, SEPARABLE256),
    example("s0-093", 54_992_896, "MACs at 128 channels, 56 x 56", macs, SEPARABLE128),
    example("s0-094", 8.408759124087592, "fewer MACs", ratio(macs), STANDARD128, SEPARABLE128),
    example("s0-095", 8.408759124087592, "fewer parameters", ratio(params), STANDARD128, SEPARABLE128),
    example("s0-168", 1_152, "depthwise parameters at 128 channels", node_params("depthwise"), SEPARABLE128),
    example("s2-004", "quadratic", "the pointwise layer makes it quadratic", growth, WIDER, WIDE),
    example("s2-005", 8.69433962264151, "fewer MACs at 256 channels", ratio(macs), STANDARD256, SEPARABLE256),
    example("s2-007", 67_840, "parameters at 256 channels", params, SEPARABLE256),
    example("s2-012", 144, "channels that MobileNetV2 expands 24 to", expanded, "mobilenetv2"),
    example("s2-048", 7.890410958904109, "fewer MACs at 64 channels", ratio(macs), STANDARD64, SEPARABLE64),
    example("s2-049", 8.69433962264151, "fewer MACs at 256 channels, again", ratio(macs), STANDARD256, SEPARABLE256),
    example("s3-016", 288, "depthwise parameters at 32 channels", node_params("depthwise"), TINY_SEPARABLE),
    example("s3-018", 2_336, "parameters from 32 to 64 channels", params, TINY_SEPARABLE),
    example("s3-019", 7.890410958904109, "fewer parameters", ratio(params), TINY, TINY_SEPARABLE),
    example("s4-014", 288, "a depthwise layer of 32 channels", params, DEPTHWISE),
    example("s4-015", 225_792, "its MACs at 28 x 28", macs, DEPTHWISE),
    example("s4-025", 8.69433962264151, "fewer MACs at 256 channels", ratio(macs), STANDARD256, SEPARABLE256),
]


@each(EXAMPLES)
def test_separable(example: Example, audited: Audited) -> None:
    example.check(audited)
