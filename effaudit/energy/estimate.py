"""Kernels and their time on a device -> the energy of one inference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from effaudit.device.types import Device, Energy, Fact, Memory
from effaudit.energy.operations import of_dtype, of_operations
from effaudit.energy.types import (
    GRID_G_PER_KWH,
    GRID_SOURCE,
    J_PER_KWH,
    PICO,
    PUE,
    PUE_SOURCE,
    UTILISATION,
    UTILISATION_SOURCE,
    Circumstances,
    EnergyReport,
    Joules,
)
from effaudit.estimate.memories import Share
from effaudit.estimate.types import Kernel, Seconds

ACTIVE: Final = "active power"


def energy(
    device: Device,
    kernels: Sequence[Kernel],
    seconds: Seconds,
    weights: Sequence[Share],
    activations: Memory | None,
    around: Circumstances,
    count: int = 1,
) -> EnergyReport:
    """Every basis that the profile allows, and what follows from the best of them. `count` is how many inferences (or
    tokens) one run makes."""
    found = (
        measured(device.energy, kernels),
        powered(device.energy, seconds, around),
        of_operations(device.energy, kernels, weights, activations),
    )
    best = next((one for one in _preferred(found, device.energy) if one.value is not None), None)
    return _following(found, best, kernels, seconds, around, device, count)


def _preferred(found: Sequence[Joules], profile: Energy | None) -> tuple[Joules, ...]:
    """A board's own power times the time first: it follows the runtime, as joules per MAC, measured under one runtime,
    do not. Then these, then a TDP."""
    by_mac, by_power = found[0], found[1]
    active = profile is not None and _power(profile)[1] == ACTIVE
    return (by_power, by_mac) if active else (by_mac, by_power)


def measured(profile: Energy | None, kernels: Sequence[Kernel]) -> Joules:
    """MACs x picojoules per MAC, as measured at the rail of the board with other networks.

    The bounds are those of the profile: what the least and the most of the measured networks took. One figure without
    them is of one network under one runtime, and bounds no other: `low` is 0 then and `high` None.
    """
    table = {} if profile is None else profile.system_pj_per_mac
    value = low = 0.0
    high: float | None = 0.0
    named: dict[str, str] = {}
    for kernel in kernels:
        if not kernel.macs.low and kernel.macs.high == 0:
            continue
        fact = of_dtype(table, kernel.dtype)
        if fact is None or fact.value is None or kernel.macs.high is None:
            why = kernel.macs.why or f"the profile states no measured energy per MAC of {kernel.dtype}"
            return Joules("measured", None, None, None, "", why)
        value += kernel.macs.high * fact.value
        low += kernel.macs.low * (fact.low or 0.0)
        high = None if high is None or fact.high is None else high + kernel.macs.high * fact.high
        named[kernel.dtype] = f"{_number(fact)} pJ/MAC ({fact.status}: {fact.source}){_open(fact)}"
    if not named:
        return Joules("measured", None, None, None, "", "no multiply-accumulate runs")
    how = "MACs x " + ", ".join(f"{dtype} {said}" for dtype, said in named.items()) + ", whole board"
    return Joules("measured", value * PICO, low * PICO, None if high is None else high * PICO, how)


def _open(fact: Fact) -> str:
    """What a figure of other networks does not bound."""
    missing = [end for end, bound in (("least", fact.low), ("most", fact.high)) if bound is None]
    return f", {' and '.join(missing)} of other networks not known" if missing else ""


def _number(fact: Fact) -> str:
    """ "0.04195 (0.03873 .. 0.04383)"; the range where there is one."""
    value = f"{fact.value:g}"
    if fact.low is None and fact.high is None:
        return value
    return f"{value} ({fact.least:g} .. {fact.most:g})"


def powered(profile: Energy | None, seconds: Seconds, around: Circumstances) -> Joules:
    """Power x utilisation x PUE x time. The power is that of a running board where it is stated, else the TDP; its
    least goes with the least time, its most with the most."""
    fact, what = (None, "") if profile is None else _power(profile)
    if fact is None or fact.value is None:
        return Joules("power", None, None, None, "", "the profile states no power")
    use, pue = _or(around.utilisation, UTILISATION), _or(around.pue, PUE)
    stated = what == ACTIVE or around.utilisation is not None
    least = (fact.least * use if stated else _idle(profile)) * pue * seconds.low
    how = f"{what} {_number(fact)} W ({fact.status}: {fact.source}) x utilisation {use:g} x PUE {pue:g} x time"
    if seconds.value is None:
        return Joules("power", None, least, None, how, f"the time is not known: {seconds.basis}")
    most = fact.value if fact.most is None else fact.most
    top = None if seconds.high is None else most * use * pue * seconds.high
    return Joules("power", fact.value * use * pue * seconds.value, least, top, how)


def _power(profile: Energy) -> tuple[Fact | None, str]:
    if profile.active_w is not None and profile.active_w.value is not None:
        return profile.active_w, ACTIVE
    return profile.tdp_w, "TDP"


def _idle(profile: Energy | None) -> float:
    """Watts that are drawn at the least: a TDP is an upper bound of the power, idle a lower one."""
    idle = None if profile is None else profile.idle_w
    return 0.0 if idle is None else float(idle.least)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _following(
    found: tuple[Joules, ...],
    best: Joules | None,
    kernels: Sequence[Kernel],
    seconds: Seconds,
    around: Circumstances,
    device: Device,
    count: int,
) -> EnergyReport:
    """Carbon, cost, battery and work per joule of the best basis; the battery is the user's, else the profile's."""
    if best is None or not best.value:
        return EnergyReport(found, None, None, None, None, None, None, None, ())
    joules, kwh = best.value, best.value / J_PER_KWH
    grid = _or(around.grid_g_per_kwh, GRID_G_PER_KWH)
    battery = around.battery_j
    if battery is None and device.battery is not None:
        mah, volts = device.battery.capacity_mah.value, device.battery.voltage_v.value
        battery = None if mah is None or volts is None else mah * 3.6 * volts
    runs = None if battery is None else battery / joules
    operations = sum(2 * kernel.macs.low + kernel.ops.low for kernel in kernels)
    return EnergyReport(
        joules=found,
        chosen=best.basis,
        carbon_kg=kwh * grid / 1000,
        cost=None if around.price_per_kwh is None else kwh * around.price_per_kwh,
        inferences_per_battery=None if runs is None else runs * count,
        battery_s=None if runs is None or seconds.value is None else runs * seconds.value,
        ops_per_w=operations / joules,
        inferences_per_j=count / joules,
        notes=tuple(_assumed(best, around, grid, device.energy)),
    )


def _assumed(best: Joules, around: Circumstances, grid: float, profile: Energy | None) -> list[str]:
    notes = []
    if around.grid_g_per_kwh is None:
        notes.append(f"carbon at {grid:g} g/kWh: {GRID_SOURCE}; --grid gives another")
    tdp = best.basis == "power" and profile is not None and _power(profile)[1] != ACTIVE
    if tdp and around.utilisation is None:
        notes.append(f"utilisation {UTILISATION:g}: {UTILISATION_SOURCE}; --utilisation gives another")
    if tdp and around.pue is None:
        notes.append(f"PUE {PUE:g}: {PUE_SOURCE}; --pue gives another")
    return notes
