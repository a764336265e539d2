"""The seconds of a kernel among the nodes that it computes."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

from effaudit.table import Row
from effaudit.timing.attribute.families import LAYOUT, family


def parts(rows: Sequence[Row], op: str) -> tuple[float, ...]:
    """The part of a kernel of operator `op` that each of its nodes takes; they add up to 1.

    Nodes that multiply and accumulate share it by their MACs: what is fused to them costs little beside them. Without
    one, the nodes of the kernel's own operator take it, else those that calculate, else all: by the bytes that they
    read and write, equally where these are not known.
    """
    moved = [a + b for a, b in zip(_figure(rows, "reads"), _figure(rows, "writes"), strict=True)]
    own = [b if family(row.node.op) == family(op) else 0.0 for row, b in zip(rows, moved, strict=True)]
    calculating = [0.0 if row.node.op in LAYOUT else b for row, b in zip(rows, moved, strict=True)]
    for weights in (_figure(rows, "macs"), own, calculating, moved):
        total = fsum(weights)
        if total > 0:
            return tuple(weight / total for weight in weights)
    return tuple(1 / len(rows) for _ in rows)


def _figure(rows: Sequence[Row], figure: str) -> list[float]:
    return [float(row.quantity(figure).low) for row in rows]
