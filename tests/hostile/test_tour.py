"""Every bad input through every view, group, format and `explain`: it ends soon, small, clear and harmless."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import harmless
from .case import Case, written
from .generators import CASES
from .harness import PEAK_BYTES, SECONDS
from .tour import NAMES, Step, Tour, tour, wide
from .wire import plain

pytestmark = pytest.mark.skipif(not hasattr(os, "wait4"), reason="needs wait4 to measure one child")

LONGEST_LINE = 1_000  # characters of an error
LARGE = 1_000_000  # bytes of a file whose nodes are not listed
WIDE_SECONDS = 4 * SECONDS  # for all views of such a file: several passes over its 200,000 nodes
WIDE_BYTES = 500_000_000
TOURED = [case for case in CASES if case.stdin == "none" and case.parses]


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tour") as name:
        yield Path(name)


def made(case: Case, folder: Path) -> Path:
    try:
        return case.make(folder)
    except OSError as refusal:
        if refusal.errno in (errno.EILSEQ, errno.EPERM):
            pytest.skip("the file system has no such names or files")
        raise


def check_step(step: Step, seconds: float) -> None:
    where = f"{step.arguments[:3]}: "
    assert step.code in (0, 2), f"{where}exit {step.code}: {step.stderr[-800:]}"
    assert step.seconds <= seconds, f"{where}{step.seconds:.1f} s"
    for stream in (step.stdout, step.stderr):
        assert "Traceback" not in stream, where + stream[-800:]
        harmless.text(stream)
    if step.code == 2:
        lines = step.stderr.splitlines()
        assert len(lines) == 1 and lines[0].startswith("effaudit: "), f"{where}{lines}"
        assert len(lines[0]) <= LONGEST_LINE, f"{where}a line of {len(lines[0])} characters"
    else:
        assert not step.stderr, f"{where}{step.stderr}"


def check(found: Tour, seconds: float = SECONDS, peak: int = PEAK_BYTES) -> None:
    assert not found.outcome.hung and found.outcome.code == 0, str(found.outcome)
    assert found.outcome.peak_bytes <= peak, str(found.outcome)
    for step in found.steps:
        check_step(step, seconds)
    for form, document in found.documents.items():
        harmless.check(form, document)


@pytest.mark.parametrize("case", TOURED, ids=lambda case: case.id)
def test_bad_input_through_everything(case: Case, folder: Path) -> None:
    path = made(case, folder)
    large = path.is_file() and path.stat().st_size > LARGE
    if large:
        check(wide(path, folder), WIDE_SECONDS, WIDE_BYTES)
        return
    found = tour(path, folder)
    check(found)
    assert found.steps[0].code or set(found.documents) >= {*NAMES, "html"}


def test_a_model_without_faults_goes_all_the_way(tmp_path: Path) -> None:
    """Else the runs above might all stop at their first step."""
    found = tour(written(plain())(tmp_path), tmp_path)
    check(found)
    assert [step.code for step in found.steps] == [0] * len(found.steps)
    assert [step.arguments[0] for step in found.steps] == [*["report"] * 3, *["explain"] * 5, "_repr_html_"]
    assert all(document.strip() for document in found.documents.values())


@pytest.mark.parametrize(
    "form, document",
    [
        ("text", "a\x1b[31mb"),
        ("text", "a\u202eb"),
        ("json", '{"a": "\u00e9"}'),
        ("jsonl", "{}\n{"),
        ("csv", "a,b\n1\n"),
        ("csv", "model,node\nm,=1+1\n"),
        ("csv nodes", "model,node\nm,@SUM(A1)\n"),
        ("markdown", "a <script>"),
        ("markdown", "| a | b |\n| --- | --- |\n| x | y | z |\n"),
        ("latex", "a & \\input{b} \\\\"),
        ("latex", "a_b & c"),
        ("html", "<p>a<script>b</script></p>"),
        ("html", "<p onclick='a'>b</p>"),
    ],
)
def test_a_document_that_is_not_harmless_is_found(form: str, document: str) -> None:
    with pytest.raises((AssertionError, ValueError)):
        harmless.check(form, document)
