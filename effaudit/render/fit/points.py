"""The points of a roofline plot, and its logarithmic axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10

import msgspec

from effaudit.estimate.roofline import Ridge
from effaudit.fit.types import KernelRow, RooflineReport
from effaudit.units import human_measure, rounded

MARGIN = 1.5  # how far an axis reaches beyond what lies on it


class Dot(msgspec.Struct, frozen=True):
    """A kernel at its intensity and the rate it is estimated to reach; where that is not known, the rate it can reach
    at most, which is the roof."""

    row: KernelRow
    intensity: float
    rate: float
    estimated: bool


class Axis(msgspec.Struct, frozen=True):
    """Powers of ten `low` to `high`."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """Where a value lies: 0 at the lower end, 1 at the upper; what is beyond an end lies on it."""
        place = (log10(value) - self.low) / (self.high - self.low)
        return min(max(place, 0.0), 1.0)

    def decades(self, most: int) -> list[float]:
        """Powers of ten on the axis, at most so many."""
        powers = list(range(ceil(self.low), floor(self.high) + 1))
        step = max(ceil(len(powers) / most), 1)
        return [10.0**power for power in powers[::step]]


class Plot(msgspec.Struct, frozen=True):
    """What is drawn: `across` is FLOP/B, `up` is FLOP/s. `apart` kernels have no place: they compute nothing, move
    nothing, or are of a type without a peak."""

    dots: tuple[Dot, ...]
    ridges: tuple[Ridge, ...]
    across: Axis
    up: Axis
    apart: int


def plotted(found: RooflineReport, rows: Sequence[KernelRow]) -> Plot | None:
    """None where the profile tells no ridge, or no kernel has a place."""
    dots = tuple(dot for dot in map(_dot, rows) if dot is not None and 0 < dot.rate < float("inf"))
    if not found.ridges or not dots:
        return None
    intensities = [*(dot.intensity for dot in dots), *(ridge.flop_per_byte for ridge in found.ridges)]
    rates = [*(dot.rate for dot in dots), *(ridge.peak_flop_per_s for ridge in found.ridges)]
    return Plot(dots, found.ridges, _axis(intensities), _axis(rates), len(rows) - len(dots))


def roof_at(ridge: Ridge, intensity: float) -> float:
    """The most FLOP/s at an intensity."""
    return min(ridge.peak_flop_per_s, intensity * ridge.bandwidth_byte_per_s)


def per_byte(intensity: float) -> str:
    """FLOP per byte in three digits."""
    return f"{rounded(intensity, 3) if 0.01 <= intensity < 1e6 else f'{intensity:.2e}'} FLOP/B"


def flops(rate: float) -> str:
    """FLOP/s in three digits."""
    return human_measure(rate, "FLOP/s") if 1 <= rate < 1e15 else f"{rate:.2e} FLOP/s"


def _dot(row: KernelRow) -> Dot | None:
    if not row.intensity or row.attainable_flop_per_s is None:
        return None
    if row.seconds and row.bytes:
        return Dot(row, row.intensity, row.intensity * row.bytes / row.seconds, estimated=True)
    return Dot(row, row.intensity, row.attainable_flop_per_s, estimated=False)


def _axis(values: Sequence[float]) -> Axis:
    return Axis(log10(min(values) / MARGIN), log10(max(values) * MARGIN))
