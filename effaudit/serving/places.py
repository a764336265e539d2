"""Where weights, cache and activations lie on a device, and how much is left.

As `effaudit.estimate.memories`: as much as fits in the first memory that may hold something, the rest in the next. A
cache of the processor holds copies, and nothing that would not fit without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from effaudit.device.contiguous import total_size
from effaudit.device.types import Device, Holds, Memory
from effaudit.estimate.demand import of_fact
from effaudit.estimate.memories import holding
from effaudit.quantity import Quantity, add

# The least that is needed in the largest memories there may be, or the most in the smallest.
Side: TypeAlias = Literal["least", "most"]
Reserved: TypeAlias = Mapping[str, Quantity]  # by the name of a memory
WHAT: Final = ("code", "weights", "cache", "activations", "runtime")


class Parts(msgspec.Struct, frozen=True):
    """Bytes that need a place."""

    code: int
    weights: int
    cache: int
    activations: int
    runtime: int

    @property
    def total(self) -> int:
        return self.code + self.weights + self.cache + self.activations + self.runtime


class Lies(msgspec.Struct, frozen=True):
    """What lies in a memory: bytes by what they are (`WHAT`), and what is reserved."""

    memory: str
    reserved: int
    parts: Mapping[str, int]

    @property
    def need(self) -> int:
        """All that has to lie there, what is reserved included."""
        return self.reserved + sum(self.parts.values())


class Placed(msgspec.Struct, frozen=True):
    """Where parts lie; `left` are the bytes free, negative where some have no place: what
    the last memory cannot hold is shown there all the same. `unknown` names a memory whose size is not known: there
    nothing ever runs out. `homeless` is what no memory of the device may hold."""

    lies: tuple[Lies, ...]
    left: int
    unknown: str = ""
    homeless: str = ""


def reserved(device: Device, asked: Mapping[str, int]) -> dict[str, Quantity]:
    """Bytes of every memory that the model cannot have: those of the profile, and those asked for by its name."""
    found: dict[str, list[Quantity]] = {memory.name: [] for memory in device.memories}
    for one in device.reserved:
        if one.memory in found:
            found[one.memory].append(_named(of_fact(one.size_bytes), f"{one.what} in {one.memory}"))
    for name, size in asked.items():
        found[name].append(Quantity(size, size))
    return {name: add(sizes) for name, sizes in found.items()}


def _named(size: Quantity, what: str) -> Quantity:
    """With a reason that says what it is."""
    return size if size.value is not None else Quantity(size.low, size.high, f"{what}: {size.why}")


def place(device: Device, parts: Parts, kept: Reserved, side: Side) -> Placed | None:
    """Every part in the first memories that may hold it, code and weights first. None where the most is asked of
    something reserved that nothing bounds."""
    memories = [memory for memory in device.memories if memory.kind != "cache"]
    taken = {memory.name: _end(kept.get(memory.name), side) for memory in memories}
    if None in taken.values():
        return None
    sizes = {memory.name: total_size(memory, "high" if side == "least" else "low") for memory in memories}
    free = {name: None if size is None else size - (taken[name] or 0) for name, size in sizes.items()}
    used: dict[str, dict[str, int]] = {name: {} for name in free}
    missing, unknown, homeless = 0, "", ""
    for what in WHAT:
        left, homes = getattr(parts, what), homes_of(device, what)
        for memory in homes:
            room = free[memory.name]
            here = left if room is None else max(min(left, room), 0)
            unknown = unknown or (memory.name if room is None and here else "")
            used[memory.name][what] = used[memory.name].get(what, 0) + here
            free[memory.name] = None if room is None else room - here
            left -= here
            if not left:
                break
        missing += left
        if left and homes:
            used[homes[-1].name][what] += left
        homeless = homeless or (what if left and not homes else "")
    spare = sum(room for name, room in free.items() if room is not None and room > 0 and used[name])
    lies = tuple(Lies(name, taken[name] or 0, used[name]) for name in sizes if used[name])
    return Placed(lies, -missing if missing else spare, unknown, homeless)


def _end(size: Quantity | None, side: Side) -> int | None:
    if size is None:
        return 0
    return size.low if side == "least" else size.high


def homes_of(device: Device, what: str) -> list[Memory]:
    """The memories that may hold something; a cache lies with activations where the profile names no other place, code
    in one piece."""
    names: dict[str, tuple[Holds, ...]] = {
        "code": ("code",),
        "weights": ("weights",),
        "cache": ("kv_cache", "activations"),
        "activations": ("activations",),
        "runtime": ("activations",),
    }
    for name in names[what]:
        found = [memory for memory in holding(device, name) if memory.kind != "cache"]
        if found:
            return found[:1] if what == "code" else found
    return []
