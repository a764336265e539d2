"""The machine the figures come from."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import run_once


@dataclass(frozen=True)
class Host:
    """What the figures depend on."""

    cpu: str
    cores: int
    system: str
    python: str
    load: float
    floor_bytes: int  # no child can be seen to use less than the process that starts it

    def lines(self) -> list[str]:
        return [
            f"{self.cpu}, {self.cores} cores, {self.system}, Python {self.python}, OMP_NUM_THREADS=1",
            f"load average {self.load:.1f} at the start; no memory figure can be below"
            f" {self.floor_bytes / 1e6:.0f} MB, the peak of the process that starts the others",
        ]


def host() -> Host:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    floor = run_once(("true",), Path()).rss_bytes
    return Host(_cpu_name(), cores, system, platform.python_version(), os.getloadavg()[0], floor)


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )
