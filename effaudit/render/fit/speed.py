"""Time, roofline and energy of a model on a device, in lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from effaudit.estimate.roofline import Ridge
from effaudit.fit.types import FitReport, RooflineReport
from effaudit.fit.view import DeviceView
from effaudit.printable import printable
from effaudit.render.fit.around import around
from effaudit.render.fit.missing import of_energy, of_roofline
from effaudit.render.fit.words import label, measured
from effaudit.units import rounded
from effaudit.wrapping import wrapped

RIDGES: Final = 3  # that are named
SMALLEST: Final = 0.005  # a share that is told
SIDES: Final = {"compute": "above", "memory": "below"}
LONGER: Final = {"compute": "operations take longer than bytes", "memory": "bytes take longer than operations"}


def speed(report: FitReport | DeviceView) -> Iterator[str]:
    """Every figure with its interval and its basis."""
    each = "" if report.throughput_per_s is None else f", {rounded(report.throughput_per_s, 4)} {report.counts}/s"
    yield from wrapped(label("time"), f"{measured(report.latency_s, 's')}{each}")
    yield from wrapped(label(), printable(report.latency_s.basis, 300))
    if said := roof(report):
        yield from wrapped(label("roof"), said)
    if said := shares(report.roofline):
        yield from wrapped(label(), said)
    if report.energy_j is None:
        yield from wrapped(label("energy"), of_energy(report))
        return
    per_joule = report.energy.inferences_per_j
    rate = f", {rounded(per_joule, 4)} {report.counts}/J" if per_joule else ""
    yield from wrapped(label("energy"), f"{measured(report.energy_j, 'J')}{rate}")
    yield from wrapped(label(), printable(report.energy_j.basis, 300))
    if words := around(report):
        yield from wrapped(label(), ", ".join(words))


def roof(report: FitReport | DeviceView) -> str:
    """Intensity against the ridge; what is missing where there is none; "" of a model that moves nothing."""
    found = report.roofline
    if found.intensity is None:
        return ""
    words = f"{rounded(found.intensity, 3)} FLOP/B"
    missing = "; ".join(of_roofline(report))
    if not found.ridges:
        return f"{words}; {missing or 'no kernel has a peak'}: no roofline"
    return f"{words}, {_against(found)}{'; ' if missing else ''}{missing}"


def _against(found: RooflineReport) -> str:
    """On which side of the ridges; where these disagree, or the sums do, what takes longer at the peaks."""
    named = [ridge(one) for one in found.ridges[:RIDGES]]
    rest = len(found.ridges) - RIDGES
    text = ", ".join([*named, *([f"{rest} more"] if rest > 0 else [])])
    several = "s" if len(found.ridges) > 1 else ""
    if found.regime is None or found.intensity is None:
        return f"ridge{several} {text}"
    above = {found.intensity >= one.flop_per_byte for one in found.ridges}
    if above == {found.regime == "compute"}:
        return f"{SIDES[found.regime]} the ridge{several} of {text}"
    return f"ridge{several} {text}: at the peaks {LONGER[found.regime]}"


def ridge(one: Ridge) -> str:
    """ "153 (float16 on tensor, hbm)"."""
    where = f"{one.dtype} on {one.engine}, {one.memory}"
    return f"{rounded(one.flop_per_byte, 3)} ({printable(where, 60)})"


def shares(found: RooflineReport) -> str:
    """What the estimated time goes to, the most first; "" where that is not known."""
    parts = [(found.compute_share, "arithmetic"), (found.overhead_share, "launches")]
    parts += [(share, f"bytes of {printable(name, 24)}" if name else "bytes") for name, share in found.memories.items()]
    if not found.memories:
        parts.append((found.memory_share, "bytes"))
    told = sorted(((share, what) for share, what in parts if share is not None and share >= SMALLEST), reverse=True)
    if not told:
        return ""
    apart = "" if found.ridges or found.memory_share else "; what bytes take is not told apart"
    return f"the time goes {', '.join(f'{100 * share:.0f} % to {what}' for share, what in told)}{apart}"
