"""The command line in a process of its own: what it prints, and its exit code."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from tests.processes.server import COMMAND, ROOT, Server, serving

SECONDS = 60.0
COMMANDS = (
    "report sample:ad --nodes",
    "memory sample:ad --all",
    "explain sample:ad macs",
    "fit sample:ad-int8 --device cortex-m7",
    "devices",
)


def run(
    *arguments: str, stdin: bytes | None = None, cwd: Path = ROOT, **env: str
) -> subprocess.CompletedProcess[bytes]:
    """`effaudit ARGUMENTS`: forked, unless its standard input or a setting of the interpreter is asked for."""
    settings = {k: v for k, v in os.environ.items() if k != "CI"} | {"PYTHONPATH": str(ROOT), **env}
    command = [sys.executable, "-m", "effaudit", *arguments]
    if stdin is not None or any(name.startswith("PYTHON") for name in env) or not hasattr(os, "wait4"):
        return subprocess.run(
            command, input=stdin, capture_output=True, cwd=cwd, env=settings, timeout=SECONDS, check=False
        )
    done = _server().run(COMMAND, *arguments, folder=cwd, environment=settings, patience=SECONDS)
    assert not done.hung, f"{command} hangs"
    return subprocess.CompletedProcess(command, done.code, done.stdout, done.stderr)


@cache
def _server() -> Server:
    kept = ExitStack()
    atexit.register(kept.close)
    environment = {name: text for name, text in os.environ.items() if name != "CI"}
    return kept.enter_context(serving(environment, [[COMMAND, *words.split()] for words in COMMANDS]))
