"""Losses against runs."""

from __future__ import annotations

import numpy as np
import pytest

from . import oracle
from .oracle import check, random

SHAPES = [(4, 5), (2, 5, 3), (2, 5, 3, 4)]


@pytest.mark.parametrize("op", ["NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"])
@pytest.mark.parametrize("opset", [12, 13])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_losses(op: str, opset: int, reduction: str, weighted: bool, shape: tuple[int, ...]) -> None:
    scores, labels = random(*shape), np.zeros((shape[0], *shape[2:]), np.int64)
    softmax = op == "SoftmaxCrossEntropyLoss"
    inputs = [scores, labels, random(5)] if weighted else [scores, labels]
    graph = check(op, inputs, {"reduction": reduction}, opset=opset, outputs=2 if softmax else 1)
    sums = 0 if reduction == "none" else 2 if weighted and reduction == "mean" else 1
    picked = labels.size * (1 + weighted + sums)
    assert oracle.cost(graph).ops == picked + (5 * scores.size if softmax else 0)


def test_counts_what_a_loop_does() -> None:
    """The weighted mean of negated log likelihoods."""
    labels, ops = np.array([1, 0, 2]), 0
    likelihoods, weights, total, weight = random(3, 4), random(4), 0.0, 0.0
    for row, label in zip(likelihoods, labels, strict=True):
        loss = -row[label] * weights[label]
        total, weight, ops = total + loss, weight + weights[label], ops + 4
    graph = check("NegativeLogLikelihoodLoss", [likelihoods, labels, weights], opset=13)
    assert oracle.cost(graph).ops == ops


def test_newest_version() -> None:
    inputs = [random(4, 5), np.zeros(4, np.int64)]
    check("NegativeLogLikelihoodLoss", inputs, opset=22, run_as=13)


def test_invalid_nodes_are_unknown_with_the_reason() -> None:
    for labels, attrs in ((np.zeros((4, 2), np.int64), {}), (np.zeros(4, np.int64), {"reduction": "max"})):
        model = oracle.single_node("SoftmaxCrossEntropyLoss", [random(4, 5), labels], attrs, opset=13)
        assert oracle.value(oracle.infer(model)).why.startswith("invalid SoftmaxCrossEntropyLoss")
