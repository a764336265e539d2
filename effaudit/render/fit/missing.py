"""What a profile does not state, and how a user can settle it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import Final

from effaudit.fit.types import FitReport, KernelRow
from effaudit.fit.view import DeviceView
from effaudit.printable import printable
from effaudit.units import human_measure

NAMED: Final = 3
FIELDS_NAMED: Final = 6
# An item of a memory -> the field of a runtime that bounds it.
FIELDS: Final = {
    "code of the runtime": "code_bytes",
    "state of the runtime": "state_bytes",
    "tables of the runtime": "table_bytes_per_node",
}
MOVED: Final = ("weights", "arena")  # the items whose bytes kernels move


def of_roofline(report: FitReport | DeviceView) -> list[str]:
    """The numbers without which there is no roof, or not that of every memory; each as a phrase."""
    return [f"no {what}{f' of {_listed(where)}' if where else ''} is stated" for what, where in _roofs(report)]


def _roofs(report: FitReport | DeviceView) -> Iterator[tuple[str, list[str]]]:
    """(what is not stated, of what)."""
    rows = report.rows if isinstance(report, FitReport) else report.kernels
    moving = [row for row in rows if row.bytes != 0]
    if not moving:
        return
    ridges = {one.memory for one in report.roofline.ridges}
    if all(row.memory_s is None for row in moving):
        yield "bandwidth", _moved(report)
    elif not ridges:
        yield "peak", _types(moving)
    elif blind := [name for name in _moved(report) if name not in ridges]:
        yield "bandwidth", blind


def _types(rows: Sequence[KernelRow]) -> list[str]:
    """Those of products, where there are any."""
    products = [row for row in rows if row.macs != 0]
    return sorted({f"{row.dtype} on {row.engine}" for row in products or rows})


def _moved(report: FitReport | DeviceView) -> list[str]:
    """The memories that weights and activations lie in, as far as the report has memories."""
    if not isinstance(report, FitReport):
        return []
    found = report.memory.rows
    return [row.memory for row in found if any(i.what in MOVED and i.bounds != (0, 0) for i in row.items)]


def of_energy(report: FitReport | DeviceView) -> str:
    """Why there is no energy; what it is at the least where that is known."""
    found = [one for one in report.energy.joules if one.basis != "operations"]
    why = "; ".join(dict.fromkeys(one.why for one in found if one.why)) or "the profile states nothing of it"
    least = max((one.low or 0.0 for one in found), default=0.0)
    known = f"at least {human_measure(least, 'J')}" if least else "not known"
    return printable(f"{known}: {why}", 300)


def settle(report: FitReport) -> tuple[str, str]:
    """(how to settle what is not known, those numbers first that the verdict hangs on; the command for it); "" where
    nothing is missing."""
    fields = list(dict.fromkeys((*_sizes(report), *_speeds(report))))
    if not fields:
        return "", ""
    rest = f" and {len(fields) - FIELDS_NAMED} more" if len(fields) > FIELDS_NAMED else ""
    named = printable(f"state {', '.join(fields[:FIELDS_NAMED])}{rest}", 300)
    device = report.options[1] if len(report.options) > 1 else report.device
    if "/" in device or device.endswith((".yaml", ".yml")):
        return f"{named} in {printable(device, None)}", ""
    name = printable(shlex.quote(report.device), None)
    return f"{named} in a profile of your own", f"effaudit devices new my-board --from {name}"


def _sizes(report: FitReport) -> Iterator[str]:
    unknown = {result.where for result in report.findings if result.status == "unknown" and result.unit == "bytes"}
    for row in report.memory.rows:
        if row.memory not in unknown:
            continue
        if row.have_bytes is None:
            yield f"size_bytes ({row.memory})"
        for item in row.items:
            if item.bounds[1] is None and item.what in FIELDS:
                yield FIELDS[item.what]


def _speeds(report: FitReport) -> Iterator[str]:
    """Of time, roofline and energy."""
    if report.latency_s.value is None and report.rows:
        types = _types([row for row in report.rows if row.seconds is None] or report.rows)
        yield f"performance ({', '.join(types)})"
    for what, where in _roofs(report):
        field = "read_bandwidth_byte_per_s" if what == "bandwidth" else "peaks"
        yield f"{field} ({', '.join(where)})" if where else field
    power = [one for one in report.energy.joules if one.basis == "power"]
    if report.energy_j is None and any(one.value is None and not one.how for one in power):
        yield "active_w"


def _listed(names: Sequence[str]) -> str:
    """ "flash, sram and itcm"; of many the first."""
    if len(names) > NAMED:
        return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
