"""`effaudit fit` on bad profiles, bad models and bad options: a verdict or one line, soon, and nothing lost."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.in_process import Done, invoke
from tests.device.profiles import BOARD

from .generators import CASES
from .harness import run, surroundings

Fit = Callable[..., Done]
HUGE = "figures/macs-of-2500-bits"


@pytest.fixture
def fit(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Fit:
    return lambda *arguments: invoke(capsys, monkeypatch, "fit", *arguments)


def profile(folder: Path, old: str = "", new: str = "") -> str:
    assert old in BOARD
    path = folder / "board.yaml"
    path.write_text(BOARD.replace(old, new, 1) if old else BOARD, encoding="utf-8")
    return str(path)


def refused(done: Done, *says: str) -> None:
    assert done.code == 2, done
    assert not done.out
    (line,) = done.err.splitlines()
    for word in says:
        assert word in line


@pytest.mark.parametrize("number", ["0", "5e-324", "1e308", "{value: 1e8, low: 0}"])
def test_a_clock_that_nothing_has_is_refused(fit: Fit, tmp_path: Path, number: str) -> None:
    path = profile(tmp_path, "clock_hz: 100e6", f"clock_hz: {number}")
    refused(fit("sample:vww-int8", "--device", path), path, "$.engines[0].clock_hz: expected")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
@pytest.mark.parametrize("place", ["device", "operators"])
def test_a_named_pipe_that_nobody_writes_to_is_an_empty_file(tmp_path: Path, place: str) -> None:
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    device = str(pipe) if place == "device" else "cortex-m7"
    more = [] if place == "device" else ["--operators", str(pipe)]
    words = [sys.executable, "-m", "effaudit", "fit", "sample:ad-int8", "--device", device, *more]
    outcome = run(words, folder=tmp_path, env=surroundings(tmp_path))
    assert not outcome.hung, str(outcome)
    assert outcome.code == 2 and b"pipe.yaml" in outcome.stderr, str(outcome)


@pytest.mark.parametrize("form", ["text", "json", "csv", "markdown"])
def test_bytes_past_every_float_are_unknown(fit: Fit, tmp_path: Path, form: str) -> None:
    (case,) = (one for one in CASES if one.id == HUGE)
    done = fit(str(case.make(tmp_path)), "--device", "cortex-m7", "-f", form)
    assert done.code == 4, done.err
    if form == "json":
        (verdict,) = json.loads(done.out)["verdicts"]
        rows = {row["memory"]: row for row in verdict["memory"]["rows"]}
        assert rows["sram"]["need_bounds"][1] is None and rows["sram"]["margin_bytes"] is None


def test_the_document_does_not_take_the_place_of_the_profile(fit: Fit, tmp_path: Path) -> None:
    path = profile(tmp_path)
    refused(fit("sample:vww-int8", "--device", path, "-o", path), "is read here")
    assert Path(path).read_text(encoding="utf-8") == BOARD


def pipeline(done: Done) -> dict[str, Any]:
    (found,) = json.loads(done.out)["pipelines"]
    return dict(found)


def test_a_model_twice_in_a_pipeline_keeps_both_counts(fit: Fit) -> None:
    twice = pipeline(fit("sample:ad-int8:3", "sample:ad-int8:4", "--device", "cortex-m7", "--json"))
    once = pipeline(fit("sample:ad-int8:7", "--device", "cortex-m7", "--json"))
    assert [count for _, count in twice["parts"]] == [3, 4]
    assert twice["latency_s"]["value"] == pytest.approx(once["latency_s"]["value"])


def test_a_model_that_cannot_be_read_outweighs_a_verdict_that_is_not_known(fit: Fit) -> None:
    unknown = fit("sample:vww-int8", "--device", "st-nucleo-f411re")
    assert unknown.code == 4  # else the next line proves nothing
    assert fit("sample:vww-int8", "sample:nosuch", "--device", "st-nucleo-f411re").code == 2


@pytest.mark.parametrize("length", [1, 200, 500])
def test_what_is_to_be_pasted_is_never_cut(fit: Fit, tmp_path: Path, length: int) -> None:
    out = tmp_path / ("x" * min(length, 200))
    formats = [f"json={out}", *([f"csv={out}y", f"markdown={out}z"] if length == 500 else [])]
    words = ["sample:bert-base", "--device", "a100", *(word for form in formats for word in ("-f", form))]
    done = fit(*words)
    refused(done, "batch", "sequence")
    assert "..." not in done.err
    whole = done.err.partition("give it: effaudit fit ")[2]
    added = done.err.partition("; add ")[2]
    assert bool(whole) != bool(added)
    assert fit(*(shlex.split(whole) if whole else [*words, *shlex.split(added)])).code == 0


@pytest.mark.parametrize("number", ["\N{ARABIC-INDIC DIGIT THREE}", "1_000", "nan", "inf", "1e400", "-1", ""])
def test_numbers_are_plain(fit: Fit, number: str) -> None:
    refused(fit("sample:vww-int8", "--device", "cortex-m7", f"--min-throughput={number}"), "--min-throughput")


def test_an_element_type_named_twice_is_judged_once(fit: Fit) -> None:
    done = fit("sample:vww-int8", "--device", "cortex-m7", "--quantize", "int8", "--quantize", "int8", "--json")
    assert len(json.loads(done.out)["verdicts"]) == 1


@pytest.mark.parametrize("form", ["text", "json", "csv", "markdown"])
def test_where_no_model_can_be_read_each_is_named(fit: Fit, form: str) -> None:
    done = fit("sample:no-one", "sample:no-two", "--device", "cortex-m7", "-f", form)
    assert done.code == 2
    assert ["sample:no-one" in line or "sample:no-two" in line for line in done.err.splitlines()] == [True, True]


def test_time_that_leaves_the_engine_is_not_passed_by_serving(fit: Fit) -> None:
    """Two nodes run on a CPU whose speed nobody states: the same dims bound in another way give the same time."""
    words = ["sample:dynamic", "--device", "hexagon-8gen3", "--min-throughput", "10", "--json"]
    served, bound = fit(*words, "--context", "64"), fit(*words, "--dim", "batch=1", "--dim", "sequence=64")
    (one,), (other,) = (json.loads(done.out)["verdicts"] for done in (served, bound))
    assert other["placement"]["left"] and other["latency_s"]["value"] is None  # else the next line proves nothing
    assert one["latency_s"] == other["latency_s"]
    assert served.code == bound.code == 4


def test_a_kernel_that_does_nothing_has_no_place_on_the_roofline(fit: Fit, tmp_path: Path) -> None:
    (case,) = (one for one in CASES if one.id == "operators/pool-kernel-0")
    done = fit(str(case.make(tmp_path)), "--device", "a100", "--roofline")
    assert done.code in (0, 1, 2, 4), done.err
