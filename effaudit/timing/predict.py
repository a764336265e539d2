"""What the profile of a host says of the graph that ONNX Runtime runs, kernel by kernel, held against what was
measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from effaudit.dataflow import flow
from effaudit.device.types import Device, DeviceRuntime
from effaudit.errors import UsageError
from effaudit.estimate.costs import cost_of, measured_by_kind, per_node_s
from effaudit.estimate.latency import latency, main_dtype
from effaudit.estimate.pattern import patterned
from effaudit.estimate.setting import Setting, setting
from effaudit.estimate.types import Kernel, Latency, Timed
from effaudit.estimate.work import kernels
from effaudit.fit.types import SecondsReport
from effaudit.graph import Graph
from effaudit.plan.liveness import analyse
from effaudit.run.timed_types import KernelRun
from effaudit.timing.attribute.kernels import located
from effaudit.timing.blocks import settled
from effaudit.timing.types import KernelTime, Prediction, Worst

FAR_OFF: Final = 1.25  # by this factor, either way, a kernel is worth naming
WORTH: Final = 0.02  # of the time of a run that it is wrong by
MOST: Final = 5
_TERMS: Final = {
    "compute": "multiply-accumulates and elements",
    "memory": "bytes from beyond the caches",
    "overhead": "the launch",
    "absorbed": "nothing: its time is in the rates of others",
    "unknown": "nothing that the profile tells",
}


class Predicted(msgspec.Struct, frozen=True):
    """A prediction, and what it says of each of the kernels that ran: seconds and what they go to."""

    prediction: Prediction
    seconds: tuple[float | None, ...]
    limiters: tuple[str | None, ...]


class _Estimate(msgspec.Struct, frozen=True):
    """The kernels of the optimized graph on the host, by the index of their node; `renaming_s` is what a node takes
    that is none."""

    where: Setting
    found: Latency
    main: str
    by_index: Mapping[int, Timed]
    renaming_s: float | None


def runtime_with(device: Device, threads: int) -> DeviceRuntime:
    """The runtime of a profile that was measured with so many threads, or its first where it says nothing of threads.

    Raises UsageError where it was measured with others only.
    """
    known = [runtime for runtime in device.runtimes if runtime.threads is not None]
    if not known:
        return device.runtimes[0]
    for runtime in known:
        if runtime.threads == threads:
            return runtime
    listed = ", ".join(str(runtime.threads) for runtime in known)
    raise UsageError(
        f"{device.name}: was measured with {listed} threads, not with {threads}: "
        f"effaudit devices calibrate --threads {threads}"
    )


def predicted(
    optimized: Graph,
    device: Device,
    threads: int,
    ran: Sequence[KernelRun],
    times: Sequence[KernelTime],
    measured_s: float,
) -> Predicted:
    """The seconds of one inference of the graph that a runtime saved, as the profile has them, beside `times`, those of
    the kernels that `ran`, and `measured_s`, that of the whole. Nothing measured of this model enters the prediction.

    Raises UsageError where the profile was measured with other numbers of threads.
    """
    estimate = _estimated(optimized, device, runtime_with(device, threads))
    seconds: list[float | None] = []
    limiters: list[str | None] = []
    spent: list[Timed | None] = []
    for run, place in zip(ran, located(optimized, ran), strict=True):
        here = place is not None and not place.inner
        one = estimate.by_index.get(place.top) if here and place is not None else None
        spent.append(one)
        own = estimate.renaming_s if one is None and here else None if one is None else one.seconds
        seconds.append(None if own is None else own * max(run.calls, 1.0))
        limiters.append(None if one is None else one.limiter)
    total = estimate.found.total
    error = None if total.value is None else abs(total.value / measured_s - 1)
    made = Prediction(
        device=device.name,
        threads=threads,
        total=SecondsReport(total.value, total.low, total.high, total.basis),
        error_ratio=error,
        worst=tuple(_worst(estimate, times, seconds, spent, measured_s)),
        notes=estimate.found.notes,
    )
    return Predicted(made, tuple(seconds), tuple(limiters))


def _estimated(optimized: Graph, device: Device, runtime: DeviceRuntime) -> _Estimate:
    graph = settled(optimized)
    known = flow(graph)
    found = kernels(graph, known)
    live = analyse(graph, known).live_bytes
    renaming = 0
    if measured_by_kind(device, runtime):
        found = patterned(graph, found, live.low, exact=True)
        renaming = known.running - len(found)
    weights = sum(constant.nbytes for constant in graph.constants.values())
    where = msgspec.structs.replace(setting(device, runtime, weights, live.low), renaming=renaming)
    made = latency(found, where)
    computed = [where.computed(kernel) for kernel in found]
    main = main_dtype(computed)
    by_index = {one.kernel.index: one for one in made.kernels}
    return _Estimate(where, made, main, by_index, per_node_s(device, runtime))


def _worst(
    estimate: _Estimate,
    times: Sequence[KernelTime],
    seconds: Sequence[float | None],
    spent: Sequence[Timed | None],
    measured_s: float,
) -> list[Worst]:
    """The kernels that the prediction misses most, those that matter."""
    found: list[tuple[float, Worst]] = []
    for time, guess, one in zip(times, seconds, spent, strict=True):
        if guess is None or one is None or not guess or not time.seconds:
            continue
        factor = max(guess / time.seconds, time.seconds / guess)
        miss = abs(guess - time.seconds)
        if factor >= FAR_OFF and miss >= WORTH * measured_s:
            why = _why(estimate, one)
            found.append((miss, Worst(time.name, time.op, time.nodes, time.seconds, guess, guess / time.seconds, why)))
    found.sort(key=lambda pair: -pair[0])
    return [worst for _, worst in found[:MOST]]


def _why(estimate: _Estimate, one: Timed) -> str:
    """What the estimate is made of."""
    kernel: Kernel = one.kernel
    said = f"the estimate is mostly {_TERMS[one.limiter]}"
    pair = cost_of(estimate.where, one.engine, kernel, estimate.main)
    if pair is None or kernel.pattern is None:
        return f"{said}; at the rate of its class, as no cost of its kind was measured"
    entry, cost = pair
    count = (
        "" if cost.rows_count is None or not cost.rows_count.value else f", fitted to {cost.rows_count.value} kernels"
    )
    if cost.kind != kernel.pattern.kind:
        return f"{said}; no kernel of kind {kernel.pattern.kind!r} was measured, it is taken like {cost.kind!r}{count}"
    if entry.dtype != kernel.dtype:
        return f"{said}; {kernel.dtype} is taken like {entry.dtype}{count}"
    return f"{said}; kind {cost.kind!r}{count}"
