"""This host, measured: small networks through ONNX Runtime, and what kinds of kernels cost by them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from effaudit.calibrate.caches import effective
from effaudit.calibrate.fit import Fitted, fit
from effaudit.calibrate.measure import Battery, NetSample, measured
from effaudit.calibrate.net import Net
from effaudit.calibrate.nets import fitted, unseen
from effaudit.errors import RunError
from effaudit.estimate.terms import Caches
from effaudit.run.host import HostFacts, host
from effaudit.run.process import Limits
from effaudit.run.timed_types import Schedule
from effaudit.run.usage import Usage, between, look

# Of one network: enough runs for a median, short enough for a hundred networks.
SCHEDULE: Final = Schedule(runs=200, profiled=8, budget_s=0.1, least=4, profiled_s=0.08)
AGAIN_S: Final = 12.0  # for what ran while the machine was disturbed, with each number of threads
SECONDS: Final = 600.0
_LEAST: Final = 0.8  # of the networks that have to run


class Measured(msgspec.Struct, frozen=True):
    """A host with one number of threads: what kernels cost there, and the networks that tell how well that holds."""

    threads: int
    fitted: Fitted
    caches: Caches
    nets: tuple[NetSample, ...]
    held_out: tuple[NetSample, ...]


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
    apart = unseen() if held is None else held
    nets = [*(fitted() if seen is None else seen), *apart]
    names = {net.name for net in apart}
    made: list[Measured] = []
    caches: Caches | None = None
    last: Battery | None = None
    for battery in measured(nets, schedule, threads, Limits(seconds=SECONDS), AGAIN_S, each):
        if len(battery.nets) < _LEAST * len(nets):
            raise RunError(f"ONNX Runtime ran {len(battery.nets)} of the {len(nets)} networks of a calibration")
        known = tuple(net for net in battery.nets if net.name not in names)
        unknown = tuple(net for net in battery.nets if net.name in names)
        caches = caches or effective(known, facts.caches, battery.threads)
        found = fit(known, with_threads(caches, battery.threads))
        made.append(Measured(battery.threads, found, caches, known, unknown))
        last = battery
    assert last is not None
    return Calibration(facts, last.version, last.rss_bytes, between(before, look()), tuple(made))


def with_threads(caches: Caches, threads: int) -> Caches:
    """The caches of so many cores together: each has its own, the last level is one."""
    near = caches.near_bytes * threads
    return Caches(near, max(caches.far_bytes, near))
