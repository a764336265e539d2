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
    return max((sum(size for _, size in run) for run in _runs(memory, end)), default=None)


def in_largest(memory: Memory) -> frozenset[str]:
    """The names of the regions that make up the largest contiguous one."""
    runs = _runs(memory, "value")
    largest = max(runs, key=lambda run: sum(size for _, size in run), default=[])
    return frozenset(name for name, _ in largest)


def _runs(memory: Memory, end: End) -> list[list[tuple[str, int]]]:
    """Regions that follow each other, by name and size; those without an address stand alone."""
    sized = [(r.base, r.name, size) for r in memory.regions if (size := _bytes(r.size_bytes, end)) is not None]
    runs = [[(name, size)] for base, name, size in sized if base is None]
    after: int | None = None
    for base, name, size in sorted((base, name, size) for base, name, size in sized if base is not None):
        if base != after:
            runs.append([])
        runs[-1].append((name, size))
        after = base + size
    return runs


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
