"""Time, roofline and energy of a model on a device, in lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from effaudit.fit.types import FitReport, RidgeReport
from effaudit.fit.view import DeviceView
from effaudit.printable import printable
from effaudit.render.fit.words import label, measured
from effaudit.units import human_measure, rounded
from effaudit.wrapping import wrapped

RIDGES: Final = 3  # that are named
SMALLEST: Final = 0.005  # a share that is told


def speed(report: FitReport | DeviceView) -> Iterator[str]:
    """Every figure with its interval and its basis."""
    each = "" if report.throughput_per_s is None else f", {rounded(report.throughput_per_s, 4)} {report.counts}/s"
    yield from wrapped(label("time"), f"{measured(report.latency_s, 's')}{each}")
    yield from wrapped(label(), printable(report.latency_s.basis, 300))
    if said := roof(report):
        yield from wrapped(label("roof"), said)
    if report.energy_j is None:
        return
    per_joule = report.energy.inferences_per_j
    rate = f", {rounded(per_joule, 4)} {report.counts}/J" if per_joule else ""
    yield from wrapped(label("energy"), f"{measured(report.energy_j, 'J')}{rate}")
    yield from wrapped(label(), printable(report.energy_j.basis, 300))
    yield from _around(report)


def roof(report: FitReport | DeviceView) -> str:
    """Intensity against the ridge, and the shares of the time; "" of a model that moves nothing."""
    found = report.roofline
    if found.intensity is None:
        return ""
    words = f"{rounded(found.intensity, 3)} FLOP/B"
    if found.ridges:
        rest = f", {len(found.ridges) - RIDGES} more" if len(found.ridges) > RIDGES else ""
        words += f", ridge {', '.join(map(ridge, found.ridges[:RIDGES]))}{rest}"
    if found.regime is not None:
        words += f": {found.regime}-bound"
    shares = ((found.memory_share, "bytes"), (found.overhead_share, "launches"))
    told = [f"{100 * share:.0f} % by {what}" for share, what in shares if share is not None and share >= SMALLEST]
    return f"{words}; of the time {', '.join(told)}" if told else words


def ridge(one: RidgeReport) -> str:
    """ "153 (float16 on tensor, hbm)"."""
    where = f"{one.dtype} on {one.engine}, {one.memory}"
    return f"{rounded(one.flop_per_byte, 3)} ({printable(where, 60)})"


def _around(report: FitReport | DeviceView) -> Iterator[str]:
    energy, words = report.energy, []
    if energy.carbon_kg is not None:
        words.append(f"{human_measure(energy.carbon_kg * 1000, 'g')} CO2")
    if energy.cost is not None:
        words.append(f"costs {energy.cost:.3g}")
    if energy.inferences_per_battery is not None:
        words.append(f"{rounded(energy.inferences_per_battery, 4)} {report.counts} per battery")
    if energy.ops_per_w is not None:
        words.append(human_measure(energy.ops_per_w, "OPS/W"))
    if words:
        yield from wrapped(label(), ", ".join(words))
