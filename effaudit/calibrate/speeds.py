"""What was measured, as speeds: the rate of each class of operator, the peak of an element type, bandwidths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Final

import msgspec

from effaudit.calibrate.measure import NetSample, Sample
from effaudit.estimate.terms import Caches, amounts

LONG_S: Final = 20e-6  # kernels below it are mostly launches
_LEAST: Final = 3  # kernels that a rate is told of


class Speed(msgspec.Struct, frozen=True):
    """Work per second of kernels that take long enough to tell: the middle, the slowest and the fastest."""

    value: float
    low: float
    high: float
    count: int


def rates(nets: Iterable[NetSample], dtype: str) -> Mapping[str, tuple[str, Speed]]:
    """By class of operator: ("mac_per_s" or "op_per_s", its speed)."""
    found: dict[tuple[str, str], list[float]] = {}
    for sample in _long(nets, dtype):
        kernel = sample.kernel
        macs = kernel.macs.high or 0
        work = macs or max(kernel.ops.high or 0, kernel.outputs.high or 0)
        if work:
            key = kernel.op_class, "mac_per_s" if macs else "op_per_s"
            found.setdefault(key, []).append(work / sample.seconds)
    best: dict[str, tuple[str, Speed]] = {}
    for (op_class, unit), speeds in found.items():
        known = best.get(op_class)
        if len(speeds) >= _LEAST and (known is None or known[1].count < len(speeds)):
            best[op_class] = unit, Speed(median(speeds), min(speeds), max(speeds), len(speeds))
    return best


def peak_mac_per_s(nets: Iterable[NetSample], dtype: str) -> float | None:
    """Multiply-accumulates per second of the fastest kernels: the third fastest, so that no slip of a clock counts."""
    speeds = sorted((sample.kernel.macs.high or 0) / sample.seconds for sample in _long(nets, dtype))
    return speeds[-_LEAST] if len(speeds) >= _LEAST and speeds[-_LEAST] else None


def weight_byte_per_s(nets: Iterable[NetSample], caches: Caches) -> Speed | None:
    """Bytes of weights per second that come from the memory beyond all caches: of kernels that do hardly more than
    read them once."""
    speeds = []
    for sample in _long(nets, "float32"):
        far = amounts(sample.kernel, caches)["far_weight_byte_s"]
        total = amounts(sample.kernel, caches)["weight_byte_s"]
        row = sample.kernel.pattern is not None and sample.kernel.pattern.kind.endswith(" row")
        if row and total and far > total / 2:
            speeds.append(total / sample.seconds)
    return None if len(speeds) < _LEAST else Speed(median(speeds), min(speeds), max(speeds), len(speeds))


def activation_byte_per_s(nets: Iterable[NetSample], caches: Caches, *, far: bool) -> Speed | None:
    """Bytes per second that elementwise kernels read and write in memory beyond all caches, or within the last."""
    speeds = []
    for sample in _long(nets, "float32"):
        pattern = sample.kernel.pattern
        if pattern is None or pattern.kind not in _STREAMING:
            continue
        moved = sum(touch.bytes for touch in pattern.touches)
        beyond = amounts(sample.kernel, caches)
        if (beyond["far_byte_s"] > 0) == far and beyond["near_byte_s"] > moved / 4:
            speeds.append(moved / sample.seconds)
    return None if len(speeds) < _LEAST else Speed(median(speeds), min(speeds), max(speeds), len(speeds))


_STREAMING: Final = frozenset(("Add", "Mul", "Sub", "Relu", "Max", "Clip"))


def _long(nets: Iterable[NetSample], dtype: str) -> Sequence[Sample]:
    samples = (sample for net in nets for sample in net.samples)
    return [one for one in samples if one.kernel.dtype == dtype and one.seconds >= LONG_S]
