"""The least time of one run: multiply-accumulates at the dense peaks, weights and cache once through the bandwidth.

The roofline (https://doi.org/10.1145/1498765.1498785) of a whole run; for decoding it is weights and cache over
bandwidth (https://arxiv.org/abs/2211.05102).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Final

import msgspec

from effaudit.device.contiguous import total_size
from effaudit.device.peaks import FLOPS_PER_MAC, dense_flop_per_s
from effaudit.device.types import Device, Memory
from effaudit.estimate.memories import Share, bandwidth, holding, placed
from effaudit.estimate.rates import engine_of
from effaudit.estimate.types import Kernel
from effaudit.graph import Graph
from effaudit.serving.types import Bound, Ceiling

MOST_SEQUENCES: Final = 2**40


class Reading(msgspec.Struct, frozen=True):
    """Bytes of constants that a run reads at least: `whole` of those that are read in full, each once however many
    kernels read it, and of every table that is looked up (the rows taken, all rows)."""

    whole: int
    rows: tuple[tuple[int, int], ...]

    def at(self, times: int = 1) -> int:
        """What a run of as many times the sequences reads: as many times the rows, but no more than there are."""
        return self.whole + sum(min(times * taken, every) for taken, every in self.rows)


def reading(graph: Graph, kernels: Iterable[Kernel]) -> Reading:
    """What a run reads of its constants."""
    whole: set[str] = set()
    parts: list[tuple[frozenset[str], int]] = []
    for kernel in kernels:
        node = graph.nodes[kernel.index]
        names = frozenset(name for name in node.inputs if name in graph.constants)
        held = kernel.weight_bytes.low
        if held >= sum(graph.constants[name].nbytes for name in names):
            whole |= names
        elif held:
            parts.append((names, held))
    rows = [(taken, _size(graph, names)) for names, taken in parts if not names & whole]
    return Reading(_size(graph, whole), tuple(rows))


def _size(graph: Graph, names: Iterable[str]) -> int:
    return sum(graph.constants[name].nbytes for name in names)


def macs_by_type(kernels: Iterable[Kernel]) -> dict[str, int]:
    """Multiply-accumulates at least, by the element type they are computed in."""
    found: dict[str, int] = {}
    for kernel in kernels:
        if kernel.macs.low:
            found[kernel.dtype] = found.get(kernel.dtype, 0) + kernel.macs.low
    return found


def ceiling(
    device: Device, engine: str, macs: Mapping[str, int], weights: int, cache: int, held: tuple[int, int]
) -> Ceiling:
    """The ceiling of a run that computes so many MACs by type and reads so many bytes of weights and cache; `held` are
    the bytes of the weights and of the cache in all, which say where they lie."""
    compute, slow = compute_seconds(device, engine, macs)
    memory, blind = _memory_seconds(device, weights, cache, held)
    flops = FLOPS_PER_MAC * sum(macs.values())
    why = "; ".join(filter(None, (slow, blind)))
    if compute is None and memory is None:
        return Ceiling(flops, weights, cache, None, None, None, "", why)
    bound: Bound = ""
    if compute is not None and memory is not None:
        bound = "compute" if compute >= memory else "bandwidth"
    return Ceiling(flops, weights, cache, compute, memory, max(compute or 0.0, memory or 0.0), bound, why)


def compute_seconds(device: Device, engine: str, macs: Mapping[str, int]) -> tuple[float | None, str]:
    """(seconds at the dense peaks of the engine, why they say too little). A type without a peak counts nothing; None
    where no type has one."""
    found = engine_of(device, engine)
    peaks = {dtype: dense_flop_per_s(found, dtype) if found is not None else None for dtype in macs}
    missing = sorted(dtype for dtype, peak in peaks.items() if not peak)
    why = f"no peak is known for {', '.join(missing)} on {engine}: these MACs bound nothing" if missing else ""
    times = [FLOPS_PER_MAC * count / peak for dtype, count in macs.items() if (peak := peaks[dtype])]
    if times:
        return sum(times), why
    return (None, why) if macs else (0.0, "")


def _memory_seconds(device: Device, weights: int, cache: int, held: tuple[int, int]) -> tuple[float | None, str]:
    """(seconds of the bytes, why they say too little): memories work at the same time."""
    bytes_of: dict[str, Fraction] = {}
    memories: dict[str, Memory] = {}
    for size, shares in ((weights, placed(device, "weights", held[0])), (cache, cache_shares(device, held[1]))):
        for share in shares:
            name = share.memory.name
            memories[name] = share.memory
            bytes_of[name] = bytes_of.get(name, Fraction(0)) + Fraction(share.fraction) * size
    speeds = {name: bandwidth(memory) for name, memory in memories.items()}
    missing = sorted(name for name, speed in speeds.items() if not speed and bytes_of[name])
    why = f"no bandwidth is known for {', '.join(missing)}" if missing else ""
    if not memories:
        return None, "the profile names no memory that holds weights"
    times = [float(bytes_of[name]) / speed for name, speed in speeds.items() if speed]
    return (max(times), why) if times else (None, why)


def processor_cache(device: Device, size: int) -> str:
    """The cache of the processor that holds so many bytes from run to run, "" where none is known to."""
    sizes = {m.name: total_size(m) or 0 for m in device.memories if m.kind == "cache"}
    return next((name for name, held in sizes.items() if size <= held), "")


def cache_shares(device: Device, size: int) -> tuple[Share, ...]:
    """Where the cache lies: a memory that may hold one, else where activations do."""
    return placed(device, "kv_cache" if holding(device, "kv_cache") else "activations", size)


def compute_bound_from(
    device: Device, engine: str, macs: Mapping[str, int], read: Reading, weights: int, cache: Callable[[int], int]
) -> int | None:
    """The least batch whose ceiling is that of compute, None where there is none: from the MACs and the reading of one
    sequence, the bytes of all weights, and the bytes of the cache by batch.

    MACs and rows looked up grow evenly with the batch; what is read per sequence never grows with it, so that from one
    batch on compute is slower.
    """

    def bound(batch: int) -> bool:
        compute, doubt = compute_seconds(device, engine, {dtype: n * batch for dtype, n in macs.items()})
        held = cache(batch)
        memory, blind = _memory_seconds(device, read.at(batch), held, (weights, held))
        return not (doubt or blind or compute is None or memory is None) and compute >= memory

    if not bound(MOST_SEQUENCES):
        return None
    low, high = 0, MOST_SEQUENCES
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if bound(middle) else (middle, high)
    return high
