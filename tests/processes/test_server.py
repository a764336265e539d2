"""A forked run is measured as a process of its own, says what a started one says, and leaves nothing to the next."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from effaudit.cli import COMMANDS

from .outcome import Outcome
from .server import COMMAND, ROOT, Server, serving

pytestmark = pytest.mark.skipif(not hasattr(os, "wait4"), reason="needs wait4 to measure one child")

ENVIRONMENT = {name: text for name, text in os.environ.items() if name != "CI"} | {"PYTHONPATH": str(ROOT)}
Run = Callable[..., Outcome]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(ENVIRONMENT, [[COMMAND, "report", "sample:ad"]]) as found:
        yield found


@pytest.fixture
def act(server: Server, tmp_path: Path) -> Run:
    def run(name: str, *arguments: str, patience: float = 20) -> Outcome:
        call = f"{__package__}.acts:{name}"
        return server.run(call, *arguments, folder=tmp_path, environment={"WORD": "word"}, patience=patience)

    return run


def test_exit_code_streams_and_surroundings(act: Run, tmp_path: Path) -> None:
    outcome = act("speak", "one", "two")
    assert outcome.stdout.decode() == f"out one two word {tmp_path} ''\n"
    assert (outcome.code, outcome.stderr, outcome.hung) == (4, b"err\n", False)


def test_peak_memory_is_the_childs_own(act: Run) -> None:
    before = act("hold", "0").peak_bytes
    assert before < 100_000_000
    assert 195_000_000 < act("hold", "200000000").peak_bytes - before < 220_000_000
    assert act("hold", "0").peak_bytes < before + 5_000_000


def test_a_runaway_is_stopped(act: Run) -> None:
    outcome = act("hold", str(3 << 30))
    assert outcome.code == 1 and b"MemoryError" in outcome.stderr


def test_nothing_is_left_to_the_next(act: Run) -> None:
    assert act("leave").code == 0
    assert act("look").stdout == b"[] False False\n"


def test_processor_time(act: Run) -> None:
    assert 0.2 <= act("spin").busy < 2
    assert act("hold", "0").busy < 0.2


def test_ends_of_other_kinds(act: Run) -> None:
    failed = act("fail")
    assert failed.code == 1 and b"ValueError: not caught" in failed.stderr
    assert act("die").code == -6
    assert act("look").code == 0


def test_a_hanging_child_is_killed(act: Run) -> None:
    outcome = act("sleep", patience=0.3)
    assert outcome.hung and outcome.seconds < 30
    assert act("look").code == 0


@pytest.mark.parametrize(
    "words",
    [
        "report sample:vww-int8 --nodes",
        "report sample:nosuch",
        "memory sample:ad --all",
        "explain sample:ad macs",
        "fit sample:ad-int8 --device cortex-m7 --json",
        "devices",
        *(f"{command} --help" for command in COMMANDS),
        "--version",
        "nosuch",
        "",
    ],
)
def test_a_started_process_says_the_same(words: str, server: Server) -> None:
    command = [sys.executable, "-m", "effaudit", *words.split()]
    real = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, cwd=ROOT, env=ENVIRONMENT, check=False
    )
    found = server.run(COMMAND, *words.split(), folder=ROOT, environment=ENVIRONMENT, patience=60)
    assert (found.code, found.stdout, found.stderr) == (real.returncode, real.stdout, real.stderr)
