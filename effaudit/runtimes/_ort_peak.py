"""The bytes that ONNX Runtime's allocator is asked for at the peak of a run, without kernels' workspaces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

from effaudit import dims
from effaudit.dataflow import Flow, flow
from effaudit.graph import Graph
from effaudit.plan.bodies import varying, within
from effaudit.plan.lifetimes import Lifetime, high, lifetimes, low, reason
from effaudit.plan.storage import Storages
from effaudit.quantity import Quantity, larger
from effaudit.runtimes._ort_reuse import BODIES, requested
from effaudit.runtimes._runtime import Runtime


def peak(graph: Graph, runtime: Runtime) -> Quantity:
    """Of a graph with inferred shapes, under `ort` or `ort-plain`; a range where the graph has bodies."""
    made = runtime.lower(graph)
    known = flow(made)
    return _peak(made, known, lifetimes(made, known), _planner(runtime))


def profile(graph: Graph, runtime: Runtime) -> tuple[tuple[str, int], ...]:
    """(operator, bytes after it) of every node that runs, at the least sizes; Constant nodes are none."""
    made = runtime.lower(graph)
    known = flow(made)
    found = requested(_planner(runtime)(made, known, lifetimes(made, known)), made)
    nodes = [node for node, runs in zip(made.nodes, known.live, strict=True) if runs]
    alive = _alive(found, known.running, [low(one) for one in found])
    return tuple((node.op, size) for node, size in zip(nodes, alive, strict=True) if node.op != "Constant")


def _planner(runtime: Runtime) -> Storages:
    assert runtime.sharing.storages is not None
    return runtime.sharing.storages


def _peak(graph: Graph, known: Flow, every: list[Lifetime], planner: Storages) -> Quantity:
    found = requested(planner(graph, known, every), graph)
    found.extend(_bodies(graph, known, planner))
    least = max(_alive(found, known.running, [low(one) for one in found]), default=0)
    sizes = [high(one) for one in found]
    most = [size for size in sizes if size is not None]
    if len(most) < len(sizes):
        return Quantity(least, None, reason(found))
    top = max(_alive(found, known.running, most), default=0)
    return Quantity(least, top, "" if least == top else reason(found))


def _bodies(graph: Graph, known: Flow, planner: Storages) -> Iterator[Lifetime]:
    """What the largest body of a node holds while it runs, its inputs (states) included: from nothing to that."""
    nodes = [node for node, runs in zip(graph.nodes, known.live, strict=True) if runs]
    for step, node in enumerate(nodes):
        worst = Quantity(0, 0)
        for body in filter(lambda b: b.runs, node.bodies.values()):
            inside, own = within(body, varying(node, body, known))
            inner = _peak(body, inside, own, planner)
            states = [high(one) for one in own if one.name in body.inputs]
            total = None if inner.high is None or None in states else inner.high + sum(size or 0 for size in states)
            worst = larger(worst, Quantity(0, total, BODIES))
        if worst.high != 0:
            name = f"bodies of {node.label}"
            size = None if worst.high is None else dims.symbol(name, 0, worst.high, "data", BODIES)
            yield Lifetime(name, step, step + 1, size, BODIES)


def _alive(found: Sequence[Lifetime], steps: int, sizes: Sequence[int]) -> list[int]:
    change = [0] * (steps + 1)
    for one, size in zip(found, sizes, strict=True):
        change[one.start] += size
        change[min(one.end, steps)] -= size
    return list(accumulate(change[:steps]))
