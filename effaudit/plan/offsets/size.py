"""Largest first (Pisarchyk and Lee 2020, "greedy by size", https://arxiv.org/abs/2001.03288)."""

from __future__ import annotations

from effaudit.plan.offsets._greedy import BOTH, sort
from effaudit.plan.offsets._instance import Instance

FITS = BOTH


def order(compiled: Instance) -> list[int]:
    """By size; equals in the order of the problem."""
    return sort(compiled, compiled.sizes)
