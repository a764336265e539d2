"""The largest contiguous region of a memory."""

from __future__ import annotations

from effaudit.device.types import Memory


def largest_contiguous(memory: Memory) -> int | None:
    """Bytes of the largest range of addresses without a gap: regions that follow each other count as one. None where
    the size is not known."""
    if not memory.regions:
        return None if memory.size_bytes is None or memory.size_bytes.value is None else int(memory.size_bytes.value)
    sizes = [int(region.size_bytes.value) for region in memory.regions if region.size_bytes.value is not None]
    placed = sorted(
        (r.base, int(r.size_bytes.value)) for r in memory.regions if r.base is not None and r.size_bytes.value
    )
    best = max(sizes, default=None)
    start = end = None
    for base, size in placed:
        if end is None or start is None or base != end:
            start = base
        end = base + size
        best = max(best or 0, end - start)
    return best


def total_size(memory: Memory) -> int | None:
    """Bytes of the memory: as stated, else the sum of its regions. None where that is not known."""
    if memory.size_bytes is not None:
        return None if memory.size_bytes.value is None else int(memory.size_bytes.value)
    sizes = [region.size_bytes.value for region in memory.regions]
    return sum(int(size) for size in sizes if size is not None) if sizes and None not in sizes else None
