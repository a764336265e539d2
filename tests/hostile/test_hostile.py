"""Every bad input ends soon and small: in one clear line, or in a report that says what it does not know."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes.outcome import Outcome
from tests.processes.server import Server

from .case import JSON, NODES, TEXT, Case, written
from .generators import CASES
from .generators.names import HOSTILE, everywhere
from .harness import PEAK_BYTES, SECONDS, forked, report
from .wire import plain

pytestmark = pytest.mark.skipif(not hasattr(os, "wait4"), reason="needs wait4 to measure one child")

# Control characters but tab and newline, C1, and the marks that turn the direction of text around.
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
LONGEST_LINE = 1_000  # characters of an error besides the path
LONGEST_PAGE = 1 << 16  # bytes of a report in text: a screen, whatever the names in it

Run = tuple[Case, tuple[str, ...]]


def label(run: Run) -> str:
    case, options = run
    return case.id + "".join(options).replace("--", "@")


RUNS: list[Run] = [(case, options) for case in CASES for options in case.runs]
# The others are forked from a process with the package imported: what an import does, these show as well as all.
STARTED = {label(run) for run in RUNS[::8]}


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder that is gone after the test: some of the inputs are large, and pytest keeps its own for days."""
    with tempfile.TemporaryDirectory(prefix="hostile") as name:
        yield Path(name)


# --- what the contract asks -----------------------------------------------------------------------


def check_manners(outcome: Outcome) -> None:
    """What holds for every run, whatever its end."""
    assert not outcome.hung, f"hangs\n{outcome}"
    # The clock alone would blame the command for a busy machine, the processor time alone for a second thread.
    assert min(outcome.seconds, outcome.busy) <= SECONDS, f"takes longer than {SECONDS:g} s\n{outcome}"
    assert outcome.peak_bytes <= PEAK_BYTES, f"takes more than {PEAK_BYTES / 1e6:g} MB\n{outcome}"
    assert outcome.code in (0, 2), f"ends neither in a report nor in a clear refusal\n{outcome}"
    for stream in (outcome.stdout, outcome.stderr):
        text = stream.decode()  # valid UTF-8, whatever the names in the file
        assert "Traceback" not in text, str(outcome)
        found = FORBIDDEN.search(text)
        assert found is None, (
            f"prints {found[0]!r} as it is, near {text[max(0, found.start() - 40) : found.end() + 40]!r}"
        )


def check_line(case: Case, path: Path, outcome: Outcome) -> None:
    lines = outcome.stderr.decode().splitlines()
    assert len(lines) == 1 and lines[0].strip(), f"not one line on stderr\n{outcome}"
    line = lines[0]
    if case.named and case.stdin == "none":
        assert path.name in line, f"does not name the file\n{outcome}"
    line = line.replace(str(path), "").replace(path.name, "")
    assert len(line) <= LONGEST_LINE, f"one line, but {len(line)} characters long"
    for pattern in case.says:
        assert re.search(pattern, line, re.IGNORECASE), f"does not say {pattern!r}\n{outcome}"


def check_report(case: Case, options: tuple[str, ...], outcome: Outcome) -> None:
    text = outcome.stdout.decode()
    assert text.strip(), f"reports nothing\n{outcome}"
    assert not any(line.startswith("fake") for line in text.splitlines()), f"a name forged a line\n{outcome}"
    if options == TEXT:
        assert len(outcome.stdout) <= LONGEST_PAGE, f"a page of {len(outcome.stdout)} bytes"
    if options == JSON:
        (entry,) = json.loads(text)["models"]
        if case.marked:
            assert marks(entry), f"says nothing of what is wrong\n{outcome}"
        if case.verify is not None:
            case.verify(entry)


def marks(entry: dict[str, Any]) -> bool:
    """Whether a report of a model without named dims says that something in it is unknown or wrong."""
    totals = entry["totals"]
    tensors = [*entry["outputs"], *(output for node in entry["nodes"] for output in node["outputs"])]
    return bool(
        entry["findings"]
        or entry["unpriced"]
        or totals["unpriced"]
        or any(totals[name] is None for name in ("macs", "params", "ops", "weight_bytes"))
        or any(not known(tensor.get("shape")) for tensor in tensors)
    )


def known(shape: Any) -> bool:
    return isinstance(shape, list) and all(isinstance(dim, int) for dim in shape)


# --- the tests ------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", RUNS, ids=label)
def test_bad_input(run: Run, server: Server, folder: Path) -> None:
    case, options = run
    try:
        path = case.make(folder)
    except OSError as refusal:
        if refusal.errno in (errno.EILSEQ, errno.EPERM):
            pytest.skip("the file system has no such names or files")
        raise
    if case.stdin != "none" or label(run) in STARTED:
        outcome = report(path, *options, folder=folder, stdin=case.stdin)
    else:
        outcome = forked(server, path, *options, folder=folder)
    check_manners(outcome)
    expected = {"error": (2,), "report": (0,), "either": (0, 2)}[case.expect]
    assert outcome.code in expected, f"expected {case.expect}\n{outcome}"
    if outcome.code == 2:
        check_line(case, path, outcome)
    else:
        check_report(case, options, outcome)


def test_nothing_is_marked_in_a_model_without_faults(tmp_path: Path) -> None:
    """Else the cases above that ask for a mark would prove nothing."""
    outcome = report(written(plain())(tmp_path), *JSON, folder=tmp_path)
    assert outcome.code == 0, str(outcome)
    (entry,) = json.loads(outcome.stdout)["models"]
    assert not marks(entry)


@pytest.mark.parametrize("kind", ["colour", "title", "newlines", "bidi", "c1", "markup"])
def test_names_are_printed_harmless_in_every_format(kind: str, server: Server, tmp_path: Path) -> None:
    name = HOSTILE[kind]
    assert isinstance(name, str)
    path = written(everywhere(name))(tmp_path)
    outcomes = {form: forked(server, path, "-f", form, "--nodes", folder=tmp_path) for form in ("text", "csv", "json")}
    for outcome in outcomes.values():
        check_manners(outcome)
        assert outcome.code == 0, str(outcome)
        assert b"firstevil" in outcome.stdout, f"the harmless part of a name is gone\n{outcome}"
    names = [node["name"] for node in json.loads(outcomes["json"].stdout)["models"][0]["nodes"]]
    assert [found.startswith("firstevil") for found in names] == [True, False, False]
    rows = list(csv.reader(io.StringIO(outcomes["csv"].stdout.decode(), newline=""), strict=True))
    assert len({len(row) for row in rows}) == 1, "a name broke the rows apart"


@pytest.mark.parametrize("options", [TEXT, NODES, JSON], ids="".join)
def test_a_terminal_without_unicode_is_no_reason_to_crash(options: tuple[str, ...], tmp_path: Path) -> None:
    narrow = {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": "ascii:strict",
    }
    path = written(everywhere("模型 \N{GREEK SMALL LETTER ALPHA} \N{PILE OF POO}"))(tmp_path)
    outcome = report(path, *options, folder=tmp_path, environment=narrow)
    check_manners(outcome)
    assert outcome.code == 0, str(outcome)
