"""How fast a profile says kernels run."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Final, Literal, TypeAlias

from effaudit.device.dtypes import LIKE
from effaudit.device.peaks import FLOPS_PER_MAC, cores, dense_flop_per_s
from effaudit.device.types import Device, DeviceRuntime, Engine, Fact, OpClass, Performance, Rate
from effaudit.estimate.types import Kernel

# At the rates that a profile states, or at the ends of their ranges.
Speed: TypeAlias = Literal["slowest", "typical", "fastest"]
_SPEEDS: Final = ("mac_per_s", "mac_per_cycle", "fraction_of_peak", "op_per_s", "op_per_cycle")

# A class that a profile does not state runs like the first of these that it does.
LIKE_CLASS: Final[Mapping[OpClass, tuple[OpClass, ...]]] = {
    "pointwise": ("conv",),
    "grouped": ("conv",),
    "transposed": ("conv",),
    "depthwise": ("grouped",),
    "matmul": ("fully_connected",),
    "attention": ("matmul", "fully_connected"),
    "recurrent": ("fully_connected", "matmul"),
    "fully_connected": ("matmul", "pointwise"),
    "softmax": ("elementwise",),
    "normalization": ("elementwise",),
    "reduction": ("pooling", "elementwise"),
    "pooling": ("reduction", "elementwise"),
    "movement": ("elementwise",),
}


def performance_of(device: Device, runtime: DeviceRuntime, engine: str, dtype: str) -> Performance | None:
    """The entry for a runtime, engine and element type: of its version, else of any version of it, else of any
    runtime. None where the profile has none."""
    types = [dtype, *([LIKE[dtype]] if dtype in LIKE else [])]
    wanted = [(runtime.name, runtime.version), (runtime.name, ""), ("", "")]
    for name, version in dict.fromkeys(wanted):
        for kind in types:
            for entry in device.performance:
                if (entry.engine, entry.dtype, entry.runtime, entry.version) == (engine, kind, name, version):
                    return entry
    return None


def engine_of(device: Device, name: str) -> Engine | None:
    """The engine of a name; None where there is none."""
    return next((engine for engine in device.engines if engine.name == name), None)


def rate_of(performance: Performance, op_class: OpClass) -> Rate | None:
    """The rate of a class, or of the class it runs like."""
    for name in (op_class, *LIKE_CLASS.get(op_class, ())):
        if name in performance.rates:
            return performance.rates[name]
    return performance.rates.get("other")


def mac_per_s(rate: Rate, engine: Engine, dtype: str, speed: Speed = "typical") -> float | None:
    """Multiply-accumulates per second of the whole engine; None where the profile does not tell."""
    if known(rate.mac_per_s):
        return at(rate.mac_per_s, speed)
    if known(rate.mac_per_cycle) and known(engine.clock_hz):
        return at(rate.mac_per_cycle, speed) * value(engine.clock_hz) * cores(engine)
    peak = dense_flop_per_s(engine, dtype)
    if known(rate.fraction_of_peak) and peak is not None:
        return at(rate.fraction_of_peak, speed) * peak / FLOPS_PER_MAC
    return None


def op_per_s(rate: Rate, engine: Engine, speed: Speed = "typical") -> float | None:
    """Other operations per second of the whole engine; None where the profile does not tell."""
    if known(rate.op_per_s):
        return at(rate.op_per_s, speed)
    if known(rate.op_per_cycle) and known(engine.clock_hz):
        return at(rate.op_per_cycle, speed) * value(engine.clock_hz) * cores(engine)
    return None


def ranged(performance: Performance) -> bool:
    """True where every rate is stated with a range: times then have bounds without a measured error."""
    facts = [fact for rate in performance.rates.values() for fact in (getattr(rate, key) for key in _SPEEDS) if fact]
    return bool(facts) and all(fact.low is not None and fact.high is not None for fact in facts)


def at(fact: Fact | None, speed: Speed) -> float:
    """A rate that is known, or an end of its range."""
    assert fact is not None
    if speed == "slowest" and fact.low is not None:
        return float(fact.low)
    if speed == "fastest" and fact.high is not None:
        return float(fact.high)
    return value(fact)


def padding(kernel: Kernel, engine: Engine) -> float:
    """By how much the channels that an engine works on in groups exceed those of the kernel: 17 of 16 are 32."""
    if engine.alignment is None:
        return 1.0
    factor = 1.0
    groups = (engine.alignment.input_channels, engine.alignment.output_channels)
    for channels, group in zip(kernel.channels, groups, strict=True):
        if channels and known(group) and value(group) > 1:
            factor *= ceil(channels / value(group)) * value(group) / channels
    return factor


def known(fact: Fact | None) -> bool:
    """True where a profile tells the number."""
    return fact is not None and fact.value is not None


def value(fact: Fact | None) -> float:
    """The number of a fact that is known."""
    assert fact is not None and fact.value is not None
    return float(fact.value)
