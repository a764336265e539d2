"""In the order of time."""

from __future__ import annotations

from effaudit.plan.offsets._greedy import BOTH, sort
from effaudit.plan.offsets._instance import Instance

FITS = BOTH


def order(compiled: Instance) -> list[int]:
    """By the first step, then by size."""
    return sort(compiled, [-start for start in compiled.starts], compiled.sizes)
