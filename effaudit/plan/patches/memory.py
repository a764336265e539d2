"""Bytes alive while a stage runs patch by patch, and while the rest of the graph runs after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Literal

import msgspec

from effaudit.dataflow import Flow
from effaudit.graph import Graph
from effaudit.plan.lifetimes import Lifetime, lifetimes
from effaudit.plan.patches.spans import Blocked
from effaudit.plan.patches.stage import Stage
from effaudit.plan.storage import APART, Sharing, shared

# "resident": the graph inputs lie in memory, whole, while the stage runs. "streamed": of each, only what the patch
# needs is there (it comes from a camera or from flash), from the patch's start to its last reader.
Feed = Literal["resident", "streamed"]


class Keeping(msgspec.Struct, frozen=True):
    """How the memory of a stage is counted, whatever the patch.

    `within` is the stage as a graph of its own, `flow` its data flow. `kept` bytes are there from the first patch to
    the last; `alive` are the spans, in steps of the stage, of the tensors of which a patch has a part.
    """

    within: Graph
    flow: Flow
    sharing: Sharing
    kept: int
    alive: tuple[tuple[str, int, int], ...]


def keeping(graph: Graph, flow: Flow, stage: Stage, feed: Feed, sharing: Sharing) -> Keeping:
    """The same rules as those of the whole graph: a node's inputs and outputs coexist, a tensor lives until its last
    reader. What the stage makes is there as a whole from the first patch on, and patches write into it."""
    indices = [step.index for step in stage.steps]
    nodes = tuple(graph.nodes[i] for i in indices)
    within = msgspec.structs.replace(graph, nodes=nodes, inputs=stage.inputs, outputs=(stage.tensor,))
    inner = Flow(tuple(flow.reads[i] for i in indices), (True,) * len(nodes), flow.varying)
    kept = stage.tensors[stage.tensor].whole
    apart = {stage.tensor}
    if feed == "resident":
        kept += sum(waiting(graph, flow, stage))
        apart.update(stage.inputs)
    alive = tuple((b.name, b.start, b.end) for b in lifetimes(within, inner) if b.name not in apart)
    return Keeping(within, inner, sharing, kept, alive)


def waiting(graph: Graph, flow: Flow, stage: Stage) -> Iterable[int]:
    """Bytes of the graph inputs that are read, by the stage or after it."""
    read = {name for names, runs in zip(flow.reads, flow.live, strict=True) if runs for name in names}
    for name in graph.inputs:
        if name in stage.tensors:
            yield stage.tensors[name].whole
        elif name in flow.varying and (name in read or name in graph.outputs):
            value = graph.values[name]
            if value.shape is None or type(value.nbytes) is not int or value.encoding.bits == 0:
                raise Blocked(f"the size of the input {name} is not known")
            yield value.nbytes


def peak(stage: Stage, held: Keeping, lengths: Mapping[str, tuple[int, ...]]) -> tuple[int, int]:
    """(bytes, the step of the stage they are reached at) of a patch that has parts of these lengths."""
    sizes = [stage.tensors[name].nbytes(lengths[name]) for name, _, _ in held.alive]
    if held.sharing == APART:
        spans = [(start, end, size) for (_, start, end), size in zip(held.alive, sizes, strict=True)]
    else:
        found = [Lifetime(*one, size) for one, size in zip(held.alive, sizes, strict=True)]
        left = shared(held.within, held.flow, found, held.sharing)
        spans = [(b.start, b.end, b.size) for b in left]  # type: ignore[misc]
    most, at = _highest(spans, len(stage.steps))
    return held.kept + most, at


def rest(graph: Graph, flow: Flow, indices: Iterable[int], tensor: str, sharing: Sharing) -> int:
    """The most bytes alive while the nodes outside a stage run, in their order, with the stage's tensor as an input.

    Raises Blocked where a size is not known.
    """
    inside = set(indices)
    live = tuple(runs and i not in inside for i, runs in enumerate(flow.live))
    names = {name for i, runs in enumerate(live) if runs for name in flow.reads[i]} | set(graph.outputs)
    others = tuple(name for name in graph.inputs if name in names)
    after = Flow(flow.reads, live, flow.varying)
    found = lifetimes(msgspec.structs.replace(graph, inputs=(tensor, *others)), after)
    # The tensor lies in the arena: what is computed in place may take its bytes, unlike those of an input.
    left = shared(msgspec.structs.replace(graph, inputs=others), after, found, sharing)
    unknown = next((b for b in left if type(b.size) is not int), None)
    if unknown is not None:
        raise Blocked(f"the size of {unknown.name} is not known{': ' * bool(unknown.why)}{unknown.why}")
    return _highest([(b.start, b.end, b.size) for b in left], sum(live))[0]  # type: ignore[misc]


def after_each(graph: Graph, flow: Flow) -> list[int] | None:
    """By node, the most bytes alive while the nodes after it run, nothing sharing bytes; None where a size is not
    known. After a node that one tensor alone leads on from, this is the `rest`."""
    found = lifetimes(graph, flow)
    if any(type(b.size) is not int for b in found):
        return None
    profile = _profile([(b.start, b.end, b.size) for b in found], flow.running)  # type: ignore[misc]
    most, at = 0, len(profile) - 1
    after = [0] * len(flow.live)
    for i in range(len(after) - 1, -1, -1):
        after[i] = most
        if flow.live[i]:
            most, at = max(most, profile[at]), at - 1
    return after


def _highest(spans: Sequence[tuple[int, int, int]], steps: int) -> tuple[int, int]:
    """The most bytes alive at one step, and the first such step."""
    profile = _profile(spans, steps)
    most = max(profile)
    return most, profile.index(most)


def _profile(spans: Sequence[tuple[int, int, int]], steps: int) -> list[int]:
    """Bytes alive at every step, of (start, end, bytes)."""
    change = [0] * (steps + 2)
    for start, end, size in spans:
        change[start] += size
        change[end] -= size
    return list(accumulate(change[: max(steps, 1)]))
