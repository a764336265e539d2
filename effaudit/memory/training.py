"""An estimate of what training keeps: an inference graph has no backward pass to measure."""

from __future__ import annotations

from fractions import Fraction

import msgspec

from effaudit.audited import Audited
from effaudit.memory.planned import Planned
from effaudit.weights import PARAM


class TrainingReport(msgspec.Struct, frozen=True):
    """An estimate, of what a plain training step keeps: every activation until the backward pass has used it, and a
    gradient for every weight. With sparse updates (https://arxiv.org/abs/2206.15472) only a `fraction` of both is.

    `activation_bytes` are all activations (`sum_bytes`), `kept_bytes` the fraction of them, `gradient_bytes` that of
    the weights; `training_bytes` adds up weights, gradients and kept activations. Optimizer state (one or two more
    values per weight) and kernel workspaces are not in it. `estimate` is always true.
    """

    fraction: str
    activation_bytes: int | None
    kept_bytes: int | None
    weight_bytes: int
    gradient_bytes: int
    training_bytes: int | None
    estimate: bool = True


def training(audited: Audited, made: Planned, fraction: Fraction) -> TrainingReport:
    """The estimate for a plan; the weights are those of the file."""
    activations = made.liveness.sum_bytes.value
    weights = audited.weights.bytes_of(PARAM)
    gradients = _part(weights, fraction)
    kept = None if activations is None else _part(activations, fraction)
    return TrainingReport(
        fraction=str(fraction),
        activation_bytes=activations,
        kept_bytes=kept,
        weight_bytes=weights,
        gradient_bytes=gradients,
        training_bytes=None if kept is None else kept + weights + gradients,
    )


def _part(size: int, fraction: Fraction) -> int:
    """A fraction of bytes, rounded up."""
    return -(-size * fraction.numerator // fraction.denominator)
