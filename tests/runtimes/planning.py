"""The buffers a runtime places, and a greedy planner to check figures without the planners of the package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from effaudit.audited import examine
from effaudit.dataflow import flow
from effaudit.graph import Graph
from effaudit.load import Given
from effaudit.plan.lifetimes import lifetimes
from effaudit.plan.problem import Buffer, Problem, aligned
from effaudit.plan.storage import shared
from effaudit.quantity import Quantity
from effaudit.runtimes import Runtime, find


def lowered(name: str, runtime: str, given: Given | None = None) -> Graph:
    """A sample as a runtime executes it."""
    audited = examine(f"sample:{name}") if given is None else examine(f"sample:{name}", given)
    return find(runtime).lower(audited.graph)


def problem(graph: Graph, runtime: Runtime, workspace: Callable[[Quantity], int] | None = None) -> Problem:
    """The storages of a lowered graph; with the workspaces of its nodes where one end of their range is asked for."""
    known = flow(graph)
    found = shared(graph, known, lifetimes(graph, known), runtime.sharing)
    buffers = [Buffer(b.name, b.start, b.end, aligned(b.size, runtime.align)) for b in found]
    if workspace is not None:
        running = [node for node, runs in zip(graph.nodes, known.live, strict=True) if runs]
        for step, node in enumerate(running):
            size = aligned(workspace(runtime.scratch(graph, node)), runtime.align)
            buffers.append(Buffer(f"workspace of {node.label}", step, step + 1, size))
    return Problem(tuple(buffers), runtime.align)


def tflm_arena(found: Problem) -> int:
    """GreedyMemoryPlanner: the largest first, of equal ones the latest."""
    return arena(found, sorted(range(len(found.buffers)), key=lambda i: (-found.buffers[i].size, -i)))


def least_arena(found: Problem, tries: int = 200) -> int:
    """The least arena of some random orders."""
    order, random, least = list(range(len(found.buffers))), Random(0), tflm_arena(found)
    for _ in range(tries):
        random.shuffle(order)
        least = min(least, arena(found, order))
    return least


def arena(found: Problem, order: Sequence[int]) -> int:
    """Each buffer, in this order, into the first gap among those alive with it."""
    offsets: dict[int, int] = {}
    for i in order:
        wanted, offset = found.buffers[i], 0
        with_it = [j for j in offsets if found.buffers[j].start < wanted.end and wanted.start < found.buffers[j].end]
        for j in sorted(with_it, key=offsets.__getitem__):
            if offsets[j] - offset >= wanted.size:
                break
            offset = max(offset, offsets[j] + found.buffers[j].size)
        offsets[i] = offset
    return max((offset + found.buffers[i].size for i, offset in offsets.items()), default=0)
