"""Operations per byte: of everything a node moves, and of its weights alone."""

from __future__ import annotations

from functools import partial

from onnx import ModelProto

from effaudit.report import ModelReport

from .example import Audited, Example, each, example, per, ratio
from .graphs import FLOAT16, Net
from .layers import conv

N = 4096


def moved(model: ModelReport) -> float:
    """FLOPs per byte read and written."""
    assert model.totals.intensity is not None
    return model.totals.intensity


def weights_alone(model: ModelReport) -> float:
    """FLOPs per byte of weights."""
    assert model.totals.weight_intensity is not None
    return model.totals.weight_intensity


def linear(tokens: int, cin: int, cout: int, dtype: int = FLOAT16) -> ModelProto:
    net = Net(dtype)
    return net.model(net.linear(net.input(tokens, cin), cout))


def square() -> ModelProto:
    """A product of two activations, N x N each, in float32."""
    net = Net()
    return net.model(net.matmul(net.input(N, N), net.input(N, N)))


HALF_CONV = partial(conv, 64, 56, 128, 3, dtype=FLOAT16)
EXAMPLES = [
    example(
        "s0-192", round(342.1090909090909, 4), "64 -> 128, 3x3, 56x56 in 16 bits, everything moved", moved, HALF_CONV
    ),
    example("s0-192w", 3136.0, "the same over its weights alone", weights_alone, HALF_CONV),
    example(
        "s0-193",
        0.5,
        "one token in 16 bits: MACs per byte of weights",
        per(2, weights_alone),
        partial(linear, 1, 768, 768),
    ),
    example(
        "s1-050",
        2.0,
        "four tokens in 16 bits: MACs per byte of weights",
        per(2, weights_alone),
        partial(linear, 4, 4096, 4096),
    ),
    example("s1-054", 32.0, "64 tokens", per(2, weights_alone), partial(linear, 64, 4096, 4096)),
    example("s2-051", round(N / 6, 4), "a square product in float32: N/6 FLOPs per byte", moved, square),
    example(
        "s2-052",
        round(2 * 1.123387995542111, 4),
        "a depthwise 3x3 of 256 channels in float32",
        moved,
        partial(conv, 256, 56, 256, 3, g=256),
    ),
]


@each(EXAMPLES)
def test_intensity(example: Example, audited: Audited) -> None:
    example.check(audited)


def test_a_rectifier_moves_more_than_it_does(audited: Audited) -> None:
    """s1-063: one operation per 8 bytes in float32, 4 in 16 bits."""

    def relu(dtype: int) -> ModelProto:
        net = Net(dtype)
        return net.model(net.relu(net.input(1, 1024)))

    assert moved(audited(partial(relu, FLOAT16))) == 0.25


def test_batching_reuses_the_weights(audited: Audited) -> None:
    """Sixteen times the tokens, sixteen times the operations per byte of weights."""
    many, one = partial(linear, 16, 4096, 4096), partial(linear, 1, 4096, 4096)
    assert ratio(weights_alone)(audited(many), audited(one)) == 16
