"""What else a machine did while models ran on it: other programs, the hypervisor, heat, a used-up quota, a battery.

Two looks, one before and one after (`look`), and what lies between them (`between`). What cannot be read is None.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from effaudit.run.cgroups import text_of, throttled

_BUSY: Final = (0, 1, 2, 5, 6)  # user, nice, system, irq, softirq: https://docs.kernel.org/filesystems/proc.html
_STEAL: Final = 7
_SHORT: Final = 0.2  # seconds: the kernel counts in hundredths, so of less time nothing can be told


class Look(msgspec.Struct, frozen=True):
    """Counters at one moment. `busy_s` and `stolen_s` are seconds of all processors together, `own_s` those of this
    process and of its children that have ended. `hot` and `throttled` count how often."""

    at_s: float
    processors: int | None
    busy_s: float | None
    stolen_s: float | None
    own_s: float
    hot: int | None
    throttled: int | None
    load: float | None
    on_battery: bool | None


class Usage(msgspec.Struct, frozen=True):
    """Between two looks. `others`: processors that other programs kept busy, on average, of `processors`; `stolen` the
    part of the time that the hypervisor gave to other machines. `load` is the system's load average of one minute at
    the first look."""

    seconds: float
    processors: int | None
    others: float | None
    stolen: float | None
    hot: int | None
    throttled: int | None
    load: float | None
    on_battery: bool | None


def look(root: Path = Path("/"), clock: Callable[[], float] = time.monotonic) -> Look:
    """The counters as they are now. Children that still run are others: look once they have ended."""
    processors, busy, stolen = _stat(root)
    own = os.times()
    return Look(
        at_s=clock(),
        processors=processors or os.cpu_count(),
        busy_s=busy,
        stolen_s=stolen,
        own_s=own.user + own.system + own.children_user + own.children_system,
        hot=_hot(root),
        throttled=throttled(root),
        load=_load(),
        on_battery=_on_battery(root),
    )


def between(before: Look, after: Look) -> Usage:
    """What happened from one look to the other."""
    seconds = after.at_s - before.at_s
    busy, stolen = _grown(before.busy_s, after.busy_s), _grown(before.stolen_s, after.stolen_s)
    told = seconds >= _SHORT
    others = max(0.0, busy - (after.own_s - before.own_s)) / seconds if told and busy is not None else None
    return Usage(
        seconds=seconds,
        processors=after.processors,
        others=others,
        stolen=stolen / seconds / after.processors if told and stolen is not None and after.processors else None,
        hot=None if before.hot is None or after.hot is None else after.hot - before.hot,
        throttled=None if before.throttled is None or after.throttled is None else after.throttled - before.throttled,
        load=before.load,
        on_battery=after.on_battery,
    )


def _grown(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _stat(root: Path) -> tuple[int | None, float | None, float | None]:
    """(processors, seconds busy, seconds stolen) of /proc/stat, None where it is not there or counts nothing."""
    text = text_of(root / "proc/stat") or ""
    match = re.search(r"^cpu +([0-9 ]+)$", text, re.MULTILINE)
    ticks = [int(one) for one in match[1].split()] if match else []
    if len(ticks) <= _STEAL or not any(ticks):
        return None, None, None
    rate = os.sysconf("SC_CLK_TCK")
    count = len(re.findall(r"^cpu[0-9]+ ", text, re.MULTILINE))
    return count or None, sum(ticks[i] for i in _BUSY) / rate, ticks[_STEAL] / rate


def _hot(root: Path) -> int | None:
    """How often any core was slowed because of its heat."""
    folder = root / "sys/devices/system/cpu"
    texts = [text_of(path) or "" for path in folder.glob("cpu[0-9]*/thermal_throttle/core_throttle_count")]
    counts = [int(text) for text in texts if text.isdecimal()]
    return sum(counts) if counts else None


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):  # Windows has none
        return None


def _on_battery(root: Path) -> bool | None:
    """Whether a battery of the system is being emptied; None without one. Those of devices, a mouse, do not count."""
    states = [
        (text_of(folder / "status") or "").lower()
        for folder in (root / "sys/class/power_supply").glob("*")
        if text_of(folder / "type") == "Battery" and (text_of(folder / "scope") or "System") != "Device"
    ]
    return "discharging" in states if states else None
