"""The receptive field of every feature map: which part of a graph input one of its positions sees.

Araujo, Norris, Sim: Computing Receptive Fields of Convolutional Neural Networks, Distill 2019,
https://distill.pub/2019/computing-receptive-fields/. Their recursion is followed in intervals of input positions, which
keeps it exact where maps grow again, where axes are merged or swapped, and where branches meet (the least interval that
holds those of all branches). Padding counts as more input, as it does there: `size` may exceed the input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import inf
from typing import Final

import msgspec

from effaudit.audited import Audited
from effaudit.dims import Dim
from effaudit.graph import Graph, Shape
from effaudit.ops._registry import rules_for
from effaudit.views.reach import steps
from effaudit.views.reach.reach import Field, Reach
from effaudit.views.reach.steps import Steps
from effaudit.views.reach.walk import Seen, Walk, slides, sources

WINDOW: Final = "window"  # an interval that moves with the position
FIXED: Final = "fixed"  # the same part of the input at every position
GLOBAL: Final = "global"  # all of the input at every position
UNKNOWN: Final = "unknown"
FREE: Final = "it does not depend on a graph input"
SHAPES: Final = "it depends on the shapes of the graph inputs, not on their values"
NO_AXIS: Final = "no operator slides over an axis of the graph inputs it depends on"
Dims = tuple[int | str, ...]


class AxisField(msgspec.Struct, frozen=True):
    """What a position sees along one axis of a graph input, in positions (pixels) of that input.

    `axis` is the axis of the graph input and `extent` its length; `carried` the axis of the output that moves the
    window. `size` is the extent of the largest window, `smallest` that of the smallest (they differ only where maps are
    enlarged or laid side by side), `clipped` = min(size, extent). `stride`, exact text ("2", "0.5", "1/3"): how far the
    window moves per position. `start`: the centre of the first position's window, where 0 is the centre of the first
    pixel. `padding`: how far that window reaches before the first pixel (negative: it begins behind it).

    `scope` "global": all of the input is seen; `local`, `stride`, `start` and `padding` then describe what is seen
    without the paths that see everything (squeeze-and-excite gates, norms over a map), None where no path is left.
    """

    axis: int
    extent: int | None
    carried: int | None
    scope: str
    size: int | None
    smallest: int | None
    clipped: int | None
    stride: str | None
    start: str | None
    padding: int | None
    local: int | None = None
    why: str = ""


class FeatureMap(msgspec.Struct, frozen=True):
    """One node output and one graph input it depends on. `scope` is the least certain of its axes, or the most local.

    `node` is the place of the node in the graph, `label` its name. `notes` say where branches disagree.
    """

    node: int
    label: str
    op: str
    output: str
    shape: Dims | None
    input: str
    scope: str
    axes: tuple[AxisField, ...]
    notes: tuple[str, ...] = ()
    why: str = ""


class NotSpatial(msgspec.Struct, frozen=True):
    """A node output without a receptive field, and why."""

    node: int
    label: str
    op: str
    output: str
    why: str


class SpatialInput(msgspec.Struct, frozen=True):
    """A graph input and those of its axes that an operator slides over."""

    name: str
    shape: Dims
    axes: tuple[int, ...]


class ReceptiveFields(msgspec.Struct, frozen=True):
    """Every node output, either in `rows` (once per graph input with spatial axes it depends on) or in `not_spatial`.

    `last` and `outputs` are places in `rows`: the last maps whose positions still see a window of their own, and the
    model's outputs.
    """

    inputs: tuple[SpatialInput, ...]
    rows: tuple[FeatureMap, ...]
    not_spatial: tuple[NotSpatial, ...]
    last: tuple[int, ...]
    outputs: tuple[int, ...]


def receptive_field(audited: Audited) -> ReceptiveFields:
    """The receptive fields of a model. Linear in its nodes; work past a bound becomes "unknown", with that reason."""
    graph = audited.graph
    walk = Walk(rules_for(graph), len(graph.nodes))
    seen = walk.graph(graph, sources(graph))[0] if slides(graph) else [_blind(len(n.outputs)) for n in graph.nodes]
    spatial: dict[str, list[int]] = {}
    for name, axis in sorted(walk.slides):
        spatial.setdefault(name, []).append(axis)
    rows, others = _Rows(graph, spatial).split(seen, audited.flow.varying)
    inputs = tuple(SpatialInput(n, _text(graph.values[n].shape or ()), tuple(axes)) for n, axes in spatial.items())
    outside = set(graph.outputs)
    return ReceptiveFields(
        inputs=inputs,
        rows=rows,
        not_spatial=others,
        last=_last(rows, audited),
        outputs=tuple(i for i, row in enumerate(rows) if row.output in outside),
    )


def _blind(outputs: int) -> Seen:
    return Seen(tuple({} for _ in range(outputs)))


def _last(rows: Sequence[FeatureMap], audited: Audited) -> tuple[int, ...]:
    """The rows that see a window, and whose every reader sees everything."""
    found = {i: row for i, row in enumerate(rows) if _windowed(row) and audited.flow.live[row.node]}
    followed: set[tuple[str, str]] = set()
    for row in found.values():
        followed.update((name, row.input) for name in audited.flow.reads[row.node])
    return tuple(i for i, row in found.items() if (row.output, row.input) not in followed)


def _windowed(row: FeatureMap) -> bool:
    """A map that is still laid out in space: no two axes of the input on one of its own (flattened)."""
    places = [axis.carried for axis in row.axes if axis.carried is not None]
    return bool(places) and len(set(places)) == len(places)


class _Rows:
    """Turns fields into rows; equal fields of equal shapes are described once."""

    def __init__(self, graph: Graph, spatial: Mapping[str, Sequence[int]]) -> None:
        self.graph = graph
        self.spatial = spatial
        self.known: dict[tuple[int, Shape | None], tuple[Field, dict[str, tuple[AxisField, ...]]]] = {}

    def split(
        self, seen: Sequence[Seen], varying: frozenset[str]
    ) -> tuple[tuple[FeatureMap, ...], tuple[NotSpatial, ...]]:
        """(rows, outputs that are none)."""
        rows: list[FeatureMap] = []
        others: list[NotSpatial] = []
        for i, (node, found) in enumerate(zip(self.graph.nodes, seen, strict=True)):
            for name, field in zip(node.outputs, found.fields, strict=True):
                if not name:
                    continue
                shape = self.graph.values[name].shape
                described = self._axes(field, shape) if field else {}
                for source, axes in described.items():
                    rows.append(
                        FeatureMap(
                            node=i,
                            label=node.label,
                            op=node.op,
                            output=name,
                            shape=None if shape is None else _text(shape),
                            input=source,
                            scope=_scope(axes),
                            axes=axes,
                            notes=found.notes,
                            why=next((axis.why for axis in axes if axis.scope == UNKNOWN), ""),
                        )
                    )
                if not described:
                    why = NO_AXIS if field or not self.spatial else SHAPES
                    others.append(NotSpatial(i, node.label, node.op, name, why if name in varying else FREE))
        return tuple(rows), tuple(others)

    def _axes(self, field: Field, shape: Shape | None) -> dict[str, tuple[AxisField, ...]]:
        key = (id(field), shape)
        if key not in self.known:
            made = {
                name: _apart(tuple(_described(reaches[axis], axis, shape) for axis in self.spatial[name]))
                for name, reaches in field.items()
                if name in self.spatial
            }
            self.known[key] = field, made  # the field is kept alive: its id names it
        return self.known[key][1]


def _text(shape: Sequence[Dim]) -> Dims:
    return tuple(d if isinstance(d, int) else str(d) for d in shape)


def _scope(axes: Sequence[AxisField]) -> str:
    scopes = {axis.scope for axis in axes}
    return next(scope for scope in (UNKNOWN, WINDOW, FIXED, GLOBAL) if scope in scopes)


def _apart(axes: tuple[AxisField, ...]) -> tuple[AxisField, ...]:
    """Axes of the input that lie on one axis of the output (flattened maps) have no stride of their own."""
    places = [axis.carried for axis in axes if axis.carried is not None]
    return tuple(
        msgspec.structs.replace(axis, stride=None)
        if axis.carried is not None and places.count(axis.carried) > 1
        else axis
        for axis in axes
    )


def _described(reach: Reach, axis: int, shape: Shape | None) -> AxisField:
    scope = GLOBAL if reach.whole else UNKNOWN if reach.why else WINDOW if reach.terms else FIXED
    everything = reach.extent if reach.whole else None
    blank = AxisField(
        axis, reach.extent, None, scope, everything, everything, everything, None, None, None, None, reach.why
    )
    if not reach.local or shape is None:
        return blank
    main, low, high = _main(reach, shape)
    base = Reach(None, low, high, ())
    size, smallest, first = _extents(None if main is None else main[1], base, 1 if main is None else shape[main[0]])
    made = msgspec.structs.replace(
        blank,
        carried=None if main is None else main[0],
        stride=None if main is None else _stride(main[1]),
        start=None if first is None else exact(Fraction(int(first[0] + first[1]), 2)),
        padding=None if first is None else int(-first[0]),
    )
    if reach.whole:
        return msgspec.structs.replace(made, local=size)
    clipped = size if reach.extent is None else min(size, reach.extent)
    return msgspec.structs.replace(made, size=size, smallest=smallest, clipped=clipped)


def _main(reach: Reach, shape: Shape) -> tuple[tuple[int, Steps] | None, float, float]:
    """The term that moves the window farthest, and the base with all others mixed in (channels that hold pixels)."""
    low, high = reach.low, reach.high
    if not reach.terms:
        return None, low, high
    main = max(reach.terms, key=lambda term: (_travel(term[1], shape[term[0]]), -term[0]))
    for axis, term in reach.terms:
        size = shape[axis]
        if axis != main[0]:
            least, most = steps.hull(term, range(size if isinstance(size, int) else len(term.low)))
            low, high = low + least, high + most
    return main, low, high


def _stride(term: Steps) -> str | None:
    """How far the window moves per position; None where it moves back and forth (laid side by side, folded)."""
    if not term.shift or not (_onward(term.low, term.shift) and _onward(term.high, term.shift)):
        return None
    return exact(Fraction(term.shift, len(term.low)))


def _onward(ends: Sequence[float], shift: int) -> bool:
    """Whether one end of the window moves one way only, over a period and into the next."""
    seen = [end for end in ends if abs(end) != inf]
    following = [*seen[1:], *(end + shift for end in seen[:1])]
    return all((b - a) * shift >= 0 for a, b in zip(seen, following, strict=True))


def _travel(term: Steps, size: Dim) -> float:
    """How far a term moves the window over all positions."""
    count = size if isinstance(size, int) else steps.MAX_TABLE
    if term.shift is not None:
        return abs(term.shift) * max(count, 2) / len(term.low)
    lows = [low for low in term.low if low != inf]
    return max(lows) - min(lows) if lows else 0


def _extents(term: Steps | None, base: Reach, count: Dim) -> tuple[int, int, tuple[float, float] | None]:
    """(largest, smallest, first window or None where the first position sees nothing)."""
    if term is None:
        size = int(base.high - base.low) + 1
        return size, size, (base.low, base.high)
    period = len(term.low)
    cells = range(min(period, count) if isinstance(count, int) and count > 0 else period)
    widths = [int(term.high[i] - term.low[i] + base.high - base.low) + 1 for i in cells if term.low[i] <= term.high[i]]
    low, high = term.at(0)
    first = (low + base.low, high + base.high) if low <= high else None
    return max(widths, default=0), min(widths, default=0), first


def exact(number: Fraction) -> str:
    """A fraction as exact text: "2", "15.5", "1/3"."""
    rest = number.denominator
    places = 0
    while rest % 10 == 0 or rest % 2 == 0 or rest % 5 == 0:
        rest = rest // 10 if rest % 10 == 0 else rest // 2 if rest % 2 == 0 else rest // 5
        places += 1
    if rest != 1:
        return str(number)
    if not places:
        return str(number.numerator)
    scaled = abs(number.numerator) * 10**places // number.denominator
    whole, fraction = divmod(scaled, 10**places)
    return f"{'-' if number < 0 else ''}{whole}.{fraction:0{places}d}"
