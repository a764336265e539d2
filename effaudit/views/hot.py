"""Hot spots: the nodes that hold most of each cost, and which technique is made for that cost."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from effaudit.audited import Audited
from effaudit.table import Row
from effaudit.views.aims import aim

FIGURES: Final = ("macs", "params", "bytes", "activations", "ops")


class HotNode(msgspec.Struct, frozen=True):
    """`share` of the figure's total, and `cumulative` with all hotter nodes; 0 to 1."""

    name: str
    kind: str
    value: int
    share: float
    cumulative: float


class Hot(msgspec.Struct, frozen=True):
    """The nodes that hold most of one figure, largest first; `total` over the nodes that run, by kind in `kinds`.

    `aim` says which techniques lower this figure, given what holds it.
    """

    figure: str
    total: int
    nodes: tuple[HotNode, ...]
    kinds: dict[str, float]
    aim: str


def hot(audited: Audited, params: Sequence[int], top: int) -> tuple[Hot, ...]:
    """Hot spots of every figure; `params` per row. Ranges count with their lower end."""
    varying = audited.flow.varying
    measures: dict[str, Callable[[int, Row], int]] = {
        "macs": lambda i, row: _low(row, "macs"),
        "params": lambda i, row: params[i],
        "bytes": lambda i, row: _low(row, "reads") + _low(row, "writes"),
        "activations": lambda i, row: _made(row, varying),
        "ops": lambda i, row: _low(row, "ops"),
    }
    return tuple(_hot(audited, figure, measures[figure], top) for figure in FIGURES)


def _hot(audited: Audited, figure: str, measure: Callable[[int, Row], int], top: int) -> Hot:
    ranked = [(measure(i, row), -i) for i, row in enumerate(audited.table.rows) if row.live]
    total = sum(value for value, _ in ranked)
    kinds: Counter[str] = Counter()
    for value, i in ranked:
        if value:
            kinds[audited.kind(-i)] += value
    nodes, so_far = [], 0
    for value, i in heapq.nlargest(top, ranked):
        if value:
            so_far += value
            name = audited.table.rows[-i].node.label
            nodes.append(HotNode(name, audited.kind(-i), value, value / total, so_far / total))
    shares = {kind: value / total for kind, value in kinds.most_common()}
    return Hot(figure, total, tuple(nodes), shares, aim(figure, shares))


def _low(row: Row, figure: str) -> int:
    low = getattr(row.low, figure)
    return low if type(low) is int else row.quantity(figure).low


def _made(row: Row, varying: frozenset[str]) -> int:
    """Bytes of the activations a node makes; a view makes none."""
    if not any(name in varying for name in row.node.outputs):
        return 0
    return _low(row, "writes")
