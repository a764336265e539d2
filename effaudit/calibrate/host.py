"""This host, measured: small networks through ONNX Runtime, and what kinds of kernels cost by them."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Final

import msgspec

from effaudit.calibrate.caches import effective
from effaudit.calibrate.fit import Fitted, fit, total_s
from effaudit.calibrate.measure import Bench, NetSample, Ran, bench, calmer, measured
from effaudit.calibrate.net import Net
from effaudit.calibrate.nets import fitted, unseen
from effaudit.errors import RunError
from effaudit.estimate.terms import Caches
from effaudit.run.host import HostFacts, host
from effaudit.run.process import Limits
from effaudit.run.timed_types import Schedule
from effaudit.run.usage import Usage, between, look

# Of one network: enough runs for a median, short enough for a hundred networks.
SCHEDULE: Final = Schedule(runs=200, profiled=7, budget_s=0.06, least=3, profiled_s=0.05)
SECONDS: Final = 600.0
AGAIN: Final = 1.08  # times as long as its kernels take elsewhere: a network that was disturbed
WORST: Final = 10  # of these, that run once more: a calibration takes a minute at the most
_LEAST: Final = 0.8  # of the networks that have to run


class Measured(msgspec.Struct, frozen=True):
    """A host with one number of threads: what kernels cost there, and the networks that tell how well that holds.
    `again` counts those that ran again because they were disturbed."""

    threads: int
    fitted: Fitted
    caches: Caches
    nets: tuple[NetSample, ...]
    held_out: tuple[NetSample, ...]
    again: int


class Calibration(msgspec.Struct, frozen=True):
    """Everything that was measured of a host. `usage` is what else the machine did meanwhile."""

    facts: HostFacts
    version: str
    rss_bytes: int | None
    usage: Usage
    measured: tuple[Measured, ...]


def networks() -> int:
    """How many networks run with each number of threads."""
    return len(fitted()) + len(unseen())


def calibrate(
    threads: Sequence[int],
    each: Callable[[int], None] | None = None,
    *,
    seen: Sequence[Net] | None = None,
    held: Sequence[Net] | None = None,
    schedule: Schedule = SCHEDULE,
) -> Calibration:
    """Measures this host with each number of threads; `each` is told how many networks have run. Costs are fitted to
    the networks `seen` and held against those `held` out, by default all that there are.

    Raises RunError where ONNX Runtime is missing, crashes, or runs too few of the networks.
    """
    before, facts = look(), host()
    seen, held = fitted() if seen is None else seen, unseen() if held is None else held
    apart = frozenset(net.name for net in held)
    made: list[Measured] = []
    first: Ran | None = None
    with bench([*seen, *held]) as on:
        for number, count in enumerate(threads):
            done = number * len(on.models)
            limits = Limits(seconds=SECONDS, threads=count)
            ran = measured(on, schedule, limits, each=None if each is None else _from(each, done))
            if len(ran.nets) < _LEAST * len(on.models):
                raise RunError(f"ONNX Runtime ran {len(ran.nets)} of the {len(on.models)} networks of a calibration")
            if count > 1:  # whether a machine has several processors for one program changes from second to second
                ran = msgspec.structs.replace(ran, nets=calmer(on, ran.nets, schedule, limits))
            caches = made[0].caches if made else effective(_without(ran.nets, apart), facts.caches, count)
            made.append(_measured(on, ran, schedule, limits, caches, apart))
            first = first or ran
    assert first is not None
    return Calibration(facts, first.version, first.rss_bytes, between(before, look()), tuple(made))


def _from(each: Callable[[int], None], done: int) -> Callable[[int], None]:
    return lambda more: each(done + more)


def _without(nets: Sequence[NetSample], names: Container[str]) -> list[NetSample]:
    return [net for net in nets if net.name not in names]


def _measured(
    on: Bench, ran: Ran, schedule: Schedule, limits: Limits, caches: Caches, apart: Container[str]
) -> Measured:
    """The costs; networks that took longer than their kernels take elsewhere run again, and their fastest sitting
    counts: a machine that others use, too, only ever takes longer."""
    at_work = with_threads(caches, limits.threads)
    nets = {net.name: net for net in ran.nets}
    found = fit(_without(ran.nets, apart), at_work)
    slow = _slowest({name: net for name, net in nets.items() if name not in apart}, found, at_work)
    if slow:
        for net in measured(on, schedule, limits, slow).nets:
            nets[net.name] = min(net, nets[net.name], key=lambda one: one.seconds)
        found = fit(_without(tuple(nets.values()), apart), at_work)
    seen = tuple(_without(tuple(nets.values()), apart))
    held = tuple(net for net in nets.values() if net.name in apart)
    return Measured(limits.threads, found, caches, seen, held, len(slow))


def _slowest(nets: Mapping[str, NetSample], found: Fitted, caches: Caches) -> set[str]:
    """The networks that took longest for what their kernels take elsewhere."""
    ratios = {name: net.seconds / total_s(net, found, caches) for name, net in nets.items()}
    return {name for name in sorted(ratios, key=lambda name: -ratios[name])[:WORST] if ratios[name] > AGAIN}


def with_threads(caches: Caches, threads: int) -> Caches:
    """The caches of so many cores together: each has its own, the last level is one."""
    near = caches.near_bytes * threads
    return Caches(near, max(caches.far_bytes, near))
