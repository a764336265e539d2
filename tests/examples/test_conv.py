"""Convolutions: multiply-accumulates, parameters, output sizes, groups."""

from __future__ import annotations

from functools import partial

from onnx import ModelProto

from effaudit.report import ModelReport

from .example import (
    Audited,
    Example,
    each,
    elements,
    example,
    macs,
    node_macs,
    node_params,
    params,
    per,
    percent,
    positions,
    ratio,
    side,
    sums,
)
from .graphs import Net
from .layers import conv
from .networks import alexnet, bottleneck

ALEXNET1 = partial(conv, 3, 224, 96, 11, 4, 2)
ALEXNET2 = partial(conv, 96, 27, 256, 5, g=2)
STEM = partial(conv, 3, 224, 64, 7, 2, 3)
COARSE = partial(conv, 3, 224, 64, 7, 4, 3)
WIDENING = partial(conv, 64, 56, 128, 3)
SQUARE = partial(conv, 128, 56, 128, 3)
SMALL = partial(conv, 32, 28, 64, 3)


def block() -> ModelProto:
    """A bottleneck of 64 to 256 channels at 28 x 28, with a projection."""
    net = Net()
    return net.model(bottleneck(net, net.input(1, 64, 28, 28), 64))


def quotient(model: ModelReport) -> int:
    """What the output size formula divides, before it adds 1."""
    return side(model) - 1


def channels_seen(model: ModelReport) -> int:
    """The input channels of one 5 x 5 filter."""
    assert macs(model) % (elements(model) * 25) == 0
    return macs(model) // (elements(model) * 25)


def growth(double: ModelReport, single: ModelReport) -> str:
    """How MACs grow as channels double."""
    return {2: "linear", 4: "quadratic", 8: "cubic"}[round(macs(double) / macs(single))]


MAIN_PATH = sums(node_macs("reduce"), node_macs("spatial"), node_macs("expand"))
ONE_PLACE = partial(conv, 64, 3, 128, 3, p=0)

EXAMPLES = [
    # ---- multiply-accumulates
    example("s0-012", 3136, "positions of a 56 x 56 output", positions, WIDENING),
    example("s0-013", 3136.0, "a 56 x 56 output against a single position", ratio(macs), WIDENING, ONE_PLACE),
    example("s0-019", 105_415_200, "AlexNet's first layer", macs, ALEXNET1),
    example("s0-020", 105.4152, "the same in millions", per(1e6, macs), ALEXNET1),
    example("s0-021", 14.55193375761942, "its share of AlexNet", percent(node_macs("conv1"), macs), alexnet),
    example("s0-026", 231_211_008, "64 to 128 channels at 56 x 56", macs, WIDENING),
    example("s0-057", 724.406816, "AlexNet in millions", per(1e6, macs), alexnet),
    example("s0-091", 462_422_016, "128 to 128 channels at 56 x 56", macs, SQUARE),
    example(
        "s0-105",
        44.44444444444444,
        "a block's projection against its 3 x 3 layer",
        percent(node_macs("projection"), node_macs("spatial")),
        block,
    ),
    example(
        "s0-106",
        28.57142857142857,
        "a block's projection against its main path",
        percent(node_macs("projection"), MAIN_PATH),
        block,
    ),
    example("s0-130", 29.503488, "7 x 7 of stride 4 on an image, in millions", per(1e6, macs), COARSE),
    example("s0-133", 231.211008, "64 to 128 channels at 56 x 56, in millions", per(1e6, macs), WIDENING),
    example(
        "s0-162",
        1.0,
        "channels doubled and sides halved",
        ratio(macs),
        partial(conv, 128, 28, 128, 3),
        partial(conv, 64, 56, 64, 3),
    ),
    example("s1-022", 118_013_952, "ResNet's stem", macs, STEM),
    example("s1-023", 118.013952, "the same in millions", per(1e6, macs), STEM),
    example(
        "s2-002", 1.849688064, "256 channels at 56 x 56, in billions", per(1e9, macs), partial(conv, 256, 56, 256, 3)
    ),
    example("s2-003", "quadratic", "channels doubled on both sides", growth, SQUARE, partial(conv, 64, 56, 64, 3)),
    # ---- parameters
    example("s0-023", 34.848, "AlexNet's first layer, in thousands", per(1e3, node_params("conv1")), alexnet),
    example("s0-033", 884_736, "AlexNet's third convolution", node_params("conv3"), alexnet),
    example("s0-055", 60_954_656, "AlexNet without biases", params, alexnet),
    example("s0-090", 147_456, "128 to 128 channels", params, SQUARE),
    example("s0-129", 9_408, "7 x 7 of stride 4 on an image", params, COARSE),
    example("s0-132", 73_728, "64 to 128 channels", params, WIDENING),
    example("s0-138", 1_179_648, "256 to 512 channels", params, partial(conv, 256, 14, 512, 3)),
    example("s1-021", 9_408, "ResNet's stem", params, STEM),
    example("s3-014", 288, "one 3 x 3 filter over 32 channels", params, partial(conv, 32, 28, 1, 3)),
    example("s3-015", 18_432, "64 such filters", params, SMALL),
    # ---- output sizes
    example("s0-015", 54, "the quotient of 224, kernel 11, padding 2, stride 4", quotient, ALEXNET1),
    example("s0-016", 56, "padding of (k - 1) / 2 keeps the size", side, partial(conv, 64, 56, 64, 3, p=1)),
    example("s0-017", 24, "no padding takes k - 1 away", side, partial(conv, 1, 28, 6, 5, p=0)),
    example("s0-128", 56, "7 x 7 of stride 4 with a padding of 3", side, COARSE),
    # ---- groups and 1 x 1
    example("s0-031", 223_948_800, "MACs of AlexNet's second convolution", node_macs("conv2"), alexnet),
    example("s0-040", 74_760_192, "MACs of AlexNet's fifth convolution", node_macs("conv5"), alexnet),
    example("s0-076", 614_400, "parameters of the second one in one group", params, partial(conv, 96, 27, 256, 5)),
    example("s0-077", 307_200, "its parameters in two groups", params, ALEXNET2),
    example("s0-078", 223_948_800, "its MACs in two groups", macs, ALEXNET2),
    example("s0-080", 48, "the input channels each of its filters sees", channels_seen, ALEXNET2),
    example(
        "s0-167",
        4,
        "four groups divide the parameters by four",
        ratio(params),
        partial(conv, 64, 28, 64, 3),
        partial(conv, 64, 28, 64, 3, g=4),
    ),
    example("s4-016", 288, "as many groups as channels", params, partial(conv, 32, 28, 32, 3, g=32)),
    example("s0-170", 16.384, "1 x 1 of 128 channels, in thousands", per(1e3, params), partial(conv, 128, 56, 128, 1)),
    example("s2-009", 65_536, "1 x 1 of 256 channels", params, partial(conv, 256, 56, 256, 1)),
    example("s4-017", 1_605_632, "MACs of 1 x 1 from 32 to 64 channels", macs, partial(conv, 32, 28, 64, 1)),
]


@each(EXAMPLES)
def test_convolution(example: Example, audited: Audited) -> None:
    example.check(audited)


def test_groups_divide_macs_too(audited: Audited) -> None:
    one, four = audited(partial(conv, 64, 28, 64, 3)), audited(partial(conv, 64, 28, 64, 3, g=4))
    assert macs(one) == 4 * macs(four)
