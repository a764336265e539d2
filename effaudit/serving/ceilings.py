"""The least time of one run: products at the dense peaks, weights and cache once through the bandwidth
(`effaudit.estimate.bound`).

The roofline (https://doi.org/10.1145/1498765.1498785) of a whole run; for decoding it is weights and cache over
bandwidth (https://arxiv.org/abs/2211.05102).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from effaudit.device.contiguous import total_size
from effaudit.device.peaks import FLOPS_PER_MAC
from effaudit.device.types import Device, Memory
from effaudit.estimate.bound import products_s
from effaudit.estimate.memories import Share, holding, largest_bandwidth, least_from, placed, processor_caches
from effaudit.estimate.rates import engine_of
from effaudit.estimate.types import Kernel
from effaudit.serving.types import Bound, Ceiling

MOST_SEQUENCES: Final = 2**40


class Computing(msgspec.Struct, frozen=True):
    """The products of a run: multiply-accumulates at the least, and their seconds at the peaks of the engine. `seconds`
    is None where no type has a peak, `why` says what has none: it counts nothing."""

    macs: int
    seconds: float | None
    why: str = ""


def computing(device: Device, engine: str, kernels: Iterable[Kernel]) -> Computing:
    """The products of kernels, all on one engine."""
    found = engine_of(device, engine)
    macs, times, missing = 0, [], set()
    for kernel in kernels:
        if not kernel.macs.low:
            continue
        macs += kernel.macs.low
        seconds = None if found is None else products_s(kernel, found)
        if seconds is None:
            missing.add(kernel.dtype)
        else:
            times.append(seconds)
    named = ", ".join(sorted(missing))
    why = f"no peak is known for {named} on {engine}: these MACs bound nothing" if missing else ""
    return Computing(macs, sum(times) if times or not macs else None, why)


def ceiling(device: Device, computed: Computing, weights: int, cache: int, held: tuple[int, int]) -> Ceiling:
    """The ceiling of a run with such products that reads so many bytes of weights and cache; `held` are the bytes of
    the weights and of the cache in all, which say where they lie."""
    compute = computed.seconds
    memory, blind = _memory_seconds(device, weights, cache, held)
    flops = FLOPS_PER_MAC * computed.macs
    why = "; ".join(filter(None, (computed.why, blind)))
    if compute is None and memory is None:
        return Ceiling(flops, weights, cache, None, None, None, "", why)
    bound: Bound = ""
    if compute is not None and memory is not None:
        bound = "compute" if compute >= memory else "bandwidth"
    return Ceiling(flops, weights, cache, compute, memory, max(compute or 0.0, memory or 0.0), bound, why)


def least_seconds(device: Device, computed: Computing, weights: int, cache: int, held: tuple[int, int]) -> float | None:
    """The ceiling where the caches of the processor keep as much as they hold from one run to the next; None where the
    profile states neither peak nor bandwidth."""
    memory, _ = _memory_seconds(device, weights, cache, held, processor_caches(device))
    known = [seconds for seconds in (computed.seconds, memory) if seconds is not None]
    return max(known, default=None)


def _memory_seconds(
    device: Device, weights: int, cache: int, held: tuple[int, int], kept: int = 0
) -> tuple[float | None, str]:
    """(seconds of the bytes, why they say too little): memories work at the same time."""
    bytes_of: dict[str, int] = {}
    memories: dict[str, Memory] = {}
    places = (weights, held[0], placed(device, "weights", held[0])), (cache, held[1], cache_shares(device, held[1]))
    for size, total, shares in places:
        for share in shares:
            name = share.memory.name
            memories[name] = share.memory
            bytes_of[name] = bytes_of.get(name, 0) + least_from(share, size, total)
    speeds = {name: largest_bandwidth(memory) for name, memory in memories.items()}
    missing = sorted(name for name, speed in speeds.items() if not speed and bytes_of[name])
    why = f"no bandwidth is known for {', '.join(missing)}" if missing else ""
    if not memories:
        return None, "the profile names no memory that holds weights"
    times = [max(bytes_of[name] - kept, 0) / speed for name, speed in speeds.items() if speed]
    return (max(times), why) if times else (None, why)


def processor_cache(device: Device, size: int) -> str:
    """The cache of the processor that holds so many bytes from run to run, "" where none is known to."""
    sizes = {m.name: total_size(m) or 0 for m in device.memories if m.kind == "cache"}
    return next((name for name, held in sizes.items() if size <= held), "")


def cache_shares(device: Device, size: int) -> tuple[Share, ...]:
    """Where the cache lies: a memory that may hold one, else where activations do."""
    return placed(device, "kv_cache" if holding(device, "kv_cache") else "activations", size)


def compute_bound_from(
    device: Device, computed: Computing, read: int, weights: int, cache: Callable[[int], int]
) -> int | None:
    """The least batch whose ceiling is that of compute, None where there is none: from the products of one sequence,
    the bytes of weights that are read, those of all weights, and the bytes of the cache by batch.

    Products grow evenly with the batch; what is read per sequence never grows with it, so that from one batch on
    compute is slower.
    """

    def bound(batch: int) -> bool:
        held = cache(batch)
        memory, blind = _memory_seconds(device, read, held, (weights, held))
        if computed.why or blind or computed.seconds is None or memory is None:
            return False
        return computed.seconds * batch >= memory

    if not bound(MOST_SEQUENCES):
        return None
    low, high = 0, MOST_SEQUENCES
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if bound(middle) else (middle, high)
    return high
