"""Which memories hold what, and how fast their bytes come."""

from __future__ import annotations

import msgspec

from effaudit.device.contiguous import largest_contiguous, total_size
from effaudit.device.types import Device, Holds, Memory


class Share(msgspec.Struct, frozen=True):
    """A part of something in a memory: `fraction` of its bytes."""

    memory: Memory
    fraction: float


def holding(device: Device, what: Holds) -> tuple[Memory, ...]:
    """The memories that may hold something, in the order of the profile."""
    return tuple(memory for memory in device.memories if what in memory.holds)


def placed(device: Device, what: Holds, size: int) -> tuple[Share, ...]:
    """Where `size` bytes lie: as much as fits in the first memory that may hold them, the rest in the next. What the
    last cannot hold stays there: whether it fits is another question. Empty where the profile names no memory."""
    memories, left, made = holding(device, what), size, []
    for i, memory in enumerate(memories):
        room = total_size(memory)
        here = left if room is None or i == len(memories) - 1 else min(left, room)
        if here or not size:
            made.append(Share(memory, here / size if size else 1.0))
        left -= here
        if not left:
            break
    return tuple(made)


def activations_in(device: Device, size: int) -> Memory | None:
    """The memory that holds the activations: the first with a contiguous region for them, else the largest."""
    memories = holding(device, "activations")
    for memory in memories:
        room = largest_contiguous(memory)
        if room is not None and room >= size:
            return memory
    return max(memories, key=lambda memory: largest_contiguous(memory) or 0, default=None)


def processor_caches(device: Device) -> int:
    """Bytes of all caches of the processor at the most: so much may stay there from one run to the next."""
    return sum(total_size(memory, "high") or 0 for memory in device.memories if memory.kind == "cache")


def least_from(share: Share, size: int, total: int) -> int:
    """Bytes that come from a memory where a run reads `size` of `total` bytes: the rest of them at the most lies in
    the others."""
    return max(size - round(total * (1 - share.fraction)), 0)


def largest_bandwidth(memory: Memory) -> float | None:
    """Bytes per second read at the most; None where nothing bounds it."""
    fact = memory.read_bandwidth_byte_per_s
    return None if fact is None or not fact.most else float(fact.most)


def bandwidth(memory: Memory, fraction: float = 1.0) -> float | None:
    """Bytes per second read, at a fraction of the stated bandwidth; None where it is not known."""
    fact = memory.read_bandwidth_byte_per_s
    return None if fact is None or not fact.value else float(fact.value) * fraction
