"""The memory of one run: what liveness says of the graph that ONNX Runtime made, beside what its profile measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.dataflow import reads
from effaudit.errors import EffauditError
from effaudit.graph import Graph
from effaudit.run.timed_types import KernelRun, Timed
from effaudit.runtimes import find
from effaudit.runtimes._ort_peak import peak
from effaudit.runtimes._runtime import unchanged
from effaudit.timing.attribute import optimized_graph
from effaudit.timing.attribute.kernels import located
from effaudit.timing.types import PeakMemory

# ONNX Runtime's own rules, without optimizations: these are made already.
RULES: Final = "ort-plain"
NOT_PROFILED: Final = "--no-profile leaves out the profile that tells it"


def graph_made(timed: Timed, audited: Audited) -> tuple[Graph | None, str]:
    """(the graph as ONNX Runtime optimized it, with shapes; why there is none)."""
    if not timed.optimized:
        return None, timed.profile_why or timed.optimized_why or "ONNX Runtime did not save the graph it made"
    try:
        return optimized_graph(timed.optimized, audited), ""
    except EffauditError as error:
        return None, f"the graph that ONNX Runtime saved cannot be read: {error}"


def memory(timed: Timed, optimized: Graph | None) -> PeakMemory | None:
    """Bytes beside the weights at the peak of one run; None where the optimized graph is not known."""
    if optimized is None:
        return None
    profile, rules = timed.profile, find(RULES)
    ordered = None if profile is None else as_run(optimized, profile.kernels)
    predicted = peak(optimized, rules) if ordered is None else peak(ordered, replace(rules, lower=unchanged))
    if profile is None:
        return PeakMemory(predicted.low, predicted.high, None, timed.profile_why or NOT_PROFILED)
    why = None if profile.peak_bytes is not None else profile.peak_why or "ONNX Runtime's profile does not tell"
    return PeakMemory(predicted.low, predicted.high, profile.peak_bytes, why)


def as_run(optimized: Graph, ran: Sequence[KernelRun]) -> Graph | None:
    """The graph with its nodes in the order in which they ran, which is not that of the file; None where the profile
    does not have them all."""
    first: dict[int, int] = {}
    for i, place in enumerate(located(optimized, ran)):
        if place is not None:
            first.setdefault(place.top, i)
    if len(first) < len(optimized.nodes):
        return None
    nodes = [optimized.nodes[i] for i in sorted(first, key=lambda i: first[i])]
    made = {name for node in nodes for name in node.outputs}
    for node in nodes:
        if not made.isdisjoint(reads(node)):
            return None
        made.difference_update(node.outputs)
    return replace(optimized, nodes=tuple(nodes))
