"""Largest size times lifetime first."""

from __future__ import annotations

from effaudit.plan.offsets._greedy import BOTH, sort
from effaudit.plan.offsets._instance import Instance

FITS = BOTH


def order(compiled: Instance) -> list[int]:
    """By size times lifetime in steps, then by size."""
    lives = zip(compiled.sizes, compiled.starts, compiled.ends, strict=True)
    return sort(compiled, [size * (end - start) for size, start, end in lives], compiled.sizes)
