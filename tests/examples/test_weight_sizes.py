"""What weights take at each width, in the units of the figures quoted."""

from __future__ import annotations

from functools import partial

from onnx import ModelProto

from effaudit.report import ModelReport

from .example import KIB, MIB, Audited, Example, Figure, each, example, per
from .graphs import Net
from .layers import conv, linears


def size(width: str) -> Figure:
    def figure(model: ModelReport) -> int:
        return model.sizes[width]

    return figure


def saved(model: ModelReport) -> int:
    """Bytes that eight bits save over 32."""
    return model.sizes["fp32"] - model.sizes["int8"]


def times_smaller(model: ModelReport) -> float:
    return model.sizes["fp32"] / model.sizes["int8"]


def seven_billion() -> ModelProto:
    """One matrix of 7 G elements, described and never stored."""
    return linears(70_000, 100_000)


def feed_forward_of_gpt2() -> ModelProto:
    """768 -> 3072 -> 768, twelve times, its biases apart."""
    net = Net()
    x = net.input(1, 768)
    for _ in range(12):
        x = net.linear(net.linear(x, 3072), 768)
    return net.model(x)


CLASSIFIER = partial(linears, 4096, 4096, 1000)
EXAMPLES = [
    example("s0-009", 83.492864, "4096 -> 4096 -> 1000 in float32, in MB", per(1e6, size("fp32")), CLASSIFIER),
    example("s0-010", 62.619648, "what eight bits save of it, in MB", per(1e6, saved), CLASSIFIER),
    example("s0-194", 4.0, "float32 against eight bits", times_smaller, CLASSIFIER),
    example("s1-001", 28.0, "7 G weights in 32 bits, in GB", per(1e9, size("fp32")), seven_billion),
    example("s1-002", 14.0, "in 16 bits", per(1e9, size("fp16")), seven_billion),
    example("s1-004", 3.5, "in 4 bits", per(1e9, size("int4")), seven_billion),
    example("s1-006", 7 / 3, "16 bits against 6 GB", per(6e9, size("fp16")), seven_billion),
    example(
        "s1-029",
        18.375,
        "the first convolution of a ResNet in 16 bits, in KiB",
        per(KIB, size("fp16")),
        partial(conv, 3, 224, 64, 7),
    ),
    example("s2-054", 4.0, "eight bits take a quarter", times_smaller, seven_billion),
]


@each(EXAMPLES)
def test_sizes(example: Example, audited: Audited) -> None:
    example.check(audited)


def test_four_bits_of_the_feed_forward_layers(audited: Audited) -> None:
    """s1-019 is 27.022 MiB with the biases at four bits too; matrices alone take 27 MiB."""
    assert audited(feed_forward_of_gpt2).sizes["int4"] == 27 * MIB
