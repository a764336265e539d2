"""Activations: how many elements and bytes, and the peaks they make."""

from __future__ import annotations

from functools import partial
from math import prod

from onnx import ModelProto

from effaudit.report import ModelReport

from .blocks import feed_forwards
from .example import (
    KIB,
    MIB,
    Audited,
    Example,
    each,
    elements,
    example,
    in_out,
    input_elements,
    moved_out,
    node_out,
    ops,
    per,
    sums,
)
from .graphs import FLOAT16, Net
from .layers import conv, qlinear_conv
from .networks import alexnet, bottleneck

STEM16 = partial(conv, 3, 224, 64, 7, 2, 3, dtype=FLOAT16)
FFN = partial(feed_forwards, 1, 768, 512, bias=False, activation="")
LISTED = "conv1 pool1 conv2 pool2 conv3 conv4 conv5 fc1 fc2 fc3".split()


def relu() -> ModelProto:
    net = Net()
    return net.model(net.relu(net.input(1, 128, 56, 56)))


def inverted(channels: int, side: int) -> ModelProto:
    net = Net()
    return net.model(net.conv(net.input(1, channels, side, side), channels, 3, g=channels))


def block() -> ModelProto:
    """ResNet-50's second bottleneck: no projection."""
    net = Net()
    return net.model(bottleneck(net, net.input(1, 256, 56, 56), 64))


def largest(model: ModelReport) -> str:
    """Where AlexNet has most activations."""
    names = {n.outputs[0].name: n.name for n in model.nodes}
    sizes = {names[t.name]: prod(t.shape) for n in model.nodes for t in n.outputs if t.shape}  # type: ignore[arg-type]
    sizes["input"] = input_elements(model)
    found = max(sizes, key=sizes.__getitem__)
    return "Conv1 output" if found == "conv1" else found


def all_but_the_flattened(model: ModelReport) -> int:
    """Every activation of AlexNet, the reshaped copy of the last pool aside."""
    assert model.memory.sum_bytes is not None
    return model.memory.sum_bytes // 4 - node_out("pool5")(model)


def over_a_megabyte(model: ModelReport) -> bool:
    """Whether the peak with one byte per element is over 1 MB."""
    assert model.memory.inplace_bytes is not None
    return model.memory.inplace_bytes // 4 > 1e6


def added(model: ModelReport) -> int:
    """Scalar additions of the residual connection."""
    (add,) = (n for n in model.nodes if n.op == "Add")
    assert add.ops is not None and not add.macs and not add.params
    return add.ops


def larger_side(model: ModelReport) -> int:
    return max(input_elements(model), elements(model))


def widest(model: ModelReport) -> int:
    return in_out(model) // 4


def input_bytes(model: ModelReport) -> int:
    assert model.inputs[0].dtype == "float16"
    return 2 * input_elements(model)


EXAMPLES = [
    # ---- AlexNet's table
    example("s0-029", 290_400, "after the first convolution", node_out("conv1"), alexnet),
    example("s0-032", 186_624, "after the second", node_out("conv2"), alexnet),
    example("s0-035", 64_896, "after the third", node_out("conv3"), alexnet),
    example("s0-058", 772_520, "all rows of the table", sums(*map(node_out, LISTED)), alexnet),
    example("s0-059", 932_264, "with the input and the last pool", all_but_the_flattened, alexnet),
    example("s0-062", "Conv1 output", "the largest tensor", largest, alexnet),
    example("s0-063", 150_528, "the input", input_elements, alexnet),
    # ---- single layers
    example("s0-102", 401_408, "comparisons of a ReLU over 128 x 56 x 56", ops, relu),
    example(
        "s0-134",
        802.816,
        "128 x 56 x 56 of fp16 in kB",
        per(1e3, moved_out),
        partial(conv, 64, 56, 128, 3, dtype=FLOAT16),
    ),
    example(
        "s0-137",
        401.408,
        "256 x 28 x 28 of fp16 in kB",
        per(1e3, moved_out),
        partial(conv, 128, 28, 256, 3, dtype=FLOAT16),
    ),
    example("s0-144", 301.056, "an image of fp16 in kB", per(1e3, input_bytes), STEM16),
    example("s1-028", 1.53125, "after ResNet's stem, fp16 in MiB", per(MIB, moved_out), STEM16),
    example("s3-008", 784.0, "64 x 56 x 56 of fp32 in KiB", per(KIB, moved_out), partial(conv, 3, 56, 64, 3)),
    example("s3-088", 196.0, "64 x 56 x 56 of int8 in KiB", per(KIB, moved_out), partial(qlinear_conv, 64, 56, 64)),
    # ---- peaks
    example("s0-147", True, "MobileNetV2 with one byte per element", over_a_megabyte, "mobilenetv2"),
    example("s0-200", 802_816, "additions of a residual connection", added, block),
    example("s1-076", 1862.0, "input and output of ResNet's stem, fp16 in KiB", per(KIB, in_out), STEM16),
    example(
        "s3-076",
        294.0,
        "two int8 buffers, 32 and 64 channels, in KiB",
        per(KIB, in_out),
        partial(qlinear_conv, 32, 56, 64),
    ),
    example("s4-018", 451_584, "the larger side of a depthwise layer", larger_side, partial(inverted, 144, 56)),
    example("s4-029", 1_966_080, "input and output of a feed-forward matrix", widest, FFN),
]


@each(EXAMPLES)
def test_activations(example: Example, audited: Audited) -> None:
    example.check(audited)


def test_peak_of_mobilenetv2(audited: Audited) -> None:
    """With norms and activations in place: 96 channels at 112 px in, at 56 px out."""
    assert audited("mobilenetv2").memory.inplace_bytes == 4 * 96 * (112**2 + 56**2)


def test_residual_keeps_a_third_tensor_alive(audited: Audited) -> None:
    """Skip, main path and sum; in place the peak is where the last convolution reads 64 channels and writes 256."""
    memory = audited(block).memory
    assert memory.inplace_bytes is not None and memory.live_bytes is not None
    assert memory.live_bytes == 4 * 3 * 256 * 56**2
    assert memory.inplace_bytes == 4 * (2 * 256 + 64) * 56**2


def test_every_row_of_alexnet(audited: Audited) -> None:
    assert [node_out(name)(audited(alexnet)) for name in LISTED][-3:] == [4096, 4096, 1000]
