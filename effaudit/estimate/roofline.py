"""The roofline: what bounds each kernel, how far below the ridge it lies, and what rate it can reach.

Williams, Waterman, Patterson: https://doi.org/10.1145/1498765.1498785. Intensity is FLOP (2 x MACs + other operations)
per byte read or written, weights included; the ridge is the dense peak of the kernel's element type over the bandwidth
of the memory that holds the activations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from effaudit.device.peaks import FLOPS_PER_MAC, dense_flop_per_s, ridge
from effaudit.device.types import Device, Memory
from effaudit.estimate.rates import engine_of
from effaudit.estimate.types import Kernel, Latency, Timed

Regime = Literal["compute", "memory"]


class Ridge(msgspec.Struct, frozen=True):
    """The corner of the roofline of one element type: `flop_per_byte` = `peak_flop_per_s` / `bandwidth_byte_per_s`."""

    engine: str
    dtype: str
    memory: str
    peak_flop_per_s: float
    bandwidth_byte_per_s: float
    flop_per_byte: float


class Point(msgspec.Struct, frozen=True):
    """A kernel on the roofline. `attainable_flop_per_s` = min(peak, intensity x bandwidth); `below_ridge` is ridge /
    intensity where that is more than 1, else None. None where the profile does not tell."""

    node: str
    op: str
    dtype: str
    flops: int
    bytes: int
    intensity: float | None
    regime: Regime | None
    attainable_flop_per_s: float | None
    below_ridge: float | None


class Roofline(msgspec.Struct, frozen=True):
    """`memory_share` is the share of the estimated time in kernels that bytes bound, `overhead_share` of that in which
    launches do; None where times are not known. `intensity` is of the whole model."""

    ridges: tuple[Ridge, ...]
    points: tuple[Point, ...]
    intensity: float | None
    memory_share: float | None
    overhead_share: float | None


def regime(intensity: float, ridge_flop_per_byte: float) -> Regime:
    """At or above the ridge a kernel is bound by compute."""
    return "compute" if intensity >= ridge_flop_per_byte else "memory"


def ridges(device: Device, memory: Memory | None = None) -> tuple[Ridge, ...]:
    """One for every element type of every engine, with the memory named or every one that holds activations."""
    memories = [memory] if memory is not None else [m for m in device.memories if "activations" in m.holds]
    found = []
    for engine in device.engines:
        for dtype in engine.peaks:
            for one in memories:
                corner, peak = ridge(engine, dtype, one), dense_flop_per_s(engine, dtype)
                if corner is not None and peak is not None:
                    found.append(Ridge(engine.name, dtype, one.name, peak, peak / corner, corner))
    return tuple(found)


def roofline(device: Device, latency: Latency, memory: Memory | None) -> Roofline:
    """Every kernel of an estimate on the roofline of the engine it runs on."""
    points = tuple(_point(device, timed, memory) for timed in latency.kernels)
    used = {(timed.engine, timed.kernel.dtype) for timed in latency.kernels}
    corners = tuple(r for r in ridges(device, memory) if (r.engine, r.dtype) in used) if memory is not None else ()
    flops, moved = sum(p.flops for p in points), sum(p.bytes for p in points)
    return Roofline(
        ridges=corners,
        points=points,
        intensity=flops / moved if moved else None,
        memory_share=_share(latency.kernels, "memory"),
        overhead_share=_share(latency.kernels, "overhead"),
    )


def flops_of(kernel: Kernel) -> int:
    """2 x MACs + other operations, at the least."""
    return FLOPS_PER_MAC * kernel.macs.low + kernel.ops.low


def _point(device: Device, timed: Timed, memory: Memory | None) -> Point:
    kernel, engine = timed.kernel, engine_of(device, timed.engine)
    flops, moved = flops_of(kernel), kernel.moved.low
    intensity = flops / moved if moved else None
    corner = None if engine is None or memory is None else ridge(engine, kernel.dtype, memory)
    peak = None if engine is None else dense_flop_per_s(engine, kernel.dtype)
    if intensity is None or corner is None or peak is None:
        return Point(kernel.node, kernel.op, kernel.dtype, flops, moved, intensity, None, None, None)
    return Point(
        node=kernel.node,
        op=kernel.op,
        dtype=kernel.dtype,
        flops=flops,
        bytes=moved,
        intensity=intensity,
        regime=regime(intensity, corner),
        attainable_flop_per_s=min(peak, intensity * peak / corner),
        below_ridge=corner / intensity if 0 < intensity < corner else None,
    )


def _share(kernels: Sequence[Timed], limiter: str) -> float | None:
    times = [one.seconds for one in kernels]
    total = sum(time for time in times if time is not None)
    if None in times or not total:
        return None
    return sum(one.seconds or 0.0 for one in kernels if one.limiter == limiter) / total
