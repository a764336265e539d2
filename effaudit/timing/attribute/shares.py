"""Seconds of an unprofiled run, by kernel: its total, shared out as the profile says."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from typing import Final

from effaudit.run.timed_types import KernelRun

LEAST: Final = 0.02  # the part of a profiled time that a kernel keeps at least: none took no time


def run_seconds(
    kernels: Sequence[KernelRun], seconds: float, inner_calls: Sequence[float] | None = None
) -> tuple[float, ...]:
    """The seconds of each kernel in an unprofiled inference of `seconds`; they add up to it.

    Profiling lengthens every call by about the same: the profiler takes down shapes and memory while the kernel's clock
    runs, and as long again after it, on the clock of the kernel whose body it runs in. Where the profiled kernels take
    longer than the whole inference, the excess is taken off every call alike, but no kernel loses more than 98 %;
    what then remains is scaled to `seconds`. Where they take less, the rest passed between kernels and goes to
    them in proportion. `inner_calls` are, for each kernel, those of the kernels in its bodies.
    """
    calls = [kernel.calls + inner for kernel, inner in zip(kernels, inner_calls or [0.0] * len(kernels), strict=True)]
    own = [kernel.seconds for kernel in kernels]
    if fsum(own) > seconds:
        own = _without(own, calls, seconds)
    total = fsum(own)
    if not total:
        return tuple(seconds / len(kernels) for _ in kernels)
    return tuple(seconds * one / total for one in own)


def _without(profiled: Sequence[float], calls: Sequence[float], seconds: float) -> list[float]:
    """The kernels' seconds less the same for every call, so that they add up to `seconds`, or come as near as `LEAST`
    allows."""

    def less(per_call: float) -> list[float]:
        pairs = zip(profiled, calls, strict=True)
        return [max(time - per_call * times, LEAST * time) for time, times in pairs]

    low, high = 0.0, max(profiled)
    for _ in range(60):
        middle = (low + high) / 2
        if fsum(less(middle)) > seconds:
            low = middle
        else:
            high = middle
    return less(high)
