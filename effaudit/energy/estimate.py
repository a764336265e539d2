"""Kernels and their time on a device -> the energy of one inference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from effaudit.device.dtypes import LIKE
from effaudit.device.types import Device, Energy, Fact, Memory
from effaudit.energy import horowitz
from effaudit.energy.types import (
    GRID_G_PER_KWH,
    GRID_SOURCE,
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

PICO: Final = 1e-12
AGAIN: Final = "weights again for every multiply-accumulate"
J_PER_KWH: Final = 3.6e6
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
    active = profile is not None and profile.active_w is not None and profile.active_w.value is not None
    return (by_power, by_mac) if active else (by_mac, by_power)


def measured(profile: Energy | None, kernels: Sequence[Kernel]) -> Joules:
    """MACs x picojoules per MAC, as measured at the rail of the board with other networks."""
    table = {} if profile is None else profile.system_pj_per_mac
    value = low = high = 0.0
    named: dict[str, str] = {}
    for kernel in kernels:
        if not kernel.macs.low and kernel.macs.high == 0:
            continue
        fact = _of_dtype(table, kernel.dtype)
        if fact is None or fact.value is None or kernel.macs.high is None:
            why = kernel.macs.why or f"the profile states no measured energy per MAC of {kernel.dtype}"
            return Joules("measured", None, None, None, "", why)
        value += kernel.macs.high * fact.value
        low += kernel.macs.low * fact.least
        high += kernel.macs.high * (fact.most or fact.value)
        named[kernel.dtype] = f"{fact.value:g} pJ/MAC ({fact.status}: {fact.source})"
    if not named:
        return Joules("measured", None, None, None, "", "no multiply-accumulate runs")
    how = "MACs x " + ", ".join(f"{dtype} {said}" for dtype, said in named.items()) + ", whole board"
    return Joules("measured", value * PICO, low * PICO, high * PICO, how)


def powered(profile: Energy | None, seconds: Seconds, around: Circumstances) -> Joules:
    """Power x utilisation x PUE x time. The power is that of a running board where it is stated, else the TDP."""
    fact, what = (None, "") if profile is None else _power(profile)
    if fact is None or fact.value is None:
        return Joules("power", None, None, None, "", "the profile states no power")
    use, pue = _or(around.utilisation, UTILISATION), _or(around.pue, PUE)
    watts = fact.value * use * pue
    least = watts if what == ACTIVE or around.utilisation is not None else _idle(profile) * pue
    how = f"{what} {fact.value:g} W ({fact.status}: {fact.source}) x utilisation {use:g} x PUE {pue:g} x time"
    if seconds.value is None:
        return Joules("power", None, least * seconds.low, None, how, f"the time is not known: {seconds.basis}")
    top = None if seconds.high is None else watts * seconds.high
    return Joules("power", watts * seconds.value, least * seconds.low, top, how)


def of_operations(
    profile: Energy | None, kernels: Sequence[Kernel], weights: Sequence[Share], activations: Memory | None
) -> Joules:
    """Operations and accesses by a table of energies.

    `low`: every weight is read once (it stays where it is used). `high`: every multiply-accumulate reads its weight
    again from the memory it lies in. The value is the first of them.
    """
    parts = dict.fromkeys(("multiply-accumulates", "other operations", "weights", "activations", AGAIN), 0.0)
    per_byte, elsewhere = _weights_pj(weights), _access_pj(activations)
    for kernel in kernels:
        mac, other = _mac_pj(profile, kernel.dtype), _op_pj(profile, kernel.dtype)
        if kernel.macs.low and mac is None:
            return Joules("operations", None, None, None, "", f"no energy of a MAC of {kernel.dtype} is known")
        held = kernel.weight_bytes.low
        parts["multiply-accumulates"] += kernel.macs.low * (mac or 0.0)
        parts["other operations"] += kernel.ops.low * (other or 0.0)
        parts["weights"] += held * per_byte
        parts["activations"] += (kernel.read_bytes.low + kernel.write_bytes.low) * elsewhere
        parts[AGAIN] += max(kernel.macs.low * _element(kernel) - held, 0) * per_byte * bool(held)
    joules = {name: pj * PICO for name, pj in parts.items()}
    low = sum(size for name, size in joules.items() if name != AGAIN)
    how = "Horowitz 2014, 45 nm; " if profile is None or not profile.mac_pj else "energies of the profile; "
    how += "operations and accesses, each weight read once (high: again for every MAC); for comparisons only"
    return Joules("operations", low, low, low + joules[AGAIN], how, "", joules)


def _element(kernel: Kernel) -> float:
    """Bytes of one weight: that of the type it is computed in."""
    bits = "".join(c for c in kernel.dtype.replace("tfloat32", "32").split("e")[0] if c.isdigit())
    return int(bits) / 8 if bits else 4.0


def _mac_pj(profile: Energy | None, dtype: str) -> float | None:
    own = None if profile is None else _of_dtype(profile.mac_pj, dtype)
    return float(own.value) if own is not None and own.value is not None else horowitz.mac_pj(dtype)


def _op_pj(profile: Energy | None, dtype: str) -> float | None:
    own = None if profile is None else _of_dtype(profile.op_pj, dtype)
    return float(own.value) if own is not None and own.value is not None else horowitz.add_pj(dtype)


def _weights_pj(shares: Sequence[Share]) -> float:
    return sum(share.fraction * _access_pj(share.memory) for share in shares)


def _access_pj(memory: Memory | None) -> float:
    """Picojoules per byte: the profile's own, else those of an array of its size, or of DRAM."""
    if memory is None:
        return 0.0
    own = memory.read_energy_pj_per_byte
    if own is not None and own.value is not None:
        return float(own.value)
    if memory.kind in ("dram", "link"):
        return horowitz.dram_pj_per_byte()[0]
    size = memory.size_bytes.value if memory.size_bytes is not None else None
    return horowitz.sram_pj_per_byte(int(size or 0))


def _power(profile: Energy) -> tuple[Fact | None, str]:
    if profile.active_w is not None and profile.active_w.value is not None:
        return profile.active_w, ACTIVE
    return profile.tdp_w, "TDP"


def _idle(profile: Energy | None) -> float:
    """Watts that are drawn at the least: a TDP is an upper bound of the power, idle a lower one."""
    idle = None if profile is None else profile.idle_w
    return 0.0 if idle is None or idle.value is None else float(idle.value)


def _of_dtype(table: dict[str, Fact], dtype: str) -> Fact | None:
    return table.get(dtype) or table.get(LIKE.get(dtype, ""))


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
        notes=tuple(_assumed(best, around, grid)),
    )


def _assumed(best: Joules, around: Circumstances, grid: float) -> list[str]:
    notes = []
    if around.grid_g_per_kwh is None:
        notes.append(f"carbon at {grid:g} g/kWh: {GRID_SOURCE}; --grid gives another")
    tdp = best.basis == "power" and not best.how.startswith(ACTIVE)
    if tdp and around.utilisation is None:
        notes.append(f"utilisation {UTILISATION:g}: {UTILISATION_SOURCE}; --utilisation gives another")
    if tdp and around.pue is None:
        notes.append(f"PUE {PUE:g}: {PUE_SOURCE}; --pue gives another")
    return notes
