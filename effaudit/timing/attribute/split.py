"""The seconds of a kernel among the nodes that it computes."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

from effaudit.table import Row
from effaudit.timing.attribute.families import LAYOUT


def parts(rows: Sequence[Row]) -> tuple[float, ...]:
    """The part of a kernel that each of its nodes takes; they add up to 1.

    Nodes that multiply and accumulate share it by their MACs: what is fused to them costs little beside them. Among
    others, those that calculate go before those that only change a layout, and they share it by the bytes that they
    read and write, equally where these are not known.
    """
    for weights in (_figure(rows, "macs"), _bytes(rows, calculating=True), _bytes(rows, calculating=False)):
        total = fsum(weights)
        if total > 0:
            return tuple(weight / total for weight in weights)
    return tuple(1 / len(rows) for _ in rows)


def _figure(rows: Sequence[Row], figure: str) -> list[float]:
    return [float(row.quantity(figure).low) for row in rows]


def _bytes(rows: Sequence[Row], *, calculating: bool) -> list[float]:
    moved = zip(_figure(rows, "reads"), _figure(rows, "writes"), rows, strict=True)
    return [0.0 if calculating and row.node.op in LAYOUT else a + b for a, b, row in moved]
