"""Longest lived first."""

from __future__ import annotations

from effaudit.plan.offsets._greedy import BOTH, sort
from effaudit.plan.offsets._instance import Instance

FITS = BOTH


def order(compiled: Instance) -> list[int]:
    """By lifetime in steps, then by size."""
    lives = zip(compiled.starts, compiled.ends, strict=True)
    return sort(compiled, [end - start for start, end in lives], compiled.sizes)
