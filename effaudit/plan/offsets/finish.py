"""Against the order of time."""

from __future__ import annotations

from effaudit.plan.offsets._greedy import BOTH, sort
from effaudit.plan.offsets._instance import Instance

FITS = BOTH


def order(compiled: Instance) -> list[int]:
    """By the last step, latest first, then by size."""
    return sort(compiled, compiled.ends, compiled.sizes)
