"""Stacks of 3 x 3 convolutions without padding: what one output sees is what of the input it takes to make one."""

from __future__ import annotations

from functools import partial

from effaudit.report import ModelReport

from .example import Audited, Example, each, example, params, per, side
from .layers import conv, convs

INPUT = 40
CHANNELS = 8


def seen(model: ModelReport) -> int:
    """Input pixels along one side that one output depends on."""
    return INPUT - side(model) + 1


def stack(layers: int) -> partial:  # type: ignore[type-arg]
    return partial(convs, CHANNELS, INPUT, layers, 3, p=0)


EXAMPLES = [
    example("s0-065", 3, "one layer", seen, stack(1)),
    example("s0-066", 5, "two layers", seen, stack(2)),
    example("s0-067", 7, "three layers", seen, stack(3)),
    example("s0-071", 27, "thirteen layers", seen, stack(13)),
    example("s0-072", 117, "their parameters, in squares of the channels", per(CHANNELS**2, params), stack(13)),
    example(
        "s0-073",
        169,
        "a single 13 x 13 layer, in squares of the channels",
        per(CHANNELS**2, params),
        partial(conv, CHANNELS, INPUT, CHANNELS, 13),
    ),
]


@each(EXAMPLES)
def test_receptive_field(example: Example, audited: Audited) -> None:
    example.check(audited)
