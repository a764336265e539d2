"""The roofline: what bounds each kernel at the peaks, how far below the ridge it lies, and what rate it can reach.

Williams, Waterman, Patterson: https://doi.org/10.1145/1498765.1498785. Intensity is FLOP (2 x MACs + other operations)
per byte read or written, weights included; the ridge is the dense peak of the kernel's element type over a memory's
bandwidth. Where weights and activations lie in memories of their own, these work at the same time: the one that takes
longest bounds the kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from effaudit.device.peaks import FLOPS_PER_MAC, dense_flop_per_s, ridge
from effaudit.device.types import Device, Memory
from effaudit.estimate.rates import engine_of
from effaudit.estimate.setting import Setting
from effaudit.estimate.timing import memory_time
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
    """A kernel on the roofline. `attainable_flop_per_s` is what the peak and the bandwidths allow; `below_ridge` is how
    many times its bytes take what its operations do, None of a compute-bound one. `memory` is the one that bounds it.
    None where the profile does not tell."""

    node: str
    op: str
    dtype: str
    flops: int
    bytes: int
    intensity: float | None
    regime: Regime | None
    attainable_flop_per_s: float | None
    below_ridge: float | None
    memory: str


class Roofline(msgspec.Struct, frozen=True):
    """`regime` is that of the whole model: whether its kernels' bytes or operations take longer in all, at the peaks.

    The shares are of the estimated time: of arithmetic in kernels that it bounds, of bytes in those that they bound
    (`memories` by the memory), of launches; None where times are not known. `intensity` is of the whole model.
    """

    ridges: tuple[Ridge, ...]
    points: tuple[Point, ...]
    intensity: float | None
    regime: Regime | None
    compute_share: float | None
    memory_share: float | None
    overhead_share: float | None
    memories: dict[str, float]


def regime(intensity: float, ridge_flop_per_byte: float) -> Regime:
    """At or above the ridge a kernel is bound by compute."""
    return "compute" if intensity >= ridge_flop_per_byte else "memory"


def ridges(device: Device, memories: Sequence[Memory] | None = None) -> tuple[Ridge, ...]:
    """One for every element type of every engine, with each of the memories (None: those that hold activations)."""
    wanted = [m for m in device.memories if "activations" in m.holds] if memories is None else memories
    found = []
    for engine in device.engines:
        for dtype in engine.peaks:
            for one in wanted:
                corner, peak = ridge(engine, dtype, one), dense_flop_per_s(engine, dtype)
                if corner is not None and peak is not None:
                    found.append(Ridge(engine.name, dtype, one.name, peak, peak / corner, corner))
    return tuple(found)


def roofline(latency: Latency, where: Setting) -> Roofline:
    """Every kernel of an estimate on the roofline of the engine it runs on."""
    points = tuple(_point(timed, where) for timed in latency.kernels)
    used = {(timed.engine, timed.kernel.dtype) for timed in latency.kernels}
    corners = tuple(r for r in ridges(where.device, _memories(where)) if (r.engine, r.dtype) in used)
    flops, moved = sum(p.flops for p in points), sum(p.bytes for p in points)
    shares, memories = _shares(latency)
    return Roofline(
        ridges=corners,
        points=points,
        intensity=flops / moved if moved else None,
        regime=_whole(latency.kernels, where),
        compute_share=shares.get("compute"),
        memory_share=shares.get("memory"),
        overhead_share=shares.get("overhead"),
        memories=memories,
    )


def flops_of(kernel: Kernel) -> int:
    """2 x MACs + other operations, at the least."""
    return FLOPS_PER_MAC * kernel.macs.low + kernel.ops.low


def _memories(where: Setting) -> list[Memory]:
    """Where activations and weights lie, each once."""
    every = [*([where.activations] if where.activations is not None else []), *(s.memory for s in where.weights)]
    return list({memory.name: memory for memory in every}.values())


def _point(timed: Timed, where: Setting) -> Point:
    kernel, flops, moved = timed.kernel, flops_of(timed.kernel), timed.kernel.moved.low
    intensity = flops / moved if moved else None
    compute, memory, name = _at_the_peaks(timed, where)
    if compute is None or memory is None or intensity is None:
        return Point(kernel.node, kernel.op, kernel.dtype, flops, moved, intensity, None, None, None, name)
    bound: Regime = "compute" if compute >= memory else "memory"
    longest = max(compute, memory)
    return Point(
        node=kernel.node,
        op=kernel.op,
        dtype=kernel.dtype,
        flops=flops,
        bytes=moved,
        intensity=intensity,
        regime=bound,
        attainable_flop_per_s=flops / longest if longest else None,
        below_ridge=memory / compute if bound == "memory" and compute else None,
        memory=name,
    )


def _at_the_peaks(timed: Timed, where: Setting) -> tuple[float | None, float | None, str]:
    """(seconds of the operations at the dense peak, of the bytes at the full bandwidth, the memory that takes them)."""
    engine = engine_of(where.device, timed.engine)
    peak = None if engine is None else dense_flop_per_s(engine, timed.kernel.dtype)
    memory, name = memory_time(timed.kernel, where, 1.0, 1.0)
    return (flops_of(timed.kernel) / peak if peak else None), memory, name


def _whole(kernels: Sequence[Timed], where: Setting) -> Regime | None:
    found = [_at_the_peaks(timed, where) for timed in kernels]
    computes, memories = [c for c, _, _ in found if c is not None], [m for _, m, _ in found if m is not None]
    if not computes or not memories:
        return None
    return "compute" if sum(computes) >= sum(memories) else "memory"


def _shares(latency: Latency) -> tuple[dict[str, float], dict[str, float]]:
    """(what the time goes to, what of it goes to each memory); empty where a time is not known."""
    kernels = latency.kernels
    total = sum(one.seconds for one in kernels if one.seconds is not None)
    if not total or any(one.seconds is None for one in kernels):
        return {}, {}
    shares = {"compute": 0.0, "memory": 0.0, "overhead": 0.0}
    memories: dict[str, float] = {}
    for one in kernels:
        compute, memory = one.compute_s or 0.0, one.memory_s or 0.0
        shares["overhead"] += (one.overhead_s or 0.0) / total
        if memory > compute:
            shares["memory"] += memory / total
            memories[one.memory] = memories.get(one.memory, 0.0) + memory / total
        else:
            shares["compute"] += compute / total
    return shares, memories
