"""Liveness: how many bytes of activations exist at each step.

Figures: `sum_bytes` all activations without reuse; `max_in_out_bytes` the largest inputs + outputs of one node;
`live_bytes` the largest sum of live activations in execution order, no views, nothing in place; `inplace_bytes` the
same where views share storage and an elementwise node may write over an input that dies there.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from operator import le

import msgspec

from effaudit import dims
from effaudit.dataflow import Flow, flow
from effaudit.dims import Dim
from effaudit.errors import Undecided
from effaudit.graph import Graph
from effaudit.plan.bodies import varying, within
from effaudit.plan.lifetimes import Lifetime, high, lifetimes, low, reason
from effaudit.plan.storage import SHARED, Sharing, shared
from effaudit.quantity import Quantity, add, larger

MAX_CANDIDATES = 12


class Peak(msgspec.Struct, frozen=True):
    """The step where most is alive, and what is alive there, largest first."""

    step: int
    alive: tuple[tuple[str, int], ...]


class Liveness(msgspec.Struct, frozen=True):
    """Every figure of a graph, in bytes."""

    sum_bytes: Quantity
    max_in_out_bytes: Quantity
    live_bytes: Quantity
    inplace_bytes: Quantity
    body_live_bytes: Quantity
    peak: Peak | None


def analyse(graph: Graph, known: Flow | None = None, sharing: Sharing = SHARED) -> Liveness:
    """The liveness of a graph with inferred shapes; `known` is its data flow, where the caller has it. `sharing` says
    which tensors share storage in `inplace_bytes`."""
    known = known or flow(graph)
    steps = known.running
    found = lifetimes(graph, known)
    live = _extent(found, steps)
    return Liveness(
        sum_bytes=_both(found, lambda size: sum(map(size, found))),
        max_in_out_bytes=_widest(graph, known, found),
        live_bytes=live,
        inplace_bytes=_extent(shared(graph, known, found, sharing), steps),
        body_live_bytes=_bodies(graph, known, {}),
        peak=_peak(found, steps) if live.value is not None else None,
    )


def live_formula(graph: Graph) -> Dim | None:
    """`live_bytes` as an expression of the symbolic dims: the greatest of the steps that no other step dominates.

    None where it cannot be told, or too many steps are left.
    """
    known = flow(graph)
    try:
        return _formula(lifetimes(graph, known), known.running)
    except Undecided:  # more open dims than a formula can hold
        return None


Size = Callable[[Lifetime], int]


def _extent(found: list[Lifetime], steps: int) -> Quantity:
    return _both(found, lambda size: max(profile(found, size, steps), default=0))


def _both(found: list[Lifetime], figure: Callable[[Size], int]) -> Quantity:
    """A figure that grows with every size, at the least and at the greatest size of each buffer."""
    if all(type(b.size) is int for b in found):
        exact = figure(lambda b: b.size)  # type: ignore[arg-type,return-value]
        return Quantity(exact, exact)
    least = figure(low)
    if any(high(b) is None for b in found):
        return Quantity(least, None, reason(found))
    most = figure(lambda b: high(b) or 0)
    return Quantity(least, most, "" if least == most else reason(found))


def profile(found: list[Lifetime], size: Size, steps: int) -> list[int]:
    """The sum of what is alive at every step; at one step where there are none."""
    change = [0] * (steps + 2)
    for b in found:
        n = size(b)
        change[b.start] += n
        change[b.end] -= n
    return list(accumulate(change[: max(steps, 1)]))


def _peak(found: list[Lifetime], steps: int) -> Peak:
    sums = profile(found, low, steps)
    step = max(range(len(sums)), key=sums.__getitem__)
    alive = sorted(((b.name, low(b)) for b in found if b.start <= step < b.end), key=lambda item: (-item[1], item[0]))
    return Peak(step, tuple(alive))


def _widest(graph: Graph, known: Flow, found: list[Lifetime]) -> Quantity:
    """The largest sum of the activations one running node touches."""
    by_name = {b.name: b for b in found}
    touched = [
        [by_name[name] for name in dict.fromkeys((*read, *node.outputs)) if name in by_name]
        for node, read, runs in zip(graph.nodes, known.reads, known.live, strict=True)
        if runs
    ]
    return _both(found, lambda size: max((sum(map(size, row)) for row in touched), default=0))


def _bodies(graph: Graph, known: Flow, seen: dict[tuple[int, tuple[str, ...]], Quantity]) -> Quantity:
    """The largest `live_bytes` inside one body (bodies of one node never run at the same time)."""
    worst = Quantity(0, 0)
    for node in graph.nodes:
        for body in filter(lambda b: b.runs, node.bodies.values()):
            outside = varying(node, body, known)
            key = (id(body), outside)
            if key not in seen:
                seen[key] = _body_live(body, outside, seen)
            inner = seen[key]
            worst = larger(worst, inner)
    return worst


def _body_live(body: Graph, outside: tuple[str, ...], seen: dict[tuple[int, tuple[str, ...]], Quantity]) -> Quantity:
    known, found = within(body, outside)
    own = _extent(found, known.running)
    inner = _bodies(body, known, seen)
    return add((own, inner))


def _formula(found: list[Lifetime], steps: int) -> Dim | None:
    if any(b.size is None for b in found):
        return None
    change: list[Dim] = [0] * (steps + 2)
    for b in found:
        assert b.size is not None
        change[b.start] = change[b.start] + b.size
        change[b.end] = change[b.end] - b.size
    total: Dim = 0
    distinct: dict[Dim, None] = {}
    for step in range(max(steps, 1)):
        total = total + change[step]
        distinct[total] = None
    return _greatest(list(distinct))


def _greatest(candidates: list[Dim]) -> Dim | None:
    """The maximum of expressions, None where too many remain undominated to be worth reading."""
    names = sorted({s.name for c in candidates for s in dims.symbols(c)})
    tried = [dict.fromkeys(names, scale) for scale in (1, 16, 256, 4096, 65536)]
    tried += [dict.fromkeys(names, 1) | {name: 4096} for name in names[:MAX_CANDIDATES]]
    values = {c: tuple(dims.evaluate(c, at) or 0 for at in tried) for c in candidates}
    # Those that win somewhere come first: they dominate most of the others.
    best = [max(column) for column in zip(*values.values(), strict=True)]
    leaders = [next(c for c in candidates if values[c][i] == most) for i, most in enumerate(best)]
    kept: list[Dim] = []

    def dominated(dim: Dim, by: Dim) -> bool:
        return all(map(le, values[dim], values[by])) and dims.lower(by - dim) >= 0

    for candidate in dict.fromkeys((*leaders, *candidates)):
        if not any(dominated(candidate, other) for other in kept):
            kept = [other for other in kept if not dominated(other, candidate)]
            kept.append(candidate)
        if len(kept) > MAX_CANDIDATES:
            return None
    return dims.maximum(*kept)
