"""What came of a process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SPAWN = Path(__file__).with_name("_spawn.py")


@dataclass(frozen=True, slots=True)
class Outcome:
    code: int  # negative: the signal it died of
    seconds: float
    busy: float  # seconds of processor time
    peak_bytes: int
    hung: bool
    stdout: bytes
    stderr: bytes

    def __str__(self) -> str:
        ends = (f"{name}: {tail(data)}" for name, data in (("stdout", self.stdout), ("stderr", self.stderr)))
        state = "killed as hung" if self.hung else f"exit {self.code}"
        took = f"{self.seconds:.2f} s ({self.busy:.2f} busy), peak {self.peak_bytes / 1e6:.0f} MB"
        return "\n".join([f"{state} after {took}", *ends])


def tail(data: bytes, length: int = 800) -> str:
    return f"{len(data)} bytes, ...{data[-length:]!r}" if len(data) > length else repr(data)
