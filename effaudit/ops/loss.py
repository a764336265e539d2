"""Losses."""

from __future__ import annotations

from effaudit.dims import Dim
from effaudit.graph import Shape, Value
from effaudit.ops._inputs import ranked
from effaudit.ops._registry import Cost, cost, shape


def _loss_shape(scores: Value, labels: Value, reduction: str) -> Shape:
    """Per label with reduction "none", else a scalar. Raises ValueError on ranks that do not fit."""
    classes, targets = ranked(scores, "scores"), ranked(labels, "labels")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"reduction {reduction!r} is not one of none, mean, sum")
    if len(classes) < 2 or len(targets) != len(classes) - 1:
        raise ValueError(f"scores of rank {len(classes)} with labels of rank {len(targets)}")
    return targets if reduction == "none" else ()


def _picked(labels: Value, weight: Value | None, reduction: str) -> Dim:
    """Per label: negate, weigh, add up the losses (and for a weighted mean the weights)."""
    sums = 0 if reduction == "none" else 2 if weight is not None and reduction == "mean" else 1
    return labels.numel * (1 + (weight is not None) + sums)


@shape("NegativeLogLikelihoodLoss")
def negative_log_likelihood_loss(
    input: Value, target: Value, weight: Value | None = None, *, reduction: str = "mean"
) -> Value:
    """https://onnx.ai/onnx/operators/onnx__NegativeLogLikelihoodLoss.html"""
    return Value(input.encoding, _loss_shape(input, target, reduction))


@cost("NegativeLogLikelihoodLoss", kind="loss")
def negative_log_likelihood_loss_cost(
    input: Value, target: Value, weight: Value | None = None, *, reduction: str = "mean", out: Value
) -> Cost:
    """ops = numel(target) x (1 (negate) + 1 with weights + 1 to reduce, 2 for a weighted mean)"""
    return Cost(0, _picked(target, weight, reduction))


@shape("SoftmaxCrossEntropyLoss")
def softmax_cross_entropy_loss(
    scores: Value, labels: Value, weights: Value | None = None, *, reduction: str = "mean"
) -> tuple[Value, Value]:
    """https://onnx.ai/onnx/operators/onnx__SoftmaxCrossEntropyLoss.html"""
    made = Value(scores.encoding, _loss_shape(scores, labels, reduction))
    return made, Value(scores.encoding, scores.shape)


@cost("SoftmaxCrossEntropyLoss", kind="loss")
def softmax_cross_entropy_loss_cost(
    scores: Value, labels: Value, weights: Value | None = None, *, reduction: str = "mean"
) -> Cost:
    """ops = numel(scores) x 5 (the log softmax: max; subtract; exp; sum; subtract)
    + numel(labels) x (1 (negate) + 1 with weights + 1 to reduce, 2 for a weighted mean)"""
    return Cost(0, 5 * scores.numel + _picked(labels, weights, reduction))
