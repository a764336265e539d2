"""The size of a memory, and of its largest contiguous region."""

from __future__ import annotations

from typing import Literal, TypeAlias

from effaudit.device.types import Fact, Memory

# Which of a size that is a range: as it is stated, or an end.
End: TypeAlias = Literal["value", "low", "high"]


def largest_contiguous(memory: Memory, end: End = "value") -> int | None:
    """Bytes of the largest range of addresses without a gap: regions that follow each other count as one. None where
    the size is not known."""
    if not memory.regions:
        return _bytes(memory.size_bytes, end)
    sized = [(region.base, _bytes(region.size_bytes, end)) for region in memory.regions]
    best = max((size for _, size in sized if size is not None), default=None)
    placed = sorted((base, size) for base, size in sized if base is not None and size)
    start = after = None
    for base, size in placed:
        if after is None or start is None or base != after:
            start = base
        after = base + size
        best = max(best or 0, after - start)
    return best


def total_size(memory: Memory, end: End = "value") -> int | None:
    """Bytes of the memory: as stated, else the sum of its regions. None where that is not known."""
    if memory.size_bytes is not None:
        return _bytes(memory.size_bytes, end)
    sizes = [_bytes(region.size_bytes, end) for region in memory.regions]
    return sum(size for size in sizes if size is not None) if sizes and None not in sizes else None


def _bytes(fact: Fact | None, end: End) -> int | None:
    if fact is None:
        return None
    found = fact.value if end == "value" else getattr(fact, end)
    found = fact.value if found is None else found
    return None if found is None else int(found)
