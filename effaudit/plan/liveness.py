"""Liveness: how many bytes of activations exist at each step.

Figures: `sum_bytes` all activations without reuse; `max_in_out_bytes` the largest inputs + outputs of one node;
`live_bytes` the largest sum of live activations in execution order, no views, nothing in place; `inplace_bytes` the
same where views share storage and an elementwise node may write over an input that dies there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from operator import le

import msgspec

from effaudit import dims
from effaudit.dataflow import Flow, flow
from effaudit.dims import Dim, Expr
from effaudit.errors import Undecided
from effaudit.graph import Graph, Node
from effaudit.plan.lifetimes import Lifetime, lifetimes
from effaudit.plan.storage import SHARED, shared
from effaudit.quantity import Quantity

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


def analyse(graph: Graph, known: Flow | None = None) -> Liveness:
    """The liveness of a graph with inferred shapes; `known` is its data flow, where the caller has it."""
    known = known or flow(graph)
    steps = known.running
    found = lifetimes(graph, known)
    live = _extent(found, steps)
    return Liveness(
        sum_bytes=_both(found, lambda size: sum(map(size, found))),
        max_in_out_bytes=_widest(graph, known, found),
        live_bytes=live,
        inplace_bytes=_extent(shared(graph, known, found, SHARED), steps),
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
    return _both(found, lambda size: max(_profile(found, size, steps), default=0))


def _both(found: list[Lifetime], figure: Callable[[Size], int]) -> Quantity:
    """A figure that grows with every size, at the least and at the greatest size of each buffer."""
    if all(type(b.size) is int for b in found):
        exact = figure(lambda b: b.size)  # type: ignore[arg-type,return-value]
        return Quantity(exact, exact)
    low = figure(_low)
    if any(_high(b) is None for b in found):
        return Quantity(low, None, _why(found))
    high = figure(lambda b: _high(b) or 0)
    return Quantity(low, high, "" if low == high else _why(found))


def _low(buffer: Lifetime) -> int:
    return 0 if buffer.size is None else max(dims.bounds(buffer.size)[0] or 0, 0)


def _high(buffer: Lifetime) -> int | None:
    return None if buffer.size is None else dims.bounds(buffer.size)[1]


def _why(found: Iterable[Lifetime]) -> str:
    for buffer in found:
        if buffer.size is None:
            return buffer.why
        if isinstance(buffer.size, Expr):
            reasons = sorted({s.reason or f"dim {s.name} is not given" for s in dims.symbols(buffer.size)})
            return f"{buffer.name}: {reasons[0]}"
    return ""


def _profile(found: list[Lifetime], size: Size, steps: int) -> list[int]:
    """Live bytes at every step."""
    change = [0] * (steps + 2)
    for b in found:
        n = size(b)
        change[b.start] += n
        change[b.end] -= n
    return list(accumulate(change[: max(steps, 1)]))


def _peak(found: list[Lifetime], steps: int) -> Peak:
    profile = _profile(found, _low, steps)
    step = max(range(len(profile)), key=profile.__getitem__)
    alive = sorted(((b.name, _low(b)) for b in found if b.start <= step < b.end), key=lambda item: (-item[1], item[0]))
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
            outside = tuple(_varying_from_outside(node, body, known))
            key = (id(body), outside)
            if key not in seen:
                seen[key] = _body_live(body, outside, seen)
            inner = seen[key]
            high = None if inner.high is None or worst.high is None else max(inner.high, worst.high)
            worst = Quantity(max(inner.low, worst.low), high, inner.why or worst.why)
    return worst


def _varying_from_outside(node: Node, body: Graph, known: Flow) -> Iterator[str]:
    """The names a body gets from outside that depend on the model's inputs, a loop's own state included."""
    yield from (name for name in body.captured if name in known.varying)
    if "function" in node.bodies:
        yield from (inner for inner, name in zip(body.inputs, node.inputs, strict=False) if name in known.varying)
    else:
        yield from body.inputs


def _body_live(body: Graph, outside: tuple[str, ...], seen: dict[tuple[int, tuple[str, ...]], Quantity]) -> Quantity:
    known = flow(body, outside)
    held = set(body.inputs) - set(outside)  # weights handed in
    found = [b for b in lifetimes(body, known) if b.name not in body.captured and b.name not in held]
    own = _extent(found, known.running)
    inner = _bodies(body, known, seen)
    high = None if own.high is None or inner.high is None else own.high + inner.high
    return Quantity(own.low + inner.low, high, own.why or inner.why)


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
