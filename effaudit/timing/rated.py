"""How fast nodes ran for what they compute: beside the roofline of the host, and beside what the report says of them.

The roofline is that of Williams, Waterman and Patterson (https://doi.org/10.1145/1498765.1498785): the longer of the
operations at the dense peak and of the bytes at the full bandwidth. It is taken of the kernels that ran, whose
intermediate tensors fusion has done away with, and handed on to the nodes in proportion to their time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from effaudit.audited import Audited
from effaudit.device.peaks import dense_flop_per_s
from effaudit.device.types import Device, DeviceRuntime
from effaudit.estimate.rates import engine_of
from effaudit.estimate.roofline import flops_of
from effaudit.estimate.setting import setting
from effaudit.estimate.timing import memory_time
from effaudit.estimate.work import kernels
from effaudit.graph import Graph
from effaudit.report.nodes import tensor_type
from effaudit.run.timed_types import KernelRun
from effaudit.timing.attribute.kernels import located
from effaudit.timing.types import KernelTime, NodeTime
from effaudit.views.owners import by_row, owners

SLOW: Final = 0.25  # of the roofline: a node below it is slow for what it computes
WORTH: Final = 0.02  # of the time of a run: a node with less is not worth a word


def roofs(optimized: Graph, ran: Iterable[KernelRun], runtime: DeviceRuntime, device: Device) -> dict[str, float]:
    """Seconds that the peaks of a host allow for each kernel, by its name; those that the profile does not tell are
    left out, and so are kernels in bodies."""
    weights = sum(constant.nbytes for constant in optimized.constants.values())
    where = setting(device, runtime, weights, 0)
    engine = engine_of(device, runtime.engine)
    times: dict[int, float] = {}
    work = [where.computed(kernel) for kernel in kernels(optimized)]
    working = {kernel.index for kernel in work}
    for kernel in work:
        peak = None if engine is None else dense_flop_per_s(engine, kernel.dtype)
        memory, _ = memory_time(kernel, where, 1.0, 1.0)
        flops = flops_of(kernel)
        if memory is not None and (peak or not flops):
            times[kernel.index] = max(flops / peak if peak else 0.0, memory)
    kernel_runs = tuple(ran)
    found: dict[str, float] = {}
    for run, place in zip(kernel_runs, located(optimized, kernel_runs), strict=True):
        if place is not None and not place.inner:
            known = times.get(place.top) if place.top in working else 0.0  # what only renames bytes takes none
            if known is not None:
                found[run.name] = found.get(run.name, 0.0) + known * max(run.calls, 1.0)
    return found


def ratio(node: NodeTime, found: Mapping[str, float], times: Mapping[str, float]) -> float | None:
    """What was `found` of the kernels of a node over their `times`, both in seconds; None where one is not known."""
    names = dict.fromkeys(node.kernels)
    total = sum(times.get(name, 0.0) for name in names)
    if not names or not total or any(name not in found for name in names):
        return None
    return sum(found[name] for name in names) / total


def times_of(ran: Iterable[KernelTime]) -> dict[str, float]:
    """Seconds of kernels by name; ONNX Runtime may give a name twice."""
    times: dict[str, float] = {}
    for kernel in ran:
        times[kernel.name] = times.get(kernel.name, 0.0) + kernel.seconds
    return times


def rated(
    nodes: Iterable[NodeTime], audited: Audited, roof: Mapping[str, float], ran: Iterable[KernelTime]
) -> tuple[NodeTime, ...]:
    """The nodes with what the report says of each, and their efficiency under the `roof` of each kernel."""
    places = owners(audited.table)
    params = [count for count, _ in by_row(audited.table, audited.weights.by_reader(), places)]
    times = times_of(ran)
    return tuple(_rated(node, audited, params[node.index], ratio(node, roof, times)) for node in nodes)


def _rated(node: NodeTime, audited: Audited, params: int, efficiency: float | None) -> NodeTime:
    known = node.seconds is not None and efficiency is not None
    first = next((name for name in audited.graph.nodes[node.index].outputs if name), None)
    return msgspec.structs.replace(
        node,
        kind=audited.kind(node.index),
        params=params,
        shape=None if first is None else tensor_type(first, audited.graph.values[first]).shape,
        efficiency=efficiency if known else None,
        slow=known and slow(efficiency, node.share),
    )


def slow(efficiency: float | None, share: float | None) -> bool:
    """Whether a node takes part of the time worth naming, and less than a quarter of it at the peaks of the host."""
    return efficiency is not None and efficiency < SLOW and (share or 0.0) >= WORTH


def with_predictions(nodes: Iterable[NodeTime], ran: Sequence[KernelTime]) -> tuple[NodeTime, ...]:
    """The nodes with the predicted seconds of their kernels, in proportion to their measured time."""
    guesses: dict[str, float] = {}
    for kernel in ran:
        if kernel.predicted_s is not None:
            guesses[kernel.name] = guesses.get(kernel.name, 0.0) + kernel.predicted_s
    times = times_of(ran)
    made = []
    for node in nodes:
        factor = ratio(node, guesses, times)
        if factor is None or node.seconds is None:
            made.append(node)
        else:
            made.append(msgspec.structs.replace(node, predicted_s=factor * node.seconds))
    return tuple(made)
