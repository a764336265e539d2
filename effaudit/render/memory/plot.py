"""The timeline as a chart for a terminal: ASCII, at most as wide as asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from effaudit.memory.types import StepReport
from effaudit.units import human_bytes

HEIGHT: Final = 8
MARGIN: Final = 11  # the axis and its labels


def plot(steps: Sequence[StepReport], width: int, height: int = HEIGHT) -> list[str]:
    """Live bytes over the steps; several steps in a column show the most of them. Ranges count with their lower end."""
    sizes = [step.live_bounds[0] or 0 for step in steps]
    if not sizes or not max(sizes):
        return []
    top = max(sizes)
    names = {height: human_bytes(top, 3), height // 2: human_bytes(top // 2, 3)}
    margin = max(MARGIN, max(map(len, names.values())) + 2)
    columns = max(min(len(sizes), width - margin), 1)
    most = [max(sizes[_at(i, columns, len(sizes)) : _at(i + 1, columns, len(sizes))]) for i in range(columns)]
    wide = max((width - margin) // columns, 1) if columns <= 24 else 1
    lines = []
    for row in range(height, 0, -1):
        # a column reaches a row where it is more than half of it
        marks = "".join((("#" if size * 2 * height > top * (2 * row - 1) else " ") * wide) for size in most)
        lines.append(f"{names.get(row, ''):>{margin - 2}} |{marks}".rstrip())
    lines.append(f"{'0':>{margin - 2}} +{'-' * columns * wide}")
    first, last = "step 1", f"{len(sizes):,}"
    gap = columns * wide - len(first) - len(last)
    lines.append(" " * (margin - 1) + (f" {first}{' ' * gap}{last}" if gap > 0 else f" {first} to {last}"))
    return lines


def _at(column: int, columns: int, steps: int) -> int:
    """The first step of a column."""
    return column * steps // columns
