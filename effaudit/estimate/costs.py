"""Kernels at the costs of a host that was measured kernel by kernel: the seconds of each are a sum of terms."""

from __future__ import annotations

import msgspec

from effaudit.device.types import Device, DeviceRuntime, Engine, KernelCost, Performance
from effaudit.estimate.setting import Setting
from effaudit.estimate.terms import COMPUTE, TERMS, amounts, caches_of
from effaudit.estimate.types import Kernel


class Spent(msgspec.Struct, frozen=True):
    """Seconds of one kernel by what they go to; `term` is the one that takes most of them."""

    compute_s: float
    memory_s: float
    overhead_s: float
    term: str

    @property
    def seconds(self) -> float:
        return self.compute_s + self.memory_s + self.overhead_s


def measured_by_kind(device: Device, runtime: DeviceRuntime) -> bool:
    """Whether the profile states costs of kinds of kernels for a runtime."""
    return any(entry.costs and entry.runtime == runtime.name for entry in device.performance)


def per_node_s(device: Device, runtime: DeviceRuntime) -> float | None:
    """Seconds of a node that only renames bytes; None where the profile does not tell."""
    facts = [e.per_kernel_s for e in device.performance if e.costs and e.runtime == runtime.name and e.per_kernel_s]
    return float(facts[0].value) if facts and facts[0].value is not None else None


def cost_of(where: Setting, engine: str, kernel: Kernel, main: str) -> tuple[Performance, KernelCost] | None:
    """The costs of a kernel's kind, or of the nearest one: in its element type, then in that of most products, then in
    any. None where the profile has none, or nothing is known of the kernel's pattern."""
    if kernel.pattern is None:
        return None
    entries = [
        entry
        for entry in where.device.performance
        if entry.costs and (entry.engine, entry.runtime) == (engine, where.runtime.name)
    ]
    wanted = (kernel.dtype, _LIKE.get(kernel.dtype, kernel.dtype), main)
    entries.sort(key=lambda entry: wanted.index(entry.dtype) if entry.dtype in wanted else len(wanted))
    for entry in entries:
        by_kind = {cost.kind: cost for cost in entry.costs}
        for kind in (kernel.pattern.kind, *kernel.pattern.like):
            if kind in by_kind:
                return entry, by_kind[kind]
    return None


_LIKE = {"uint8": "int8", "int8": "uint8"}


def spent(kernel: Kernel, cost: KernelCost, entry: Performance, device: Device, engine: Engine) -> Spent:
    """The seconds of a kernel with a pattern."""
    found = amounts(kernel, caches_of(device, engine))
    parts = {term: found[term] * _value(cost, term) for term in TERMS}
    per_kernel = 0.0 if entry.per_kernel_s is None else float(entry.per_kernel_s.value or 0)
    compute = sum(parts[term] for term in TERMS if term in COMPUTE)
    overhead = parts["launch_s"] + per_kernel
    memory = sum(parts.values()) - compute - parts["launch_s"]
    return Spent(compute, memory, overhead, max(parts, key=lambda term: parts[term]))


def _value(cost: KernelCost, term: str) -> float:
    fact = getattr(cost, term)
    return 0.0 if fact is None else float(fact.value or 0)
