"""Where weights, cache and activations lie on a device, and how much is left.

As `effaudit.estimate.memories`: as much as fits in the first memory that may hold something, the rest in the next. A
cache of the processor holds copies, and nothing that would not fit without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import msgspec

from effaudit.device.contiguous import total_size
from effaudit.device.types import Device, Holds, Memory
from effaudit.errors import UsageError
from effaudit.estimate.memories import holding
from effaudit.serving.types import Use


class Parts(msgspec.Struct, frozen=True):
    """Bytes that need a place."""

    weights: int
    cache: int
    activations: int
    runtime: int

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.activations + self.runtime


class Placed(msgspec.Struct, frozen=True):
    """Where parts lie; `left` are the bytes free, negative where some have no place: what
    the last memory cannot hold is shown there all the same. `unknown` names a memory whose size is not known: there
    nothing ever runs out. `homeless` is what no memory of the device may hold."""

    uses: tuple[Use, ...]
    left: int
    unknown: str = ""
    homeless: str = ""


def reserved(device: Device, asked: Mapping[str, int | Fraction]) -> dict[str, int]:
    """Bytes of every memory that the model cannot have: those of the profile, and those asked for by name or kind.

    Raises UsageError for a memory that the device does not have, or a fraction of one whose size is not known.
    """
    found = {memory.name: 0 for memory in device.memories}
    for one in device.reserved:
        if one.memory in found:
            found[one.memory] += int(one.size_bytes.most or 0)
    for name, size in asked.items():
        memory = _memory(device, name)
        if isinstance(size, int):
            found[memory.name] += size
            continue
        whole = total_size(memory)
        if whole is None:
            raise UsageError(f"--reserve {name}: the size of {memory.name} is not known; give bytes")
        found[memory.name] += -(-whole * size.numerator // size.denominator)
    return found


def _memory(device: Device, name: str) -> Memory:
    wanted = name.strip().lower()
    for memory in device.memories:
        if memory.name.lower() == wanted:
            return memory
    kinds = [memory for memory in device.memories if memory.kind == wanted]
    if len(kinds) == 1:
        return kinds[0]
    names = ", ".join(memory.name for memory in device.memories) or "none"
    raise UsageError(f"--reserve {name}: {device.name} has no one memory of that name; it has: {names}")


def place(device: Device, parts: Parts, kept: Mapping[str, int]) -> Placed:
    """Every part in the first memories that may hold it, weights first."""
    memories = [memory for memory in device.memories if memory.kind != "cache"]
    sizes = {memory.name: total_size(memory) for memory in memories}
    free = {name: None if size is None else size - kept.get(name, 0) for name, size in sizes.items()}
    used: dict[str, dict[str, int]] = {name: {} for name in free}
    missing, unknown, homeless = 0, "", ""
    wanted = {
        "weights": parts.weights,
        "cache": parts.cache,
        "activations": parts.activations,
        "runtime": parts.runtime,
    }
    for what, size in wanted.items():
        left, homes = size, _for(device, what)
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
    uses = tuple(
        Use(name, sizes[name], kept.get(name, 0), *(used[name].get(what, 0) for what in wanted))
        for name in sizes
        if used[name]
    )
    return Placed(uses, -missing if missing else spare, unknown, homeless)


def _for(device: Device, what: str) -> list[Memory]:
    """The memories that may hold something; a cache lies with activations where the profile names no other place."""
    names: dict[str, tuple[Holds, ...]] = {
        "weights": ("weights",),
        "cache": ("kv_cache", "activations"),
        "activations": ("activations",),
        "runtime": ("activations",),
    }
    for name in names[what]:
        found = [memory for memory in holding(device, name) if memory.kind != "cache"]
        if found:
            return found
    return []
