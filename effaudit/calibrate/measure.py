"""Small networks, run -> kernels with the seconds each of them took."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Final

import msgspec

from effaudit.audited import examined
from effaudit.calibrate.net import Net
from effaudit.estimate.pattern import patterned
from effaudit.estimate.types import Kernel
from effaudit.estimate.work import kernels
from effaudit.graph import Graph
from effaudit.load import infer, read
from effaudit.plan.liveness import analyse
from effaudit.run.battery import Prepared, battery, prepared
from effaudit.run.inputs import random_inputs
from effaudit.run.process import Limits, workplace
from effaudit.run.timed_types import Schedule, Timed
from effaudit.timing.attribute.kernels import located
from effaudit.timing.attribute.shares import run_seconds
from effaudit.timing.blocks import settled

APART: Final = 1.25  # times as long: two sittings of which one was disturbed


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


class Bench(msgspec.Struct, frozen=True):
    """Networks on disk, ready to run as often as is wanted."""

    folder: str
    names: tuple[str, ...]
    models: tuple[Prepared, ...]


class Ran(msgspec.Struct, frozen=True):
    """What one sitting gave. `version` is ONNX Runtime's; `rss_bytes` the peak memory of the process when the smallest
    networks had run."""

    nets: tuple[NetSample, ...]
    version: str
    rss_bytes: int | None


@contextmanager
def bench(nets: Sequence[Net]) -> Iterator[Bench]:
    """The networks, written to a folder that is gone afterwards."""
    with workplace() as folder:
        models = []
        for number, net in enumerate(nets):
            graph = net.graph()
            feed = random_inputs(infer(graph), 1, 0)[0]
            models.append(prepared(graph, feed, os.path.join(folder, f"model-{number}")))
        yield Bench(folder, tuple(net.name for net in nets), tuple(models))


def measured(
    on: Bench,
    schedule: Schedule,
    limits: Limits,
    names: Container[str] | None = None,
    each: Callable[[int], None] | None = None,
) -> Ran:
    """The networks of these `names` (None: all), run one after the other; `each` is told how many are done. One that
    does not run is left out. Raises RunError where the process ends badly."""
    chosen = [pair for pair in zip(on.names, on.models, strict=True) if names is None or pair[0] in names]
    found = battery([model for _, model in chosen], schedule, folder=on.folder, limits=limits, each=each)
    ran = [(name, one) for (name, _), one in zip(chosen, found, strict=True) if one is not None]
    made = [_sampled(name, one) for name, one in ran]
    version = next((one.version for _, one in ran), "")
    memory = min((one.rss_bytes for _, one in ran if one.rss_bytes is not None), default=None)
    return Ran(tuple(one for one in made if one is not None), version, memory)


def calmer(
    on: Bench,
    nets: Sequence[NetSample],
    schedule: Schedule,
    limits: Limits,
    each: Callable[[int], None] | None = None,
) -> tuple[NetSample, ...]:
    """The networks with a second sitting, without a profile: at the middle of both, or at the faster one where they are
    far apart. What disturbs a machine for a second seldom meets the same network twice, and only ever takes longer."""
    names = {net.name for net in nets}
    chosen = [pair for pair in zip(on.names, on.models, strict=True) if pair[0] in names]
    alone = msgspec.structs.replace(schedule, profiled=0)
    found = battery([model for _, model in chosen], alone, folder=on.folder, limits=limits, each=each)
    times = {name: median(one.seconds) for (name, _), one in zip(chosen, found, strict=True) if one is not None}
    return tuple(_at(net, _middle(net.seconds, times.get(net.name, net.seconds))) for net in nets)


def _middle(one: float, other: float) -> float:
    return min(one, other) if max(one, other) > APART * min(one, other) else (one + other) / 2


def _undisturbed(seconds: float, profiled_s: float) -> float:
    """The median of the runs, or that of the profiled ones: these are slower, unless the others were disturbed."""
    return profiled_s if seconds > APART * profiled_s else seconds


def _at(net: NetSample, seconds: float) -> NetSample:
    """The network at another total, its kernels in proportion."""
    factor = seconds / net.seconds
    samples = tuple(Sample(sample.kernel, sample.seconds * factor) for sample in net.samples)
    return msgspec.structs.replace(net, seconds=seconds, samples=samples)


def executed(optimized: Graph) -> tuple[Kernel, ...]:
    """The kernels of a graph that the runtime saved, with their patterns."""
    graph = settled(optimized)
    return patterned(graph, kernels(graph), analyse(graph).live_bytes.low, exact=True)


def _sampled(name: str, timed: Timed) -> NetSample | None:
    if not timed.optimized or timed.profile is None or not timed.profile.kernels:
        return None
    graph = examined(read(timed.optimized)).graph
    seconds = _undisturbed(median(timed.seconds), timed.profile.seconds)
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
