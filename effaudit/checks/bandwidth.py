"""Bandwidth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from effaudit.checks.subject import Subject
from effaudit.checks.types import Result, Status
from effaudit.device.types import Memory
from effaudit.estimate.memories import Share, largest_bandwidth, least_from, processor_caches
from effaudit.quantity import Quantity, add
from effaudit.serving.ceilings import cache_shares


def check(subject: Subject) -> Iterator[Result]:
    """The bytes per second that --min-throughput (or --max-latency) takes of each memory, against its bandwidth: a
    bound that no efficiency changes. At the least, weights come once a run (of a model that is served, its cache too),
    less what a cache of the processor may keep; at the most, everything that kernels read and write."""
    rate = _rate(subject)
    for memory, low, high in _moved(subject):
        speed = largest_bandwidth(memory)
        if rate is None or speed is None:
            message = f"the profile knows no bandwidth of {memory.name}" if rate is not None else "no limit is set"
            yield Result("bandwidth", "skipped", None, (None, None), speed, "bytes/s", memory.name, message)
            continue
        need = (low * rate, None if high is None else high * rate)
        status = _status(memory, need, speed)
        most = f"{low:,}" if low == high else f"{low:,} or more" if high is None else f"{low:,} to {high:,}"
        message = f"{most} bytes a run, {rate:g} runs a second"
        value = need[0] if need[0] == need[1] else None
        yield Result("bandwidth", status, value, need, speed, "bytes/s", memory.name, message)


def _status(memory: Memory, need: tuple[float, float | None], speed: float) -> Status:
    """At the least against the largest bandwidth there may be, at the most against the smallest."""
    if need[0] > speed:
        return "fail"
    least = memory.read_bandwidth_byte_per_s
    return "pass" if need[1] is not None and least is not None and need[1] <= least.least else "unknown"


def _rate(subject: Subject) -> float | None:
    """Runs per second that are asked for."""
    limits = subject.limits
    rates = [limits.throughput_per_s / subject.inferences] if limits.throughput_per_s else []
    rates += [1 / limits.latency_s] if limits.latency_s else []
    return max(rates, default=None)


def _moved(subject: Subject) -> list[tuple[Memory, int, int | None]]:
    """(memory, least and most bytes that a run moves): weights where they lie, activations where they do."""
    shares = subject.where.weights
    memories = {share.memory.name: share.memory for share in shares}
    parts = {s.memory.name: [_part(k.weight_bytes, s.fraction) for k in subject.kernels] for s in shares}
    home = subject.where.activations
    if home is not None:
        memories[home.name] = home
        moved = [part for kernel in subject.kernels for part in (kernel.read_bytes, kernel.write_bytes)]
        parts[home.name] = [*parts.get(home.name, ()), *moved]
    sums, least = {name: add(quantities) for name, quantities in parts.items()}, _least(subject)
    return [(memories[name], min(least.get(name, 0), total.low), total.high) for name, total in sums.items()]


def _least(subject: Subject) -> Mapping[str, int]:
    """Memory -> the bytes that come from it once a run, however the graph is executed."""
    where, cache, held = subject.where, 0, 0
    phase = None if subject.serving is None else subject.serving.decode or subject.serving.prefill
    read = where.unique_bytes or 0
    if phase is not None and subject.serving is not None:
        read, cache = phase.ceiling.weight_bytes, phase.ceiling.cache_bytes
        held = subject.serving.memory.cache.low + subject.serving.memory.cross.low
    found: dict[str, int] = {}
    places: list[tuple[int, int, Iterable[Share]]] = [(read, where.weight_bytes, where.weights)]
    places += [(cache, held, cache_shares(subject.device, held))] if cache else []
    for size, total, shares in places:
        for share in shares:
            found[share.memory.name] = found.get(share.memory.name, 0) + least_from(share, size, total)
    kept = processor_caches(subject.device)
    return {name: max(size - kept, 0) for name, size in found.items()}


def _part(size: Quantity, fraction: float) -> Quantity:
    return Quantity(round(size.low * fraction), None if size.high is None else round(size.high * fraction), size.why)
