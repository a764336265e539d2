"""What is asked of a run."""

from __future__ import annotations

from typing import Final

import msgspec

from effaudit.device.types import Device
from effaudit.run.execute import Optimize
from effaudit.run.process import Limits
from effaudit.run.timed_types import Provider, Schedule

RUNS: Final = 50
PROFILED: Final = 10
SECONDS: Final = 300.0  # of everything that one model takes
PATIENCE: Final = 60.0  # seconds of runs where nobody said how many are wanted
_SHARE: Final = 0.5  # of the time for everything that goes to the runs that are timed


class TimeAsked(msgspec.Struct, frozen=True):
    """How a model is run. `runs` and `warmup` None: 50, or what a minute allows, and until times are steady. `seconds`
    and `memory_bytes` are limits on everything together (None: three quarters of the machine's memory). `inputs` is an
    .npz file, None where inputs are made. `plain`: the graph without optimizations is run too, briefly. `device` is a
    profile of this host to hold the times against."""

    runs: int | None = None
    warmup: int | None = None
    threads: int = 1
    provider: Provider = "CPU"
    optimize: Optimize = "all"
    profile: bool = True
    plain: bool = True
    inputs: str | None = None
    seconds: float = SECONDS
    memory_bytes: int | None = None
    device: Device | None = None

    @property
    def schedule(self) -> Schedule:
        """How often it is run."""
        half = self.seconds * _SHARE
        return Schedule(
            runs=RUNS if self.runs is None else self.runs,
            warmup=self.warmup,
            profiled=PROFILED if self.profile else 0,
            budget_s=min(half, PATIENCE) if self.runs is None else half,
        )

    @property
    def limits(self) -> Limits:
        return Limits(self.seconds, self.memory_bytes, self.threads)

    @property
    def steps(self) -> int:
        """How many runs a bar of progress counts."""
        return self.schedule.runs + self.schedule.profiled


NOTHING_ASKED: Final = TimeAsked()
