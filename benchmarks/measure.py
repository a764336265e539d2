"""Whole processes measured from outside: wall time, CPU time and peak memory, contenders taking turns."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 600.0
LAUNCHER = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class Contender:
    name: str
    command: tuple[str, ...]
    cwd: Path
    missing: str = ""  # why it cannot be run at all


@dataclass(frozen=True)
class Sample:
    wall_s: float
    cpu_s: float
    rss_bytes: int


@dataclass(frozen=True)
class Series:
    """All runs of one contender; with a failure, the samples are not worth reading."""

    name: str
    samples: tuple[Sample, ...] = ()
    failure: str = ""

    def of(self, metric: Callable[[Sample], float]) -> Figures:
        return Figures(tuple(metric(sample) for sample in self.samples))


@dataclass(frozen=True)
class Figures:
    """One number per repeat."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def over(self, other: Figures) -> Figures:
        """Ratios of runs of the same round, which met the same load on the machine."""
        return Figures(tuple(a / b for a, b in zip(self.values, other.values, strict=True)))


def wall(sample: Sample) -> float:
    return sample.wall_s


def cpu(sample: Sample) -> float:
    return sample.cpu_s


def rss(sample: Sample) -> float:
    return float(sample.rss_bytes)


class Failed(Exception):
    """A run that did not end well; the message says why."""


def interleave(contenders: Sequence[Contender], repeats: int) -> list[Series]:
    """One unmeasured round fills the page cache and writes bytecode; then each round runs everyone once."""
    failures = {c.name: c.missing for c in contenders if c.missing}
    samples: dict[str, list[Sample]] = {c.name: [] for c in contenders}
    for round_ in range(repeats + 1):
        for contender in contenders:
            if contender.name in failures:
                continue
            try:
                sample = run_once(contender.command, contender.cwd)
            except Failed as failed:
                failures[contender.name] = str(failed)
            else:
                samples[contender.name] += [sample] if round_ else []
    return [Series(c.name, tuple(samples[c.name]), failures.get(c.name, "")) for c in contenders]


def run_once(command: Sequence[str], cwd: Path, timeout_s: float = TIMEOUT_S) -> Sample:
    """Runs the command through launch.py; raises Failed when it does not end well."""
    launcher = [sys.executable, "-I", "-S", str(LAUNCHER), *command]
    with subprocess.Popen(
        launcher,
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, errors = process.communicate(timeout=timeout_s)
        except BaseException as stopped:  # a session of its own does not hear Ctrl-C
            os.killpg(process.pid, signal.SIGKILL)  # the launcher and the command it waits for
            if isinstance(stopped, subprocess.TimeoutExpired):
                raise Failed(f"stopped after {timeout_s:.0f} s") from None
            raise
    if process.returncode:
        raise Failed(last_line(errors))
    seconds, cpu_seconds, peak, code = out.split()
    if code != "0":
        raise Failed(f"exit code {code}: {last_line(errors)}")
    return Sample(float(seconds), float(cpu_seconds), int(peak))


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """One thread for every numeric library, so that CPU time compares work and not spinning."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **(extra or {})}


def last_line(errors: str) -> str:
    return (errors.strip().splitlines() or ["no message"])[-1][:120]
