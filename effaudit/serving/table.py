"""What lies in each memory of a device, between the least and the most that is needed."""

from __future__ import annotations

from collections.abc import Mapping

from effaudit.device.contiguous import total_size
from effaudit.device.types import Device, Memory
from effaudit.quantity import Quantity, add
from effaudit.serving.places import WHAT, Lies, Placed, Reserved
from effaudit.serving.types import Use


def uses(
    device: Device, wanted: Mapping[str, Quantity], kept: Reserved, least: Placed, most: Placed | None
) -> tuple[Use, ...]:
    """A row for each memory that something lies in; `wanted` are all parts by name, `most` is None where one of them
    has no upper bound: then as much of each may lie in a memory as there may be of it."""
    low = {one.memory: one for one in least.lies}
    high = {} if most is None else {one.memory: one for one in most.lies}
    return tuple(
        _use(memory, wanted, kept, low.get(memory.name), None if most is None else high.get(memory.name))
        for memory in device.memories
        if memory.name in low or memory.name in high
    )


def _use(memory: Memory, wanted: Mapping[str, Quantity], kept: Reserved, low: Lies | None, high: Lies | None) -> Use:
    reserved = kept.get(memory.name, Quantity(0, 0))
    held = {}
    for what in WHAT:
        bottom = 0 if low is None else low.parts.get(what, 0)
        if high is not None:
            held[what] = _range(bottom, high.parts.get(what, 0), wanted[what].why)
        else:
            here = low is not None and what in low.parts
            held[what] = _range(bottom, wanted[what].high, wanted[what].why) if here else Quantity(0, 0)
    if high is None:
        need = add((reserved, *held.values()))
    else:
        why = next((size.why for size in (reserved, *held.values()) if size.why), "")
        need = _range(reserved.low if low is None else low.need, high.need, why)
    return Use(memory.name, size_of(memory), reserved, **held, need=need)


def _range(one: int, other: int | None, why: str) -> Quantity:
    if other is None:
        return Quantity(one, None, why)
    low, high = min(one, other), max(one, other)
    return Quantity(low, high, "" if low == high else why or "where it lies is not known")


def size_of(memory: Memory) -> Quantity | None:
    """The size of a memory between the ends that the profile states."""
    low, high = total_size(memory, "low"), total_size(memory, "high")
    if low is None or high is None:
        return None
    return Quantity(low, high, "" if low == high else "a range in the profile")
