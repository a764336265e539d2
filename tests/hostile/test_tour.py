"""Every bad input through every view, group, format and `explain`: it ends soon, small, clear and harmless."""

from __future__ import annotations

import errno
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from effaudit.audited import examine
from effaudit.views.weights import inspect
from tests.processes.server import Server

from . import harmless
from .case import Case, written
from .generators import CASES
from .generators.structure import largest, many_initializers
from .harness import PEAK_BYTES, SECONDS
from .tour import NAMES, PLANS, Step, Tour, tour, wide
from .wire import plain

pytestmark = pytest.mark.skipif(not hasattr(os, "wait4"), reason="needs wait4 to measure one child")

LONGEST_LINE = 1_000  # characters of an error
LARGE = 200_000  # bytes of a file whose nodes are not listed in every format
FEW_NODES = "names/"  # what is large there are the names
WIDE_SECONDS = 2 * SECONDS  # for all views of such a file: several passes over its 20,000 nodes
WIDE_BYTES = 500_000_000
# A tenth of each goes through everything; all of it through `report` alone, in test_hostile.
WHOLE = frozenset(("files/8-million-fields", *(case.id for case in largest())))
# Not devices, not files of 3 GB; a file's own name stands in every format.
TOURED = [
    case
    for case in CASES
    if case.stdin == "none"
    and case.id not in WHOLE
    and (case.parses or case.id.startswith("names/file-"))
    and not case.id.endswith(("-as-json", "-empty", "-absent"))
]


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
def test_bad_input_through_everything(case: Case, server: Server, folder: Path) -> None:
    path = made(case, folder)
    large = path.is_file() and path.stat().st_size > LARGE and not case.id.startswith(FEW_NODES)
    if large:
        check(wide(server, path, folder), WIDE_SECONDS, WIDE_BYTES)
        return
    found = tour(server, path, folder)
    check(found)
    assert found.steps[0].code or set(found.documents) >= {*NAMES, "html", *PLANS}


def test_a_model_without_faults_goes_all_the_way(server: Server, tmp_path: Path) -> None:
    """Else the runs above might all stop at their first step."""
    found = tour(server, written(plain())(tmp_path), tmp_path)
    check(found)
    assert [step.code for step in found.steps] == [0] * len(found.steps)
    names = [*["report"] * 3, *["memory"] * 5, *["explain"] * 5, "_repr_html_"]
    assert [step.arguments[0] for step in found.steps] == names
    assert all(document.strip() for document in found.documents.values())


def entry(server: Server, case: str, folder: Path) -> dict[str, Any]:
    """The model's entry in the JSON document of a case."""
    (found,) = (one for one in CASES if one.id == case)
    (model,) = json.loads(tour(server, found.make(folder), folder).documents["json"])["models"]
    return dict(model)


def test_a_count_past_every_float_is_unknown_and_at_least_that(server: Server, tmp_path: Path) -> None:
    totals = entry(server, "figures/loops-in-60-functions", tmp_path)["totals"]
    assert totals["macs"] is None
    assert totals["macs_bounds"] == [2**900, None]
    assert "2^900" in totals["why"]


def test_a_long_name_of_a_dim_is_cut_and_stays_one_dim(server: Server, tmp_path: Path) -> None:
    model = entry(server, "figures/dim-of-100000-letters-in-1000-nodes", tmp_path)
    (name,) = model["dims"]
    assert name.startswith("dddd") and len(name) < 1_000
    assert {node["outputs"][0]["shape"][0] for node in model["nodes"]} == {name}


def test_long_reasons_are_cut(server: Server, tmp_path: Path) -> None:
    nodes = entry(server, "figures/reason-of-100000-letters-in-1000-nodes", tmp_path)["nodes"]
    assert max(len(node["unpriced"]) for node in nodes[1:]) < 1_000


def test_reasons_from_within_calls_are_cut(server: Server, tmp_path: Path) -> None:
    (node,) = entry(server, "figures/names-of-50000-letters-in-60-calls", tmp_path)["nodes"]
    assert 100 < len(node["unpriced"]) < 1_000


def test_weights_past_the_limit_are_named_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[inspect.__module__], "MAX_TENSORS", 1_234)
    found = inspect(examine(str(written(many_initializers(2_000, read=True))(tmp_path))))
    assert [bool(tensor.values) for tensor in found.tensors] == [True] * 1_234 + [False] * 766
    (unread,) = found.unread
    assert unread.reason == "the model has more than 1,234 tensors"


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
        ("svg", "<svg xmlns='http://www.w3.org/2000/svg'><text>a<b</text></svg>"),
        ("svg", "<svg xmlns='http://www.w3.org/2000/svg'><script>a</script></svg>"),
        ("svg", "<svg xmlns='http://www.w3.org/2000/svg'><text onclick='a'>b</text></svg>"),
    ],
)
def test_a_document_that_is_not_harmless_is_found(form: str, document: str) -> None:
    with pytest.raises((AssertionError, ValueError, SyntaxError)):
        harmless.check(form, document)
