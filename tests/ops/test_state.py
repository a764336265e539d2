"""Operators with state, against their specification (no runtime has them yet)."""

from __future__ import annotations

import pytest

from . import oracle
from .oracle import check, random

X, W = random(2, 6, 9), random(6, 1, 4)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("past", [False, True])
@pytest.mark.parametrize(("activation", "extra"), [("none", 0), ("silu", 2), ("swish", 2)])
def test_causal_conv_with_state(bias: bool, past: bool, activation: str, extra: int) -> None:
    inputs = [X, W, random(6) if bias else None, random(2, 6, 3) if past else None]
    expected = [X, random(2, 6, 3)]
    attrs = {"activation": activation}
    graph = check("CausalConvWithState", inputs, attrs, opset=27, outputs=2, constant=[1], expected=expected)
    cost = oracle.cost(graph)
    assert (cost.macs, cost.ops) == (X.size * 4, X.size * (extra + bias))


def test_macs_are_those_of_the_convolution_it_replaces() -> None:
    fused = check("CausalConvWithState", [X, W], opset=27, outputs=2, expected=[X, random(2, 6, 3)])
    plain = check("Conv", [X, W], {"group": 6, "pads": [3, 0]}, opset=22)
    assert oracle.cost(fused).macs == oracle.cost(plain).macs


def test_invalid_nodes_are_unknown_with_the_reason() -> None:
    for weight in (random(5, 1, 4), random(6, 2, 4), random(6, 4)):
        graph = oracle.infer(oracle.single_node("CausalConvWithState", [X, weight], opset=27, outputs=2))
        assert oracle.value(graph).why.startswith("invalid CausalConvWithState")
