"""Operators that carry state from one call to the next."""

from __future__ import annotations

from typing import Any

from effaudit.graph import Value
from effaudit.ops._inputs import agreed, ranked
from effaudit.ops._registry import Cost, cost, shape


@shape("CausalConvWithState")
def causal_conv_with_state(
    input: Value, weight: Value, bias: Value | None = None, past_state: Value | None = None
) -> tuple[Value, Value]:
    """https://onnx.ai/onnx/operators/onnx__CausalConvWithState.html"""
    batch, channels, _ = ranked(input, "input", 3)
    filters, per_group, kernel = ranked(weight, "weight", 3)
    agreed("channels / group", per_group, 1)
    agreed("channels", channels, filters)
    return Value(input.encoding, input.shape), Value(input.encoding, (batch, channels, kernel - 1))


@cost("CausalConvWithState", kind="depthwise")
def causal_conv_with_state_cost(
    input: Value, weight: Value, bias: Value | None = None, *rest: Any, activation: str = "none"
) -> Cost:
    """macs = numel(input) x kernel; ops = numel(input) for a bias + numel(input) x 2 for silu (sigmoid; multiply)"""
    assert weight.shape is not None
    extra = (bias is not None) + (0 if activation == "none" else 2)
    return Cost(input.numel * weight.shape[2], input.numel * extra)
