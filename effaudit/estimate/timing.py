"""One kernel on a device -> seconds: max(compute, memory) + what a launch costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from effaudit.device.types import Engine, Fact, KernelCost, Memory, Performance
from effaudit.estimate.costs import cost_of, spent
from effaudit.estimate.memories import bandwidth
from effaudit.estimate.rates import Speed, at, engine_of, known, mac_per_s, op_per_s, padding, rate_of, value
from effaudit.estimate.setting import Setting
from effaudit.estimate.types import NOTHING, Kernel, Limiter, Timed
from effaudit.quantity import Quantity

# More of it is slower: of bytes that cross and of launches the slowest is the high end.
_OTHER: Final[Mapping[Speed, Speed]] = {"slowest": "fastest", "typical": "typical", "fastest": "slowest"}


def timed(kernel: Kernel, where: Setting, main: str, speed: Speed = "typical") -> Timed:
    """A kernel at the rates of the profile, or at an end of their ranges; `main` is the type most products are in."""
    name = where.elsewhere.get(kernel.index, where.runtime.engine)
    engine = engine_of(where.device, name)
    if engine is None:
        return Timed(kernel, name, None, None, None, None, "unknown")
    known_cost = cost_of(where, name, kernel, main)
    if known_cost is not None and kernel.macs.high is not None:
        return _by_cost(kernel, where, engine, *known_cost)
    entry = where.entry(name, kernel, main)
    share = _fraction(entry.bandwidth_fraction if entry is not None else None, speed)
    crossing = _fraction(entry.activation_fraction if entry is not None else None, _OTHER[speed])
    joined = entry is not None and kernel.op_class in entry.fused and kernel.macs.high == 0
    moving = _second_operand(kernel) if joined else kernel
    if entry is None or kernel.macs.high is None:
        memory, memory_name = memory_time(moving, where, 1.0, crossing)
        return Timed(kernel, name, None, memory, None, None, "unknown", memory_name)
    compute, (memory, memory_name) = _compute(kernel, engine, entry, speed), memory_time(moving, where, share, crossing)
    overhead = 0.0 if joined else _per_kernel(entry, engine, _OTHER[speed])
    if compute is None:
        return Timed(kernel, name, None, memory, overhead, None, "unknown", memory_name)
    seconds = max(compute, memory or 0.0) + overhead
    limiter = _limiter(compute, memory, overhead)
    return Timed(kernel, name, compute, memory, overhead, seconds, limiter, memory_name)


def _by_cost(kernel: Kernel, where: Setting, engine: Engine, entry: Performance, cost: KernelCost) -> Timed:
    """At measured costs: arithmetic and bytes do not hide each other, the costs say what each of them adds."""
    found = spent(kernel, cost, entry, where.device, engine)
    parts: dict[Limiter, float] = {
        "compute": found.compute_s,
        "memory": found.memory_s,
        "overhead": found.overhead_s,
    }
    limiter = max(parts, key=lambda part: parts[part])
    return Timed(kernel, engine.name, found.compute_s, found.memory_s, found.overhead_s, found.seconds, limiter)


def _limiter(compute: float, memory: float | None, overhead: float) -> Limiter:
    if overhead > max(compute, memory or 0.0):
        return "overhead"
    if not compute and not memory:
        return "absorbed"
    return "memory" if memory is not None and memory > compute else "compute"


def _compute(kernel: Kernel, engine: Engine, entry: Performance, speed: Speed) -> float | None:
    """Seconds of arithmetic; 0 of a kernel without MACs whose class has no rate: its bytes bound it. None where MACs
    have no rate."""
    rate = rate_of(entry, kernel.op_class)
    macs, outputs = kernel.macs.high or 0, kernel.outputs.high or 0
    if rate is None:
        return None if macs else 0.0
    seconds = 0.0
    if macs:
        macs_s = mac_per_s(rate, engine, kernel.dtype, speed)
        if not macs_s:
            return None
        seconds = macs * padding(kernel, engine) / macs_s
    else:
        ops_s = op_per_s(rate, engine, speed)
        seconds = max(kernel.ops.high or 0, outputs) / ops_s if ops_s else 0.0
    if known(rate.per_output_cycles) and known(engine.clock_hz):
        seconds += outputs * value(rate.per_output_cycles) / value(engine.clock_hz)
    return seconds


def _second_operand(kernel: Kernel) -> Kernel:
    """A kernel that is part of another: what it reads beyond what it writes. Its first operand is at hand, and its
    result takes the place of the other kernel's."""
    read = (kernel.read_bytes.high or 0) - (kernel.write_bytes.high or 0)
    return msgspec.structs.replace(kernel, read_bytes=Quantity(max(read, 0), max(read, 0)), write_bytes=NOTHING)


def _fraction(fact: Fact | None, end: Speed) -> float:
    """A part of a whole: all of it where none is stated."""
    return at(fact, end) if known(fact) else 1.0


def memory_time(kernel: Kernel, where: Setting, fraction: float, crossing: float) -> tuple[float | None, str]:
    """(seconds of the bytes, the memory that takes longest): memories work at the same time, bytes of one memory one
    after the other; `crossing` is the part of the activations that leaves what keeps them between kernels. None where
    no bandwidth is known."""
    bytes_of: dict[str, float] = {}
    memories: dict[str, Memory] = {}
    for share in where.weights:
        memories[share.memory.name] = share.memory
        size = share.fraction * (kernel.weight_bytes.high or 0)
        bytes_of[share.memory.name] = bytes_of.get(share.memory.name, 0.0) + size
    if where.activations is not None:
        name = where.activations.name
        memories[name] = where.activations
        moved = (kernel.read_bytes.high or 0) + (kernel.write_bytes.high or 0)
        bytes_of[name] = bytes_of.get(name, 0.0) + crossing * moved
    times = []
    for name, size in bytes_of.items():
        speed = bandwidth(memories[name], fraction)
        if speed:
            times.append((size / speed, name))
    return max(times) if times else (None, "")


def _per_kernel(entry: Performance, engine: Engine, end: Speed) -> float:
    seconds = at(entry.per_kernel_s, end) if known(entry.per_kernel_s) else 0.0
    if known(entry.per_kernel_cycles) and known(engine.clock_hz):
        seconds += at(entry.per_kernel_cycles, end) / value(engine.clock_hz)
    return seconds
