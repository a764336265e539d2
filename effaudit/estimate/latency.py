"""Kernels on a device -> seconds: per inference + the sum over kernels of max(compute, memory) + per kernel.

The roofline of Williams, Waterman and Patterson (https://doi.org/10.1145/1498765.1498785) per kernel, with efficiency
by class of operator and what a launch costs; which numbers were fitted to which measurements stands in the profile.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from effaudit.device.types import Performance, PredictionError
from effaudit.estimate.bound import lower_bound
from effaudit.estimate.costs import cost_of
from effaudit.estimate.rates import Speed, engine_of, known, ranged, value
from effaudit.estimate.setting import Setting, setting
from effaudit.estimate.timing import timed
from effaudit.estimate.types import Kernel, Latency, Seconds, Timed

ENDS: Final[tuple[Speed, ...]] = ("fastest", "slowest")

__all__ = ["Setting", "latency", "main_dtype", "setting"]


def latency(kernels: Sequence[Kernel], where: Setting) -> Latency:
    """How long one inference takes. Of kernels whose work is a range the most counts; the least bounds it below."""
    kernels = [where.computed(kernel) for kernel in kernels]
    main = main_dtype(kernels)
    found = _moving(_total(kernels, where, main), where)
    if all(kernel.exact for kernel in kernels):
        return found
    least = _total([kernel.least for kernel in kernels], where, main).total
    low = min(least.low, found.total.low)
    open_ended = any(kernel.macs.high is None or kernel.moved.high is None for kernel in kernels)
    total = msgspec.structs.replace(found.total, low=low, high=None if open_ended else found.total.high)
    return msgspec.structs.replace(found, total=total)


def _moving(found: Latency, where: Setting) -> Latency:
    """Open upwards where tensors cross between engines at a speed that nobody states."""
    if not where.transfer_why:
        return found
    total = msgspec.structs.replace(found.total, high=None, basis=f"{found.total.basis}; {where.transfer_why}")
    return msgspec.structs.replace(found, total=total)


def main_dtype(kernels: Sequence[Kernel]) -> str:
    """The element type of most multiply-accumulates; "" where there are none."""
    macs: dict[str, int] = {}
    for kernel in kernels:
        if kernel.macs.low:
            macs[kernel.dtype] = macs.get(kernel.dtype, 0) + kernel.macs.low
    return max(macs, key=lambda dtype: macs[dtype], default="")


def _total(kernels: Sequence[Kernel], where: Setting, main: str) -> Latency:
    every = tuple(timed(kernel, where, main) for kernel in kernels)
    used = _used(every, where, main)
    beside = max((_per_inference(entry, where) for entry in used), default=0.0)
    beside += max(
        (where.renaming * value(e.per_kernel_s) for e in used if e.costs and known(e.per_kernel_s)), default=0
    )
    notes, least = _notes(every), lower_bound(kernels, where)
    unknown = [one for one in every if one.seconds is None]
    if unknown or not every:
        return Latency(_bound(least, unknown, every, where), beside, where.transfer_s, every, notes)
    fixed = beside + where.transfer_s
    total = fixed + _sum(every)
    errors = [entry.prediction_error for entry in used]
    if errors and all(errors):
        return Latency(_fitted(total, least, [e for e in errors if e]), beside, where.transfer_s, every, notes)
    bounded = all(e.prediction_error or (ranged(e) and not e.costs) for e in used)
    ends = [_ends(one, where, main) for one in every] if bounded else None
    slowest = None if ends is None else fixed + sum(slow for _, slow in ends)
    fastest = None if ends is None else fixed + sum(fast for fast, _ in ends)
    return Latency(_stated(total, least, fastest, slowest), beside, where.transfer_s, every, notes)


def _ends(one: Timed, where: Setting, main: str) -> tuple[float, float]:
    """(least, most) seconds of a kernel: by the error of its entry where that was measured, else by its ranges."""
    entry, seconds = _entry(one, where, main), one.seconds or 0.0
    if entry is not None and entry.prediction_error is not None:
        factor = value(entry.prediction_error.interval_factor)
        return seconds / factor, seconds * factor
    fast, slow = (timed(one.kernel, where, main, speed).seconds for speed in ENDS)
    return fast or 0.0, slow or 0.0


def _sum(every: Iterable[Timed]) -> float:
    return sum(one.seconds for one in every if one.seconds is not None)


def _per_inference(entry: Performance, where: Setting) -> float:
    seconds = value(entry.per_inference_s) if known(entry.per_inference_s) else 0.0
    engine = engine_of(where.device, entry.engine)
    if engine is not None and known(entry.per_inference_cycles) and known(engine.clock_hz):
        seconds += value(entry.per_inference_cycles) / value(engine.clock_hz)
    return seconds


def _used(timed: Sequence[Timed], where: Setting, main: str) -> list[Performance]:
    """The entries that kernels ran by, each once."""
    found: list[Performance] = []
    for one in timed:
        entry = _entry(one, where, main)
        if entry is not None and entry not in found:
            found.append(entry)
    return found


def _entry(one: Timed, where: Setting, main: str) -> Performance | None:
    """The entry that a kernel ran by. An error that was measured of costs says nothing of the rates beside them: of
    those none is known."""
    pair = None if one.kernel.macs.high is None else cost_of(where, one.engine, one.kernel, main)
    if pair is not None:
        return pair[0]
    entry = where.entry(one.engine, one.kernel, main)
    if entry is None or not entry.costs:
        return entry
    return msgspec.structs.replace(entry, costs=(), prediction_error=None)


def _fitted(total: float, least: float, errors: Sequence[PredictionError]) -> Seconds:
    """The interval that held for boards whose measurements were not seen; of several entries the widest. It does not
    reach below what the peaks allow."""
    worst = max(errors, key=lambda error: value(error.interval_factor))
    factor, share = value(worst.interval_factor), value(worst.coverage_ratio)
    basis = f"efficiency fitted to {worst.dataset}; {share:.0%} of unseen measurements lie within a factor {factor:.3g}"
    return Seconds(total, max(total / factor, min(least, total)), total * factor, basis)


def _stated(total: float, least: float, fastest: float | None, slowest: float | None) -> Seconds:
    """Rates of the profile whose error nobody measured: bounded by their ranges where it states such."""
    if fastest is None or slowest is None:
        return Seconds(total, min(least, total), None, "efficiency of the profile, whose error is not known")
    basis = "efficiency of the profile, between the ends that it states"
    return Seconds(total, max(min(least, total), min(fastest, total)), max(slowest, total), basis)


def _bound(least: float, unknown: Sequence[Timed], every: Sequence[Timed], where: Setting) -> Seconds:
    if not every:
        return Seconds(None, 0.0, None, "no kernel runs")
    names = sorted({f"{one.kernel.dtype} on {one.engine}" for one in unknown})
    why = f"no efficiency is known for {', '.join(names[:3])} under {where.runtime.name}"
    count = f"{len(unknown)} of {len(every)} kernels"
    return Seconds(None, least, None, f"lower bound: products at the peak, weights read once; {why} ({count})")


def _notes(timed: Sequence[Timed]) -> tuple[str, ...]:
    notes = []
    blind = sum(one.memory_s is None for one in timed)
    if blind:
        notes.append(f"no bandwidth is known for the memories of {blind} kernels: their bytes bound nothing")
    return tuple(notes)
