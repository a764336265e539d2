"""Fully connected layers."""

from __future__ import annotations

from functools import partial

from effaudit.report import ModelReport

from .example import (
    Audited,
    Example,
    each,
    example,
    macs,
    node_elements,
    node_macs,
    node_out,
    node_params,
    params,
    per,
    percent,
    sums,
)
from .layers import linears
from .networks import alexnet

CLASSIFIER = partial(linears, 512, 1000)
SQUARE = partial(linears, 768, 768)
UP = partial(linears, 768, 3072)


def largest(model: ModelReport) -> str:
    """The fully connected layer with most parameters."""
    layer = max((n for n in model.nodes if n.op == "MatMul"), key=lambda n: n.params)
    out = node_elements(layer)
    return f"{layer.params // out}->{out} ({layer.params:,} params)"


def as_many_macs(model: ModelReport) -> bool:
    return macs(model) == params(model)


EXAMPLES = [
    example("s0-005", 20_873_216, "4096 to 4096 to 1000", params, partial(linears, 4096, 4096, 1000)),
    example("s0-011", "9216->4096 (37,748,736 params)", "AlexNet's largest layer", largest, alexnet),
    example("s0-047", 37_748_736, "MACs of AlexNet's first one", node_macs("fc1"), alexnet),
    example("s0-048", 4_096, "its output", node_out("fc1"), alexnet),
    example("s0-050", 16_777_216, "MACs of the second one", node_macs("fc2"), alexnet),
    example("s0-052", 4_096_000, "parameters of the third one", node_params("fc3"), alexnet),
    example("s0-054", 1_000, "its output", node_out("fc3"), alexnet),
    example(
        "s0-060",
        89.45330115553438,
        "the first two among AlexNet's parameters",
        percent(sums(node_params("fc1"), node_params("fc2")), params),
        alexnet,
    ),
    example("s0-099", 512.0, "512 to 1000, in thousands", per(1e3, params), CLASSIFIER),
    example("s0-141", 512_000, "512 to 1000", params, CLASSIFIER),
    example("s0-142", 512.0, "its MACs in thousands", per(1e3, macs), CLASSIFIER),
    example(
        "s0-163",
        590.592,
        "768 to 768 with a bias, in thousands",
        per(1e3, params),
        partial(linears, 768, 768, bias=True),
    ),
    example("s0-164", 589.824, "its MACs in thousands", per(1e3, macs), SQUARE),
    example("s1-011", 2_362_368, "768 to 3072 with a bias", params, partial(linears, 768, 3072, bias=True)),
    example("s1-012", True, "as many MACs as parameters without a bias", as_many_macs, UP),
    example("s3-013", 131_072, "512 to 256", params, partial(linears, 512, 256)),
]


@each(EXAMPLES)
def test_linear(example: Example, audited: Audited) -> None:
    example.check(audited)
