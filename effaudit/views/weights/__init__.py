"""The weights view: what the values of a model's weights are, not only how many there are."""

from __future__ import annotations

from effaudit.views.weights.inspect import inspect
from effaudit.views.weights.types import (
    Apart,
    Channels,
    Duplicate,
    FloatLeft,
    FloatTensor,
    TensorWeights,
    Tied,
    Unread,
    Values,
    WeightsReport,
    WeightTotals,
)

__all__ = [
    "Apart",
    "Channels",
    "Duplicate",
    "FloatLeft",
    "FloatTensor",
    "TensorWeights",
    "Tied",
    "Unread",
    "Values",
    "WeightTotals",
    "WeightsReport",
    "inspect",
]
