"""Runs the command in a child of its own and says what came of it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tests.processes.outcome import SPAWN, Outcome
from tests.processes.server import COMMAND, Server

SECONDS = 30.0  # a guard against hangs on a slow, busy machine, not a benchmark; 200,000 nodes take 5 s on an idle one
PEAK_BYTES = 300_000_000
PATIENCE = 2 * SECONDS  # killed after this, having waited for something that does not come

ZEROS = 1 << 30  # what an endless pipe gives before it ends after all


def report(
    path: Path | str,
    *options: str,
    folder: Path,
    stdin: str = "none",
    environment: dict[str, str] | None = None,
) -> Outcome:
    """Run `effaudit report PATH OPTIONS` in `folder`; with a stdin other than none, `-` stands for PATH."""
    target = str(path) if stdin == "none" else "-"
    command = [sys.executable, "-m", "effaudit", "report", target, *options]
    with feed(path, stdin) as source:
        env = surroundings(folder) | (environment or {})
        return run(command, folder=folder, env=env, source=source, stdin=stdin)


def forked(server: Server, path: Path | str, *options: str, folder: Path) -> Outcome:
    """As `report`, but that the interpreter has started and imported before."""
    words = ("report", str(path), *options)
    return server.run(COMMAND, *words, folder=folder, environment=surroundings(folder), patience=PATIENCE)


def run(
    command: Sequence[str],
    *,
    folder: Path,
    env: dict[str, str],
    source: IO[bytes] | int = subprocess.DEVNULL,
    stdin: str = "none",
    patience: float = PATIENCE,
) -> Outcome:
    reading, writing = os.pipe()
    start = [sys.executable, "-I", "-S", str(SPAWN), str(writing), str(patience), stdin, *command]
    with os.fdopen(reading, "rb") as figures:
        try:
            done = subprocess.run(
                start,
                stdin=source,
                capture_output=True,
                cwd=folder,
                env=env,
                pass_fds=(writing,),
                timeout=patience + 30,
                check=True,
            )
        finally:
            os.close(writing)
        code, seconds, busy, peak, hung = figures.read().split()
    return Outcome(int(code), float(seconds), float(busy), int(peak), hung == b"1", done.stdout, done.stderr)


@contextmanager
def feed(path: Path | str, stdin: str) -> Iterator[IO[bytes] | int]:
    match stdin:
        case "file":
            with open(path, "rb") as file:
                yield file
        case "zeros":
            script = f"import os\nfor _ in range({ZEROS >> 20}): os.write(1, bytes(1 << 20))"
            feeder = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            assert feeder.stdout is not None
            try:
                yield feeder.stdout
            finally:
                feeder.stdout.close()
                feeder.kill()
                feeder.wait()
        case _:
            yield subprocess.DEVNULL


def surroundings(folder: Path) -> dict[str, str]:
    """An environment in which only the input can change the outcome: no settings, no colours."""
    env = {name: text for name, text in os.environ.items() if not name.startswith(("EFFAUDIT_", "PYTHON"))}
    for name in ("CI", "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "GITHUB_ACTIONS"):
        env.pop(name, None)
    return env | {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "PYTHONPATH": str(package_root())}


def package_root() -> Path:
    """Where the `effaudit` lies that these tests themselves would import."""
    found = importlib.util.find_spec("effaudit")
    if found is not None and found.origin is not None:
        return Path(found.origin).resolve().parents[1]
    return Path(__file__).resolve().parents[2]
