"""Hot spots: the nodes that hold most of each cost, and which technique is made for that cost."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Final

import msgspec

from effaudit.audited import Audited
from effaudit.table import Row
from effaudit.views.activations import made_bytes
from effaudit.views.aims import aim

FIGURES: Final = ("macs", "params", "bytes", "activation_bytes", "ops")
IN_BYTES: Final = frozenset(("bytes", "activation_bytes"))


class HotNode(msgspec.Struct, frozen=True):
    """`share` of the figure's total, and `cumulative` with all hotter nodes; 0 to 1."""

    name: str
    kind: str
    value: int
    share: float
    cumulative: float


class Hot(msgspec.Struct, frozen=True):
    """The nodes that hold most of one figure, largest first; `total` over the nodes that run, by kind in `kinds`.

    Where the figure is a range, everything counts with its lower end, and `least` is true.

    `aim` says which techniques lower this figure, given what holds it.
    """

    figure: str
    total: int
    nodes: tuple[HotNode, ...]
    kinds: dict[str, float]
    aim: str
    least: bool = False


def hot(audited: Audited, params: Sequence[int], top: int) -> tuple[Hot, ...]:
    """Hot spots of every figure; `params` per row. Ranges count with their lower end."""
    kinds, varying = audited.kinds, audited.flow.varying
    values: tuple[list[int], ...] = tuple([] for _ in FIGURES)
    places: list[int] = []
    by_kind: dict[str, list[int]] = {}
    unknown = False  # an activation without a known size
    for i, row in enumerate(audited.table.rows):
        if not row.live:
            continue
        low = row.low
        macs, ops, read, written = (
            n if type(n) is int else _low(row, f) for n, f in zip(low.figures, _OF, strict=True)
        )
        made = made_bytes(row.node, audited.graph, varying)
        unknown = unknown or made is None
        found = (macs, params[i], read + written, made or 0, ops)
        places.append(i)
        sums = by_kind.setdefault(kinds.get(i) or row.kind, [0] * len(FIGURES))
        for j, value in enumerate(found):
            values[j].append(value)
            sums[j] += value
    open_ = {name for name in _OF if audited.table.total(name).value is None}
    figures = []
    for j, figure in enumerate(FIGURES):
        held = {kind: sums[j] for kind, sums in by_kind.items() if sums[j]}
        least = not open_.isdisjoint(_PARTS[figure]) or (unknown and figure == "activation_bytes")
        figures.append(_hot(audited, Measure(figure, values[j], places, held, least), top))
    return tuple(figures)


_OF: Final = ("macs", "ops", "reads", "writes")  # the figures of a price, in its order
_PARTS: Final = {
    "macs": ("macs",),
    "params": (),
    "bytes": ("reads", "writes"),
    "activation_bytes": (),
    "ops": ("ops",),
}


def _low(row: Row, figure: str) -> int:
    return row.quantity(figure).low


class Measure(msgspec.Struct, frozen=True):
    """One figure: its value in the rows at `places`, its sum by kind, and whether it is a range's lower end."""

    figure: str
    values: list[int]
    places: list[int]
    kinds: dict[str, int]
    least: bool


def _hot(audited: Audited, measure: Measure, top: int) -> Hot:
    total, so_far = sum(measure.values), 0
    nodes = []
    # equal values in the order of the nodes: the places are ranked negated
    for value, i in heapq.nlargest(top, zip(measure.values, map(int.__neg__, measure.places), strict=True)):
        if value:
            so_far += value
            name = audited.table.rows[-i].node.label
            nodes.append(HotNode(name, audited.kind(-i), value, value / total, so_far / total))
    ranked = sorted(measure.kinds.items(), key=lambda item: -item[1])
    shares = {kind: value / total for kind, value in ranked}
    return Hot(measure.figure, total, tuple(nodes), shares, aim(measure.figure, shares), measure.least)
