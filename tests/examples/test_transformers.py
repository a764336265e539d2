"""Whole stacks of transformer layers."""

from __future__ import annotations

from functools import partial

from effaudit.report import ModelReport

from .blocks import encoder, gpt2
from .example import Audited, Example, each, example, flops, params, per, ratio
from .layers import linears_beside

LAYERS, WIDTH, TOKENS = 24, 1024, 512
STACK = partial(encoder, LAYERS, WIDTH, 16, TOKENS)
WITH_VOCABULARY = partial(encoder, LAYERS, WIDTH, 16, TOKENS, 30522)
UP_PROJECTIONS = partial(linears_beside, 96, 768, 3072)
MEDIUM = partial(gpt2, 1024, 24, 16, 64)


def embedding(model: ModelReport) -> int:
    (gather,) = (n for n in model.nodes if n.op == "Gather")
    return gather.params


def layers_of_medium(model: ModelReport) -> int:
    """The layers of the network with 354,823,168 parameters."""
    assert params(model) == 354_823_168
    return sum(n.op == "Softmax" for n in model.nodes)


def per_token(model: ModelReport) -> float:
    """FLOPs per token of the weights, in units of layers x width^2."""
    counted = sum(n.macs or 0 for n in model.nodes if n.kind == "gemm")
    return 2 * counted / TOKENS / (LAYERS * WIDTH**2)


EXAMPLES = [
    example("s0-175", 301_989_888, "24 layers of 1024, matrices alone", params, STACK),
    example("s0-177", 31.254528, "an embedding of 30,522, in millions", per(1e6, embedding), WITH_VOCABULARY),
    example("s0-178", 333.244416, "both, in millions", per(1e6, params), WITH_VOCABULARY),
    example("s0-180", 354.823168, "GPT-2 medium, in millions", per(1e6, params), MEDIUM),
    example("s0-186", 335.007449088, "24 layers over 512 tokens, in billions of FLOPs", per(1e9, flops), STACK),
    example(
        "s1-013", 226.787328, "96 layers of 768 to 3072 with biases, in millions", per(1e6, params), UP_PROJECTIONS
    ),
    example("s1-014", 24, "the layers of GPT-2 medium", layers_of_medium, MEDIUM),
    example("s4-002", 24.0, "forward FLOPs per token, in layers x width^2", per_token, STACK),
    example(
        "s4-003",
        0.9927050996414266,
        "embedding and matrices against all of GPT-2 small",
        ratio(params),
        partial(encoder, 12, 768, 12, 64, 50257),
        partial(gpt2, 768, 12, 12, 64),
    ),
]


@each(EXAMPLES)
def test_transformer(example: Example, audited: Audited) -> None:
    example.check(audited)


def test_other_sizes_of_gpt2(audited: Audited) -> None:
    assert params(audited(partial(gpt2, 768, 12, 12, 64))) == 124_439_808
    assert params(audited(partial(gpt2, 1280, 36, 20, 64))) == 774_030_080
    assert params(audited(partial(gpt2, 1600, 48, 25, 64))) == 1_557_611_200
