"""The bytes that ONNX Runtime's allocator is asked for at the peak of a run, without kernels' workspaces."""

from __future__ import annotations

from itertools import accumulate

from effaudit.dataflow import flow
from effaudit.graph import Graph
from effaudit.plan.lifetimes import Lifetime, high, lifetimes, low, reason
from effaudit.quantity import Quantity
from effaudit.runtimes._ort_reuse import Replayed, requested
from effaudit.runtimes._runtime import Runtime


def peak(graph: Graph, runtime: Runtime) -> Quantity:
    """Of a graph with inferred shapes, under `ort` or `ort-plain`. What bodies hold while they run is not in it."""
    found, steps = _storages(graph, runtime)
    least = max(_alive(found, steps, [low(one) for one in found]), default=0)
    sizes = [high(one) for one in found]
    most = [size for size in sizes if size is not None]
    if len(most) < len(sizes):
        return Quantity(least, None, reason(found))
    top = max(_alive(found, steps, most), default=0)
    return Quantity(least, top, "" if least == top else reason(found))


def profile(graph: Graph, runtime: Runtime) -> tuple[tuple[str, int], ...]:
    """(operator, bytes after it) of every node that runs, at the least sizes; Constant nodes are none."""
    found, steps = _storages(graph, runtime)
    made = runtime.lower(graph)
    nodes = [node for node, runs in zip(made.nodes, flow(made).live, strict=True) if runs]
    alive = _alive(found, steps, [low(one) for one in found])
    return tuple((node.op, size) for node, size in zip(nodes, alive, strict=True) if node.op != "Constant")


def _storages(graph: Graph, runtime: Runtime) -> tuple[list[Lifetime], int]:
    made = runtime.lower(graph)
    known = flow(made)
    sharing = runtime.sharing
    assert isinstance(sharing, Replayed) and sharing.storages is not None
    return requested(sharing.storages(made, known, lifetimes(made, known)), made), known.running


def _alive(found: list[Lifetime], steps: int, sizes: list[int]) -> list[int]:
    change = [0] * (steps + 1)
    for one, size in zip(found, sizes, strict=True):
        change[one.start] += size
        change[min(one.end, steps)] -= size
    return list(accumulate(change[:steps]))
