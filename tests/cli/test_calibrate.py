"""`effaudit devices calibrate`: what it refuses before it measures, what it writes and what it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from effaudit import strict_yaml
from effaudit.calibrate.host import Calibration
from effaudit.cli import calibrating
from effaudit.device.read import all_problems
from effaudit.errors import RunError
from tests.calibrate.machines import calibration
from tests.cli.in_process import Done, invoke

CORES = 2
Command = Callable[..., Done]


@pytest.fixture
def asked() -> list[tuple[int, ...]]:
    """The threads of every calibration that was made."""
    return []


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    asked: list[tuple[int, ...]],
) -> Command:
    """`effaudit devices calibrate ...` in an empty folder of a machine of two cores that is measured at once."""

    def measured(threads: Sequence[int], each: Any = None) -> Calibration:
        asked.append(tuple(threads))
        return calibration(tuple(threads))

    monkeypatch.setattr(calibrating, "calibrate", measured)
    monkeypatch.setattr(calibrating.os, "cpu_count", lambda: CORES)
    monkeypatch.chdir(tmp_path)
    return lambda *words: invoke(capsys, monkeypatch, "devices", "calibrate", *words)


def test_it_writes_a_valid_profile_and_says_what_next(run: Command, asked: list[tuple[int, ...]]) -> None:
    done = run("--threads", "1,2")
    assert (done.code, done.out, asked) == (0, "", [(1, 2)])
    assert all_problems("host.yaml", lambda name, _: name) == []
    lines = done.err.splitlines()
    assert lines[0].startswith("effaudit: saved host.yaml: effaudit time MODEL --predict --device host.yaml")
    assert [("1 thread:" in line, "2 threads:" in line) for line in lines[1:3]] == [(True, False), (False, True)]
    assert all("kinds of kernels; of " in line and "networks left out" in line for line in lines[1:3])


def test_the_name_and_the_place_are_those_asked_for(run: Command, tmp_path: Path) -> None:
    done = run("--threads", "1", "--name", "build-server", "-o", "mine.yaml")
    assert done.code == 0 and "--device mine.yaml" in done.err
    read = strict_yaml.read(tmp_path / "mine.yaml")
    assert isinstance(read, dict) and read["name"] == "build-server" and not (tmp_path / "host.yaml").exists()


def test_standard_output_is_the_profile_and_nothing_else(run: Command, tmp_path: Path) -> None:
    done = run("--threads", "1", "-o", "-")
    assert (done.code, done.err, list(tmp_path.iterdir())) == (0, "", [])
    read = strict_yaml.parse(done.out, "-")
    assert isinstance(read, dict) and read["schema"] == "effaudit.device/1"


def test_its_own_profile_is_replaced(run: Command, tmp_path: Path) -> None:
    assert run("--threads", "1", "--name", "first").code == run("--threads", "1", "--name", "second").code == 0
    assert "name: second" in (tmp_path / "host.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "content", ["schema: effaudit.device/1\nname: mine\nsources: {sheet: {title: a sheet}}\n", "[1]", ": no yaml", ""]
)
def test_a_file_of_somebody_else_is_not_touched(
    run: Command, asked: list[tuple[int, ...]], tmp_path: Path, content: str
) -> None:
    (tmp_path / "host.yaml").write_text(content, encoding="utf-8")
    done = run("--threads", "1")
    assert (done.code, asked) == (2, [])
    assert done.err == "effaudit: host.yaml: is there already, and no calibration wrote it; name another file with -o\n"
    assert (tmp_path / "host.yaml").read_text(encoding="utf-8") == content


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--threads", "0"], "--threads: 0 is out of range"),
        (["--threads", "-1"], "--threads"),
        (["--threads", "two"], "--threads"),
        (["--threads", "1.5"], "--threads"),
        (["--threads", "1,3"], "--threads 3: this machine runs 2 at a time"),
        (["--name", "My Machine"], "--name 'My Machine': expected lower-case letters"),
        (["--name", ""], "--name ''"),
        (["-o", "nowhere/host.yaml"], "nowhere/host.yaml: cannot be written: there is no folder nowhere"),
        (["-o", "."], ".: cannot be written: a directory"),
        (["extra"], "extra"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_measured(
    run: Command, asked: list[tuple[int, ...]], tmp_path: Path, words: list[str], said: str
) -> None:
    done = run(*words)
    assert (done.code, done.out, asked) == (2, "", []) and said in done.err
    assert done.err.count("\n") <= 1 or "Usage" in done.err
    assert not (tmp_path / "host.yaml").exists()


def test_threads_are_one_and_all_cores_unless_said_otherwise(run: Command, asked: list[tuple[int, ...]]) -> None:
    assert run("-o", "-").code == run("--threads", "2", "--threads", "1,2", "-o", "-").code == 0
    first, second = asked
    assert first[0] == 1 and len(first) <= 2 and second == (2, 1)


def test_a_runtime_that_fails_ends_in_a_line(run: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fails(threads: Sequence[int], each: Any = None) -> Calibration:
        raise RunError("ONNX Runtime is not installed")

    monkeypatch.setattr(calibrating, "calibrate", fails)
    done = run("--threads", "1")
    assert done.code == RunError("").exit_code and done.err == "effaudit: ONNX Runtime is not installed\n"
    assert not (tmp_path / "host.yaml").exists()
