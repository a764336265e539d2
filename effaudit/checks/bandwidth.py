"""Bandwidth."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.checks.subject import Subject
from effaudit.checks.types import Result, at_most
from effaudit.device.types import Memory
from effaudit.estimate.memories import bandwidth
from effaudit.quantity import Quantity, add


def check(subject: Subject) -> Iterator[Result]:
    """The bytes per second that --min-throughput (or --max-latency) takes of each memory, against its bandwidth: a
    bound that no efficiency changes."""
    rate = _rate(subject)
    for memory, low, high in _moved(subject):
        speed = bandwidth(memory)
        if rate is None or speed is None:
            message = f"the profile knows no bandwidth of {memory.name}" if rate is not None else "no limit is set"
            yield Result("bandwidth", "skipped", None, (None, None), speed, "bytes/s", memory.name, message)
            continue
        need = (low * rate, None if high is None else high * rate)
        status = at_most(need[0], need[1], speed)
        message = f"{low:,} bytes a run, {rate:g} runs a second"
        value = need[0] if need[0] == need[1] else None
        yield Result("bandwidth", status, value, need, speed, "bytes/s", memory.name, message)


def _rate(subject: Subject) -> float | None:
    """Runs per second that are asked for."""
    limits = subject.limits
    rates = [limits.throughput_per_s / subject.inferences] if limits.throughput_per_s else []
    rates += [1 / limits.latency_s] if limits.latency_s else []
    return max(rates, default=None)


def _moved(subject: Subject) -> list[tuple[Memory, int, int | None]]:
    """(memory, least and most bytes that a run moves): weights where they lie, activations where they do."""
    memories, parts = {}, {}
    for share in subject.where.weights:
        name = share.memory.name
        memories[name] = share.memory
        parts[name] = [_part(kernel.weight_bytes, share.fraction) for kernel in subject.kernels]
    home = subject.where.activations
    if home is not None:
        memories[home.name] = home
        moved = [part for kernel in subject.kernels for part in (kernel.read_bytes, kernel.write_bytes)]
        parts[home.name] = [*parts.get(home.name, ()), *moved]
    sums = {name: add(quantities) for name, quantities in parts.items()}
    return [(memories[name], total.low, total.high) for name, total in sums.items()]


def _part(size: Quantity, fraction: float) -> Quantity:
    return Quantity(round(size.low * fraction), None if size.high is None else round(size.high * fraction), size.why)
