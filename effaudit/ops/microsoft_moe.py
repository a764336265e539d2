"""com.microsoft mixtures of experts: only the chosen experts of every token run.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from effaudit import dims
from effaudit.dims import Dim
from effaudit.graph import Value
from effaudit.ops._inputs import given, need, ranked
from effaudit.ops._registry import MICROSOFT, Cost, cost, numel, shape
from effaudit.ops.microsoft_matmul import activation_ops


class _Experts:
    """The sizes of a mixture of experts: `hidden` and `inner` elements, of which `first` the first product makes."""

    def __init__(self, x: Value, router: Value, fc1: Value, fc3: Value | None, activation: str, fusion: int) -> None:
        lead = ranked(x, "input", 2, 3)
        self.tokens, self.hidden = numel(lead[:-1]), lead[-1]
        self.first = ranked(fc1, "fc1_experts_weights", 3)[1]
        self.fused = activation == "swiglu" and (fusion != 0 or fc3 is None)
        self.inner = dims.floordiv(self.first, 2) if self.fused else self.first
        self.third: Dim = ranked(fc3, "fc3_experts_weights", 3)[1] if fc3 is not None and not self.fused else 0
        self.router = router

    def cost(self, chosen: int, activation: str, biases: tuple[Value | None, Value | None, Value | None]) -> Cost:
        """Of `chosen` experts per token."""
        pairs = self.tokens * chosen
        first, second, third = (given(bias) for bias in biases)
        macs = pairs * self.hidden * (self.first + self.inner + self.third)
        gated = 1 if self.third and activation != "swiglu" else 0
        inside = first * self.first + third * self.third + self.inner * (activation_ops(activation) + gated)
        routing = self.router.numel * (5 + chosen)
        return Cost(macs, pairs * (inside + self.hidden * (second + 2)) + routing)


@shape("MoE", domain=MICROSOFT)
def moe(
    input: Value,
    router_probs: Value,
    fc1_experts_weights: Value,
    fc1_experts_bias: Value | None = None,
    fc2_experts_weights: Value | None = None,
    fc2_experts_bias: Value | None = None,
    fc3_experts_weights: Value | None = None,
    fc3_experts_bias: Value | None = None,
    *,
    activation_alpha: float = 1.0,
    activation_beta: float = 0.0,
    activation_type: str = "relu",
    k: int = 1,
    normalize_routing_weights: int = 0,
    swiglu_fusion: int = 0,
    swiglu_limit: float | None = None,
    use_sparse_mixer: int = 0,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MoE"""
    need(fc2_experts_weights, "fc2_experts_weights")
    return Value(input.encoding, ranked(input, "input", 2, 3))


@cost("MoE", domain=MICROSOFT, kind="gemm")
def moe_cost(
    input: Value,
    router_probs: Value,
    fc1_experts_weights: Value,
    fc1_experts_bias: Value | None = None,
    fc2_experts_weights: Value | None = None,
    fc2_experts_bias: Value | None = None,
    fc3_experts_weights: Value | None = None,
    fc3_experts_bias: Value | None = None,
    *,
    activation_type: str = "relu",
    k: int = 1,
    swiglu_fusion: int = 0,
    out: Value,
) -> Cost:
    """macs = tokens x k x hidden x (rows of FC1 + inner + rows of FC3): only the k chosen experts run;
    ops = tokens x k x (biases, activation per inner element, 2 per hidden element to weigh and add up),
    + numel(router_probs) x (5 softmax + k comparisons)"""
    e = _Experts(input, router_probs, fc1_experts_weights, fc3_experts_weights, activation_type, swiglu_fusion)
    return e.cost(k, activation_type, (fc1_experts_bias, fc2_experts_bias, fc3_experts_bias))


@shape("QMoE", domain=MICROSOFT)
def qmoe(
    input: Value,
    router_probs: Value,
    fc1_experts_weights: Value,
    fc1_scales: Value | None = None,
    fc1_experts_bias: Value | None = None,
    fc2_experts_weights: Value | None = None,
    fc2_scales: Value | None = None,
    fc2_experts_bias: Value | None = None,
    fc3_experts_weights: Value | None = None,
    fc3_scales: Value | None = None,
    fc3_experts_bias: Value | None = None,
    fc1_zero_points: Value | None = None,
    fc2_zero_points: Value | None = None,
    fc3_zero_points: Value | None = None,
    router_weights: Value | None = None,
    fc1_global_scale: Value | None = None,
    fc2_global_scale: Value | None = None,
    fc1_act_scale: Value | None = None,
    fc2_act_scale: Value | None = None,
    fc1_act_block_scale: Value | None = None,
    fc2_act_block_scale: Value | None = None,
    *,
    accuracy_level: int = 0,
    activation_alpha: float = 1.0,
    activation_beta: float = 0.0,
    activation_type: str = "relu",
    block_size: int = 0,
    expert_weight_bits: int = 4,
    fc1_expert_weight_bits: int | None = None,
    fc2_expert_weight_bits: int | None = None,
    fc3_expert_weight_bits: int | None = None,
    k: int = 1,
    normalize_routing_weights: int = 0,
    quant_type: str = "int",
    swiglu_fusion: int = 0,
    swiglu_limit: float | None = None,
    use_sparse_mixer: int = 0,
    weights_prepacked: int = -1,
) -> Value:
    """https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.QMoE"""
    return Value(input.encoding, ranked(input, "input", 2, 3))


@cost("QMoE", domain=MICROSOFT, kind="gemm")
def qmoe_cost(
    input: Value,
    router_probs: Value,
    fc1_experts_weights: Value,
    fc1_scales: Value | None = None,
    fc1_experts_bias: Value | None = None,
    fc2_experts_weights: Value | None = None,
    fc2_scales: Value | None = None,
    fc2_experts_bias: Value | None = None,
    fc3_experts_weights: Value | None = None,
    fc3_scales: Value | None = None,
    fc3_experts_bias: Value | None = None,
    *rest: Value | None,
    activation_type: str = "relu",
    k: int = 1,
    swiglu_fusion: int = 0,
    out: Value,
) -> Cost:
    """macs = tokens x k x hidden x (rows of FC1 + inner + rows of FC3): only the k chosen experts run;
    ops = as of MoE; how many experts' weights are dequantized depends on the routing and is left out"""
    e = _Experts(input, router_probs, fc1_experts_weights, fc3_experts_weights, activation_type, swiglu_fusion)
    return e.cost(k, activation_type, (fc1_experts_bias, fc2_experts_bias, fc3_experts_bias))
