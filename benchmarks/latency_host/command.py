"""The program and the script beside it, each a process of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
INDEPENDENT: Final = Path(__file__).with_name("independent.py")
TIMEOUT_S: Final = 900.0
RUN_S: Final = 0.5  # seconds of runs that a network's median is taken of
LEAST, MOST = 8, 20_000  # runs


class Failed(Exception):
    """A command that did not end well; the message is its last line."""


@dataclass(frozen=True)
class Machine:
    """How the program is called, where the networks lie, and what is kept of each run (`documents`; None: nothing).
    `say` is told what is being done."""

    effaudit: tuple[str, ...]
    folder: Path
    threads: tuple[int, ...] = (1, 2)
    documents: Path | None = None
    say: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True)
    _guesses: dict[Path, float] = field(default_factory=dict)

    def time(self, model: Path, threads: int, *options: str | Path) -> dict[str, Any]:
        """The document of `effaudit time`."""
        command = (*self.effaudit, "time", model, "--threads", threads, *options, "--json")
        found: dict[str, Any] = json.loads(output(command))
        return found

    def runs(self, model: Path) -> int:
        """How many runs of a model take `RUN_S`, by a short look at it."""
        if model not in self._guesses:
            document = self.time(model, 1, "--runs", "5", "--no-profile", "--no-plain")
            self._guesses[model] = document["models"][0]["runs"]["p50_s"]
        return max(LEAST, min(MOST, int(RUN_S / self._guesses[model])))

    def independent(self, model: Path, threads: int, runs: int) -> float:
        """The median of the script that knows nothing of the program, in seconds."""
        found = json.loads(output((sys.executable, INDEPENDENT, model, threads, runs)))
        return float(found["p50_s"])

    def kept(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """A document under its name: the one that is there, or the one that `make` makes."""
        path = None if self.documents is None else self.documents / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.json"
        if path is not None and path.is_file():
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return found
        made = make()
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(made), encoding="utf-8")
        return made


def calibrate(machine: Machine, profile: Path) -> float:
    """Writes this machine's profile; returns the wall time in seconds."""
    counts = ",".join(map(str, machine.threads))
    start = time.monotonic()
    output((*machine.effaudit, "devices", "calibrate", "--threads", counts, "-o", profile))
    return time.monotonic() - start


def output(command: Sequence[object]) -> str:
    """What a command writes. Raises Failed."""
    try:
        done = subprocess.run(
            list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"stopped after {TIMEOUT_S:.0f} s") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Failed(f"exit code {done.returncode}: {last[:200]}")
    return done.stdout
