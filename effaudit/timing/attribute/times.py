"""A timed run and the graph that was run -> the times of its kernels and of the nodes of the model."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

import msgspec

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.graph import Graph, Node
from effaudit.load import Given, infer, read
from effaudit.run.timed_types import KernelRun, Timed
from effaudit.timing.attribute.kernels import Place, inner_calls, located, measured
from effaudit.timing.attribute.mapping import attribute
from effaudit.timing.attribute.reasons import missing
from effaudit.timing.attribute.shares import run_seconds
from effaudit.timing.attribute.split import parts
from effaudit.timing.attribute.types import Attributed
from effaudit.timing.types import Attribution, KernelTime, NodeTime

NOT_SAVED = "the saved graph has no such node"


class AttributedTimes(msgspec.Struct, frozen=True):
    """One inference of `seconds`, by kernel and by node. The kernels' seconds add up to it; those of the nodes and
    `unattributed_s`, of kernels that no node was found for, do too. Every node of the model is in `nodes`."""

    seconds: float
    nodes: tuple[NodeTime, ...]
    kernels: tuple[KernelTime, ...]
    attribution: Attribution
    unattributed_s: float


class _Found(msgspec.Struct, frozen=True):
    """What a kernel was found to compute: indices of nodes of the model, and as what."""

    nodes: tuple[int, ...]
    known: Attributed | None
    why: str


def optimized_graph(path: str, audited: Audited) -> Graph:
    """The graph that a runtime saved, its shapes at the sizes that `audited` was counted with. Raises LoadError."""
    raw = read(path)
    assumed = {name: info.value for name, info in audited.graph.dims.items() if info.value is not None}
    given = audited.given
    for attempt in (Given(given.dims, given.shapes, assumed), Given(assumed=assumed)):
        try:
            return infer(raw, attempt)
        except UsageError:  # the runtime settled a dim, or dropped an input
            continue
    return infer(raw)


def attributed_times(audited: Audited, optimized: Graph, timed: Timed, seconds: float) -> AttributedTimes | None:
    """The times of `timed` by kernel and by node; None without a profile, or with one of no kernels.

    `seconds` are those of one unprofiled inference, which the kernels share as `shares.run_seconds` says: what passes
    between kernels is theirs in proportion. `optimized` is the saved graph with inferred shapes (`optimized_graph`).
    """
    kernels = timed.profile.kernels if timed.profile else ()
    if not kernels:
        return None
    at = located(optimized, kernels)
    taken = run_seconds(kernels, seconds, inner_calls(kernels, at))
    found = _found(audited.graph, optimized, kernels, at)
    rows = audited.table.rows
    of_node: dict[int, float] = {}
    names: dict[int, list[str]] = {}
    fused: dict[int, str] = {}
    for kernel, one, time in zip(kernels, found, taken, strict=True):
        shares = parts([rows[n] for n in one.nodes], kernel.op) if one.nodes else ()
        for n, part in zip(one.nodes, shares, strict=True):
            names.setdefault(n, []).append(kernel.name)
            if part > 0:
                of_node[n] = of_node.get(n, 0.0) + time * part
            elif one.known is not None and one.known.role == "computes":
                fused.setdefault(n, _fused_into(one, shares, audited.graph.nodes))
    unattributed = fsum(time for one, time in zip(found, taken, strict=True) if not one.nodes)
    why = missing(audited.graph, optimized, audited.flow, fused, frozenset(of_node))
    return AttributedTimes(
        seconds=seconds,
        nodes=tuple(
            _node_time(i, audited, of_node.get(i), seconds, tuple(names.get(i, ())), why.get(i))
            for i in range(len(rows))
        ),
        kernels=tuple(
            _kernel_time(kernel, one, time, seconds, audited.graph)
            for kernel, one, time in zip(kernels, found, taken, strict=True)
        ),
        attribution=_attribution(found, taken),
        unattributed_s=unattributed,
    )


def _found(original: Graph, optimized: Graph, kernels: Sequence[KernelRun], at: Sequence[Place | None]) -> list[_Found]:
    known = attribute(original, optimized, measured(kernels, at))
    return [_Found((), None, NOT_SAVED) if place is None else _of(place, known) for place in at]


def _of(place: Place, known: Sequence[Attributed]) -> _Found:
    """A kernel in a body belongs to the nodes of the model that its outermost node computes."""
    outer = known[place.top]
    if not place.inner:
        return _Found(outer.nodes, outer, outer.why)
    inner: Attributed | None = outer
    for name, i in place.inner:
        scope = inner.inner.get(name) if inner is not None else None
        inner = scope[i] if scope is not None else None
    return _Found(outer.nodes, inner, "runs in a body of this node")


def _fused_into(one: _Found, shares: Sequence[float], nodes: Sequence[Node]) -> str:
    largest = max(range(len(shares)), key=lambda k: shares[k])
    main = nodes[one.nodes[largest]]
    return f"fused into {main.op} {main.label}"


def _attribution(found: Sequence[_Found], taken: Sequence[float]) -> Attribution:
    verdicts = [one.known.consistent for one in found if one.nodes and one.known is not None]
    compared = [verdict for verdict in verdicts if verdict is not None]
    total = fsum(taken)
    with_nodes = fsum(time for one, time in zip(found, taken, strict=True) if one.nodes)
    return Attribution(
        kernels=len(found),
        attributed_ratio=with_nodes / total if total else 1.0,
        consistent_ratio=sum(compared) / len(compared) if compared else None,
    )


def _kernel_time(kernel: KernelRun, one: _Found, time: float, seconds: float, graph: Graph) -> KernelTime:
    return KernelTime(
        name=kernel.name,
        op=kernel.op,
        seconds=time,
        share=time / seconds if seconds else 0.0,
        calls=kernel.calls,
        nodes=tuple(graph.nodes[n].label for n in one.nodes),
        consistent=None if one.known is None or not one.nodes else one.known.consistent,
        why=one.why or None,
    )


def _node_time(
    i: int, audited: Audited, time: float | None, seconds: float, kernels: tuple[str, ...], why: str | None
) -> NodeTime:
    row = audited.table.rows[i]
    macs, ops = row.quantity("macs").value, row.quantity("ops").value
    read, written = row.quantity("reads").value, row.quantity("writes").value
    moved = None if read is None or written is None else read + written
    return NodeTime(
        index=i,
        name=row.node.label,
        op=row.node.op,
        seconds=time,
        share=None if time is None or not seconds else time / seconds,
        kernels=kernels,
        macs=macs,
        ops=ops,
        bytes=moved,
        mac_per_s=macs / time if time and macs else None,
        byte_per_s=moved / time if time and moved else None,
        efficiency=None,
        predicted_s=None,
        why=why if time is None else None,
        kind=audited.kind(i),
    )
