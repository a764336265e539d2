"""Calibrations of machines that are not there: planted times, and what such a machine says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from effaudit.calibrate.fit import fit
from effaudit.calibrate.host import Calibration, Measured, with_threads
from effaudit.run.host import HostFacts
from effaudit.run.usage import Usage
from tests.calibrate.planted import CACHES, sampled, small

FACTS = HostFacts(
    processor="Example 9000",
    architecture="x86_64",
    cores=2,
    threads=2,
    governor="performance",
    max_clock_hz=3_000_000_000,
    memory_bytes=8 << 30,
    caches={"L1d": 32_768, "L2": 262_144, "L3": 4 << 20},
    isa=("avx2", "fma"),
    quota=None,
    system="Linux 6.1",
    python="3.11.9",
)
QUIET = Usage(40.0, 2, 0.0, 0.0, 0, 0, 0.1, False)


@cache
def calibration(threads: Sequence[int] = (1, 2), usage: Usage = QUIET) -> Calibration:
    """Small networks by planted costs; those of 120 to 300 kB of weights are held out, a tenth off."""
    nets = small(120_000)
    apart = [net for net in small(300_000) if net not in nets]
    made = []
    for count in threads:
        caches = with_threads(CACHES, count)
        seen, held = sampled(nets, caches), sampled(apart, caches, noise=(1.1,))
        made.append(Measured(count, fit(seen, caches), CACHES, seen, held, again=0))
    return Calibration(FACTS, "1.31.1", 50 << 20, usage, tuple(made))
