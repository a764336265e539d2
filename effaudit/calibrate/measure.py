"""Small networks, run -> kernels with the seconds each of them took."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import median

import msgspec

from effaudit.audited import examined
from effaudit.calibrate.net import Net
from effaudit.estimate.pattern import patterned
from effaudit.estimate.types import Kernel
from effaudit.estimate.work import kernels
from effaudit.graph import Graph
from effaudit.load import infer, read
from effaudit.plan.liveness import analyse
from effaudit.run.battery import battery
from effaudit.run.inputs import random_inputs
from effaudit.run.process import Limits, workplace
from effaudit.run.timed_types import Schedule, Timed
from effaudit.timing.attribute.kernels import located
from effaudit.timing.attribute.shares import run_seconds
from effaudit.timing.blocks import settled


class Sample(msgspec.Struct, frozen=True):
    """A kernel that ran, and its seconds in one inference."""

    kernel: Kernel
    seconds: float


class NetSample(msgspec.Struct, frozen=True):
    """A network that ran: median seconds of one inference, its kernels, and how many nodes beside them only rename
    bytes."""

    name: str
    seconds: float
    samples: tuple[Sample, ...]
    renaming: int


class Battery(msgspec.Struct, frozen=True):
    """What a battery gave for one number of threads. `version` is ONNX Runtime's; `rss_bytes` the least peak memory of
    the process, when the smallest networks had run."""

    threads: int
    nets: tuple[NetSample, ...]
    version: str
    rss_bytes: int | None


def measured(
    nets: Sequence[Net],
    schedule: Schedule,
    threads: Sequence[int],
    limits: Limits,
    again_s: float,
    each: Callable[[int], None] | None = None,
) -> Iterator[Battery]:
    """The networks, run one after the other with each number of threads; `each` is told how many are done. One that
    does not run is left out. Raises RunError where the process ends badly."""
    graphs = [net.graph() for net in nets]
    with workplace() as folder:
        models = ((graph, random_inputs(infer(graph), 1, 0)[0]) for graph in graphs)
        found = battery(models, schedule, threads, folder=folder, again_s=again_s, limits=limits, each=each)
        for count, times in zip(threads, found, strict=True):
            ran = [(net.name, one) for net, one in zip(nets, times, strict=True) if one is not None]
            made = [_sampled(name, one) for name, one in ran]
            version = next((one.version for _, one in ran), "")
            memory = min((one.rss_bytes for _, one in ran if one.rss_bytes is not None), default=None)
            yield Battery(count, tuple(one for one in made if one is not None), version, memory)


def executed(optimized: Graph) -> tuple[Kernel, ...]:
    """The kernels of a graph that the runtime saved, with their patterns."""
    graph = settled(optimized)
    return patterned(graph, kernels(graph), analyse(graph).live_bytes.low, exact=True)


def _sampled(name: str, timed: Timed) -> NetSample | None:
    if not timed.optimized or timed.profile is None or not timed.profile.kernels:
        return None
    graph = examined(read(timed.optimized)).graph
    # Of the two sessions the calmer one: profiled runs are the slower ones, unless the others were disturbed.
    seconds = min(median(timed.seconds), timed.profile.seconds)
    runs = timed.profile.kernels
    by_index = {kernel.index: kernel for kernel in executed(graph)}
    samples, renaming = [], 0
    for place, own in zip(located(graph, runs), run_seconds(runs, seconds), strict=True):
        kernel = None if place is None or place.inner else by_index.get(place.top)
        if kernel is None or kernel.pattern is None:
            renaming += 1
        else:
            samples.append(Sample(kernel, own))
    return NetSample(name, seconds, tuple(samples), renaming)
