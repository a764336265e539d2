"""Real graphs against measured truth: every file, to the unit."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from .score import ROOT, Result, folder, result, rows

CORPUS = folder()
pytestmark = pytest.mark.skipif(CORPUS is None, reason="the corpus is not beside this checkout")
ROWS = rows(CORPUS) if CORPUS is not None else []
# Which branch runs is decided by an input's value: the two branches of this file cost 4,096 and 8,192.
DECIDED_BY_VALUES = {"hand_if.hand.op17.onnx"}


@pytest.fixture(scope="module", params=ROWS, ids=lambda row: row["file"])
def scored(request: pytest.FixtureRequest) -> Result:
    assert CORPUS is not None
    return result(CORPUS, request.param)


def test_macs(scored: Result) -> None:
    expected = "holds" if scored.file in DECIDED_BY_VALUES else "exact"
    assert scored.macs == expected, scored.macs_why


def test_every_node_is_priced(scored: Result) -> None:
    assert scored.unpriced == () or scored.data_dependent, scored.unpriced


def test_constant_elements(scored: Result) -> None:
    assert scored.elements


def test_no_shape_is_wrong(scored: Result) -> None:
    assert scored.bound.wrong == ()
    assert scored.bound.untold == 0 or scored.data_dependent


def test_live_bytes(scored: Result) -> None:
    assert scored.live or scored.data_dependent


def test_no_symbolic_shape_is_wrong(scored: Result) -> None:
    if scored.symbolic is not None:
        assert scored.symbolic.wrong == ()
        assert scored.symbolic.untold == 0 or scored.data_dependent


@pytest.mark.parametrize("row", ROWS[::12], ids=lambda row: row["file"])
def test_the_command_ends_well(row: dict[str, str]) -> None:
    """A sample of the files through the command itself, nothing given."""
    assert CORPUS is not None
    command = [sys.executable, "-m", "effaudit", "report", str(CORPUS / "models" / row["file"]), "--json"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stderr
