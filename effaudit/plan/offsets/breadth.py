"""Busiest step first (Pisarchyk and Lee 2020, "greedy by breadth", https://arxiv.org/abs/2001.03288)."""

from __future__ import annotations

from effaudit.plan.offsets._greedy import BOTH, sort
from effaudit.plan.offsets._instance import Instance

FITS = BOTH


def order(compiled: Instance) -> list[int]:
    """By the most bytes alive while a buffer is, then by size."""
    return sort(compiled, compiled.peaks, compiled.sizes)
