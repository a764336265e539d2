"""How far estimates are from networks that the costs were not fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from statistics import median
from typing import Final

import msgspec

from effaudit.calibrate.measure import NetSample
from effaudit.device.types import Device, DeviceRuntime
from effaudit.estimate.latency import latency
from effaudit.estimate.setting import setting

LEAST_FACTOR: Final = 1.05  # no interval is narrower: machines drift by as much
COVERED: Final = 0.9  # of the networks lie within the interval


class Error(msgspec.Struct, frozen=True):
    """`median_ratio`: of |estimate / measured - 1|. `covered` of the `count` networks lie within a factor `interval`
    of their estimate."""

    median_ratio: float
    interval: float
    covered: float
    count: int


def estimated_s(net: NetSample, device: Device, runtime: DeviceRuntime) -> float | None:
    """What a profile says of a network, in seconds; None where it does not tell."""
    where = msgspec.structs.replace(setting(device, runtime, 0, 0), renaming=net.renaming)
    return latency([sample.kernel for sample in net.samples], where).total.value


def error_of(nets: Sequence[NetSample], device: Device, runtime: DeviceRuntime) -> Error | None:
    """None where no network was estimated."""
    pairs = [(estimated_s(net, device, runtime), net.seconds) for net in nets]
    known = [(estimate, seconds) for estimate, seconds in pairs if estimate]
    if not known:
        return None
    factors = sorted(max(estimate / seconds, seconds / estimate) for estimate, seconds in known)
    interval = max(factors[ceil(COVERED * len(factors)) - 1], LEAST_FACTOR)
    covered = sum(factor <= interval for factor in factors) / len(factors)
    return Error(median(abs(e / s - 1) for e, s in known), interval, covered, len(known))
