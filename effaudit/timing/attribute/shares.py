"""Seconds of an unprofiled run, by kernel: its total, shared out as the profile says."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from typing import Final

from effaudit.run.timed_types import KernelRun

LEAST: Final = 0.1  # the part of a kernel's profiled time that is surely its own


def run_seconds(kernels: Sequence[KernelRun], seconds: float) -> tuple[float, ...]:
    """The seconds of each kernel in an unprofiled inference of `seconds`; they add up to it.

    Profiling lengthens every call by about the same: the profiler takes down shapes and memory while the kernel's clock
    runs. Where the profiled kernels take longer than the whole inference, the excess is taken off every call alike, but
    no kernel loses more than nine tenths; what then remains is scaled to `seconds`. Where they take less, the rest
    passed between kernels and goes to them in proportion.
    """
    profiled = [kernel.seconds for kernel in kernels]
    own = profiled if fsum(profiled) <= seconds else _without(kernels, seconds)
    total = fsum(own)
    if not total:
        return tuple(seconds / len(kernels) for _ in kernels)
    return tuple(seconds * one / total for one in own)


def _without(kernels: Sequence[KernelRun], seconds: float) -> list[float]:
    """The kernels' seconds less the same for every call, so that they add up to `seconds`, or come as near as `LEAST`
    allows."""
    low, high = 0.0, max(kernel.seconds / max(kernel.calls, 1.0) for kernel in kernels)
    for _ in range(60):
        middle = (low + high) / 2
        if fsum(_less(kernel, middle) for kernel in kernels) > seconds:
            low = middle
        else:
            high = middle
    return [_less(kernel, high) for kernel in kernels]


def _less(kernel: KernelRun, per_call: float) -> float:
    return max(kernel.seconds - per_call * kernel.calls, LEAST * kernel.seconds)
