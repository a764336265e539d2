"""What follows from an energy: carbon, cost, battery and work per watt, in words."""

from __future__ import annotations

from typing import Final

from effaudit.energy.types import J_PER_KWH, EnergyReport
from effaudit.fit.types import FitReport
from effaudit.fit.view import DeviceView
from effaudit.units import human_measure, rounded

MILLION: Final = 10**6
SMALL: Final = 0.01  # a cost below is told of a million
TINY: Final = 1e-3  # and grams
SINGULAR: Final = {"inferences": "inference", "tokens": "token"}
# seconds of a unit, largest first; a time is told in the largest of which it has two
UNITS: Final = ((365.25 * 86400, "years"), (86400.0, "days"), (3600.0, "h"), (60.0, "min"))


def around(report: FitReport | DeviceView) -> list[str]:
    """Each as a phrase; those that are not known are left out."""
    energy, words = report.energy, []
    if energy.carbon_kg is not None:
        words.append(carbon(energy.carbon_kg * 1000 / report.per_run, report.counts) + _grid(energy))
    if energy.cost is not None:
        words.append(cost(energy.cost / report.per_run, report.counts))
    if energy.inferences_per_battery is not None:
        runs = "" if energy.battery_s is None else f", {duration(energy.battery_s)} of running without a break"
        words.append(f"{rounded(energy.inferences_per_battery, 4)} {report.counts} per battery{runs}")
    if energy.ops_per_w is not None:
        words.append(human_measure(energy.ops_per_w, "OPS/W"))
    return words


def _grid(energy: EnergyReport) -> str:
    """The grams per kWh that were taken: those of the carbon over the kWh."""
    best = energy.best
    if best is None or not best.value or energy.carbon_kg is None:
        return ""
    return f" at {energy.carbon_kg * 1000 / (best.value / J_PER_KWH):.4g} g/kWh"


def carbon(grams: float, counts: str) -> str:
    """Of one, or of a million where that is less than a milligram."""
    if grams < TINY:
        return f"{human_measure(grams * MILLION, 'g')} CO2 per million {counts}"
    return f"{human_measure(grams, 'g')} CO2 per {SINGULAR.get(counts, counts)}"


def cost(of_one: float, counts: str) -> str:
    """Of one, or of a million where that is less than a cent."""
    if of_one and of_one < SMALL:
        return f"costs {of_one * MILLION:.3g} per million {counts}"
    return f"costs {of_one:.3g} per {SINGULAR.get(counts, counts)}"


def duration(seconds: float) -> str:
    """ "3.40 h"."""
    for size, unit in UNITS:
        if seconds >= 2 * size:
            return f"{rounded(seconds / size, 3)} {unit}"
    return human_measure(seconds, "s")
