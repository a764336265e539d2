"""Kernels on a device -> seconds: per inference + the sum over kernels of max(compute, memory) + per kernel.

The roofline of Williams, Waterman and Patterson (https://doi.org/10.1145/1498765.1498785) per kernel, with efficiency
by class of operator and what a launch costs; which numbers were fitted to which measurements stands in the profile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from effaudit.device.dtypes import BITS
from effaudit.device.peaks import FLOPS_PER_MAC, dense_flop_per_s
from effaudit.device.types import Device, DeviceRuntime, Engine, Fact, Memory, Performance
from effaudit.estimate.memories import Share, activations_in, bandwidth, placed
from effaudit.estimate.rates import engine_of, known, mac_per_s, op_per_s, padding, performance_of, rate_of, value
from effaudit.estimate.types import NOTHING, Kernel, Latency, Limiter, Seconds, Timed
from effaudit.quantity import Quantity

NOWHERE: Final[Mapping[int, str]] = {}


class Setting(msgspec.Struct, frozen=True):
    """What kernels run in: the device, the runtime, where weights and activations lie, and which nodes run elsewhere
    (node index -> engine; others run on the runtime's engine)."""

    device: Device
    runtime: DeviceRuntime
    weights: tuple[Share, ...]
    activations: Memory | None
    elsewhere: Mapping[int, str] = NOWHERE
    transfer_s: float = 0.0

    def computed(self, kernel: Kernel) -> Kernel:
        """The kernel in the element type that the engine computes it in, its tensors as wide as that."""
        dtype = self.runtime.computes.get(kernel.dtype)
        if dtype is None or kernel.index in self.elsewhere:
            return kernel
        return kernel.stored_as(dtype, BITS.get(dtype, 0), BITS.get(kernel.dtype, 0))

    def entry(self, engine: str, kernel: Kernel, main: str) -> Performance | None:
        """What the profile says of a kernel's element type; of one without products, whose type it does not state,
        what it says of the type `main` that most products are in."""
        found = performance_of(self.device, self.runtime, engine, kernel.dtype)
        if found is None and kernel.macs.high == 0:
            return performance_of(self.device, self.runtime, engine, main)
        return found


def setting(
    device: Device,
    runtime: DeviceRuntime,
    weight_bytes: int,
    activation_bytes: int,
    elsewhere: Mapping[int, str] = NOWHERE,
    transfer_s: float = 0.0,
) -> Setting:
    """The setting of a model of so many bytes of weights, with an arena of so many bytes."""
    weights, activations = placed(device, "weights", weight_bytes), activations_in(device, activation_bytes)
    return Setting(device, runtime, weights, activations, elsewhere, transfer_s)


def latency(kernels: Sequence[Kernel], where: Setting) -> Latency:
    """How long one inference takes. Of kernels whose work is a range the most counts; the least bounds it below."""
    kernels = [where.computed(kernel) for kernel in kernels]
    main = main_dtype(kernels)
    timed = tuple(_timed(kernel, where, main) for kernel in kernels)
    found = _total(timed, where, main)
    if all(kernel.exact for kernel in kernels):
        return found
    least = _total(tuple(_timed(kernel.least, where, main) for kernel in kernels), where, main).total
    low = min(least.low, found.total.low)
    open_ended = any(kernel.macs.high is None or kernel.moved.high is None for kernel in kernels)
    total = msgspec.structs.replace(found.total, low=low, high=None if open_ended else found.total.high)
    return msgspec.structs.replace(found, total=total)


def main_dtype(kernels: Sequence[Kernel]) -> str:
    """The element type of most multiply-accumulates; "" where there are none."""
    macs: dict[str, int] = {}
    for kernel in kernels:
        if kernel.macs.low:
            macs[kernel.dtype] = macs.get(kernel.dtype, 0) + kernel.macs.low
    return max(macs, key=lambda dtype: macs[dtype], default="")


def _total(timed: tuple[Timed, ...], where: Setting, main: str) -> Latency:
    used = _used(timed, where, main)
    beside = max((_per_inference(entry, where) for entry in used), default=0.0)
    ideal = sum(one.ideal_s for one in timed)
    unknown = sum(one.seconds is None for one in timed)
    if unknown or not timed:
        return Latency(_bound(ideal, unknown, timed, where), beside, where.transfer_s, timed, _notes(timed))
    total = beside + where.transfer_s + sum(one.seconds for one in timed if one.seconds is not None)
    return Latency(_interval(total, ideal, used), beside, where.transfer_s, timed, _notes(timed))


def _timed(kernel: Kernel, where: Setting, main: str) -> Timed:
    name = where.elsewhere.get(kernel.index, where.runtime.engine)
    engine = engine_of(where.device, name)
    if engine is None:
        return Timed(kernel, name, None, None, None, 0.0, None, "unknown")
    entry = where.entry(name, kernel, main)
    share = _fraction(entry.bandwidth_fraction if entry is not None else None)
    crossing = _fraction(entry.activation_fraction if entry is not None else None)
    joined = entry is not None and kernel.op_class in entry.fused and kernel.macs.high == 0
    moving = _second_operand(kernel) if joined else kernel
    at_peak, _ = _memory(moving, where, 1.0, crossing)
    peak = _at_peak(kernel, engine)
    ideal = max(peak or 0.0, at_peak or 0.0)
    if entry is None or kernel.macs.high is None:
        return Timed(kernel, name, None, at_peak, None, ideal, None, "unknown")
    compute, (memory, memory_name) = _compute(kernel, engine, entry), _memory(moving, where, share, crossing)
    overhead = 0.0 if joined else _per_kernel(entry, engine)
    if compute is None:
        return Timed(kernel, name, None, memory, overhead, ideal, None, "unknown", memory_name)
    seconds = max(compute, memory or 0.0) + overhead
    return Timed(
        kernel, name, compute, memory, overhead, ideal, seconds, _limiter(compute, memory, overhead), memory_name
    )


def _limiter(compute: float, memory: float | None, overhead: float) -> Limiter:
    if overhead > max(compute, memory or 0.0):
        return "overhead"
    return "memory" if memory is not None and memory > compute else "compute"


def _at_peak(kernel: Kernel, engine: Engine) -> float | None:
    """Seconds of the multiply-accumulates at the dense peak."""
    peak = dense_flop_per_s(engine, kernel.dtype)
    return None if not peak else FLOPS_PER_MAC * kernel.macs.low / peak


def _compute(kernel: Kernel, engine: Engine, entry: Performance) -> float | None:
    """Seconds of arithmetic; 0 of a kernel without MACs whose class has no rate: its bytes bound it. None where MACs
    have no rate."""
    rate = rate_of(entry, kernel.op_class)
    macs, outputs = kernel.macs.high or 0, kernel.outputs.high or 0
    if rate is None:
        return None if macs else 0.0
    seconds = 0.0
    if macs:
        speed = mac_per_s(rate, engine, kernel.dtype)
        if speed is None:
            return None
        seconds = macs * padding(kernel, engine) / speed
    else:
        speed = op_per_s(rate, engine)
        seconds = max(kernel.ops.high or 0, outputs) / speed if speed else 0.0
    if known(rate.per_output_cycles) and known(engine.clock_hz):
        seconds += outputs * value(rate.per_output_cycles) / value(engine.clock_hz)
    return seconds


def _second_operand(kernel: Kernel) -> Kernel:
    """A kernel that is part of another: what it reads beyond what it writes. Its first operand is at hand, and its
    result takes the place of the other kernel's."""
    read = (kernel.read_bytes.high or 0) - (kernel.write_bytes.high or 0)
    return msgspec.structs.replace(kernel, read_bytes=Quantity(max(read, 0), max(read, 0)), write_bytes=NOTHING)


def _fraction(fact: Fact | None) -> float:
    """A part of a whole: all of it where none is stated."""
    return value(fact) if known(fact) else 1.0


def _memory(kernel: Kernel, where: Setting, fraction: float, crossing: float) -> tuple[float | None, str]:
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


def _per_kernel(entry: Performance, engine: Engine) -> float:
    seconds = value(entry.per_kernel_s) if known(entry.per_kernel_s) else 0.0
    if known(entry.per_kernel_cycles) and known(engine.clock_hz):
        seconds += value(entry.per_kernel_cycles) / value(engine.clock_hz)
    return seconds


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
        entry = where.entry(one.engine, one.kernel, main)
        if entry is not None and entry not in found:
            found.append(entry)
    return found


def _interval(total: float, ideal: float, used: Sequence[Performance]) -> Seconds:
    errors = [entry.prediction_error for entry in used]
    if not errors or any(error is None for error in errors):
        return Seconds(total, min(ideal, total), None, "efficiency of the profile, whose error is not known")
    worst = max((e for e in errors if e is not None), key=lambda e: value(e.interval_factor))
    factor, share = value(worst.interval_factor), value(worst.coverage_ratio)
    basis = f"efficiency fitted to {worst.dataset}; {share:.0%} of unseen measurements lie within a factor {factor:.3g}"
    return Seconds(total, total / factor, total * factor, basis)


def _bound(ideal: float, unknown: int, timed: Sequence[Timed], where: Setting) -> Seconds:
    if not timed:
        return Seconds(None, 0.0, None, "no kernel runs")
    names = sorted({f"{one.kernel.dtype} on {one.engine}" for one in timed if one.seconds is None})
    why = f"no efficiency is known for {', '.join(names[:3])} under {where.runtime.name}"
    count = f"{unknown} of {len(timed)} kernels"
    return Seconds(None, ideal, None, f"lower bound of the roofline at its peaks; {why} ({count})")


def _notes(timed: Sequence[Timed]) -> tuple[str, ...]:
    notes = []
    blind = sum(one.memory_s is None for one in timed)
    if blind:
        notes.append(f"no bandwidth is known for the memories of {blind} kernels: their bytes bound nothing")
    return tuple(notes)
