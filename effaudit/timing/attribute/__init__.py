"""Kernels that ran -> nodes of the model: regions between the tensors that both graphs have."""

from __future__ import annotations

from effaudit.timing.attribute.mapping import attribute
from effaudit.timing.attribute.shares import run_seconds
from effaudit.timing.attribute.split import parts
from effaudit.timing.attribute.times import AttributedTimes, attributed_times, optimized_graph
from effaudit.timing.attribute.types import Attributed, Role

__all__ = [
    "Attributed",
    "AttributedTimes",
    "Role",
    "attribute",
    "attributed_times",
    "optimized_graph",
    "parts",
    "run_seconds",
]
