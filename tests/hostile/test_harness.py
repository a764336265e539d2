"""The harness measures the child and nothing else, and a child that never ends does end."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from .harness import Outcome, feed, run, surroundings

pytestmark = pytest.mark.skipif(not hasattr(os, "wait4"), reason="needs wait4 to measure one child")


def python(script: str, folder: Path, patience: float = 20, stdin: str = "none") -> Outcome:
    with feed(folder / "fed", stdin) as source:
        return run(
            [sys.executable, "-I", "-S", "-c", script],
            folder=folder,
            env=surroundings(folder),
            source=source,
            stdin=stdin,
            patience=patience,
        )


def test_peak_memory_is_the_childs_own(tmp_path: Path) -> None:
    ballast = bytearray(400_000_000)
    ballast[::4096] = b"x" * len(ballast[::4096])  # touched, so that it counts as this process's
    assert python("pass", tmp_path).peak_bytes < 60_000_000
    held = python("x = bytearray(200_000_000); x[::4096] = b'x' * len(x[::4096])", tmp_path)
    assert 200_000_000 < held.peak_bytes < 260_000_000
    assert ballast


def test_exit_code_and_streams(tmp_path: Path) -> None:
    outcome = python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(4)", tmp_path)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (4, b"out\n", b"err\n")
    assert not outcome.hung


def test_a_signal_is_a_negative_code(tmp_path: Path) -> None:
    assert python("import os; os.abort()", tmp_path).code == -6


def test_a_hanging_child_is_killed(tmp_path: Path) -> None:
    outcome = python("import time; time.sleep(60)", tmp_path, patience=0.5)
    assert outcome.hung and outcome.seconds < 30


def test_a_runaway_is_stopped(tmp_path: Path) -> None:
    assert b"MemoryError" in python("bytearray(3 << 30)", tmp_path).stderr


@pytest.mark.parametrize("stdin, seen", [("none", "0"), ("file", "3"), ("zeros", "1073741824"), ("closed", "closed")])
def test_stdin(stdin: str, seen: str, tmp_path: Path) -> None:
    (tmp_path / "fed").write_bytes(b"abc")
    script = (
        "import sys\nif sys.stdin is None: print('closed'); sys.exit()\n"
        "total = 0\nwhile chunk := sys.stdin.buffer.read(1 << 20): total += len(chunk)\nprint(total)"
    )
    assert python(script, tmp_path, stdin=stdin).stdout.decode().strip() == seen
