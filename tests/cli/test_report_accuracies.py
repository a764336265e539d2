"""`effaudit report --accuracy`: models by accuracy and cost, in every format; what cannot be meant is refused."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest

from effaudit.load.files import sample_folder

from .in_process import Done, invoke

THREE = ("report", "sample:ic", "sample:kws", "sample:ad")
GIVEN = ("--accuracy", "ic=87.05,sample:kws=91.7")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    return lambda *arguments: invoke(capsys, monkeypatch, *arguments)


def test_json(run) -> None:  # type: ignore[no-untyped-def]
    found = json.loads(run(*THREE, *GIVEN, "--target", "10M", "--json").out)
    models, front = found["models"], found["pareto"]
    assert (front["costs"], front["device"], front["target"]) == (["macs"], None, {"cost": "macs", "value": 10_000_000})
    ic, kws, ad = front["models"]
    assert [one["accuracy"] for one in front["models"]] == [0.8705, 0.917, None]
    assert [one["pareto"] for one in front["models"]] == [False, True, None]
    assert ic["dominated_by"] == ["sample:kws"] and ad["why"] == "no accuracy is given"
    assert [one["macs"] for one in front["models"]] == [one["totals"]["macs"] for one in models]
    assert ic["reward"] == pytest.approx(0.8705 * (ic["macs"] / 10e6) ** -0.07)
    assert (kws["hard_reward"], ad["reward"]) == (0.917, None)
    assert ic["hard_reward"] == pytest.approx(0.8705 * 10e6 / ic["macs"])
    assert "pareto" not in json.loads(run(*THREE, "--json").out)


def test_on_a_device(run) -> None:  # type: ignore[no-untyped-def]
    found = json.loads(run(*THREE, *GIVEN, "--device", "cortex-m7", "--target", "80ms", "--json").out)
    front = found["pareto"]
    assert (front["costs"], front["target"]) == (["latency"], {"cost": "latency", "value": pytest.approx(0.08)})
    times = [model["device"]["latency_s"]["value"] for model in found["models"]]
    assert [one["latency_s"] for one in front["models"]] == times
    assert front["models"][0]["reward"] == pytest.approx(0.8705 * (times[0] / 0.08) ** -0.07)


def test_csv_and_json_lines(run) -> None:  # type: ignore[no-untyped-def]
    rows = list(csv.DictReader(io.StringIO(run(*THREE, *GIVEN, "-f", "csv").out)))
    assert [(row["model"], row["accuracy"], row["pareto"]) for row in rows] == [
        ("sample:ic", "0.8705", "no"),
        ("sample:kws", "0.917", "yes"),
        ("sample:ad", "", ""),
    ]
    lines = map(json.loads, run(*THREE, *GIVEN, "-f", "jsonl").out.splitlines())
    assert [line["pareto"] for line in lines if line["record"] == "pareto"] == [False, True, None]


def test_documents(run) -> None:  # type: ignore[no-untyped-def]
    text = run(*THREE, *GIVEN, "--target", "10M").out
    assert "sample:kws  91.70 %" in text and "No accuracy is given for sample:ad." in text.replace("\n", " ")
    assert max(map(len, text.splitlines())) <= 80
    assert "| sample:ic | 87.05 % |" in run(*THREE, *GIVEN, "-f", "markdown").out
    latex = run(*THREE, *GIVEN, "-f", "latex").out
    assert "sample:kws & 91.70 \\% & " in latex and "% Pareto: no other model" in latex
    both = run(*THREE, *GIVEN, "--totals", "--baseline", "resnet50").out
    assert "resnet50 (published)" in both and "other ops" in both and "87.05 %" in both
    assert "accuracy" in run("report", "sample:ic", "--accuracy", "ic=87").out


def test_names(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        shutil.copy(Path(sample_folder()) / "ic.onnx", tmp_path / name / "ic.onnx")
    one, two = (str(tmp_path / name / "ic.onnx") for name in ("one", "two"))
    for key in (one, "ic.onnx", "ic"):
        assert json.loads(run("report", one, "--accuracy", f"{key}=50", "--json").out)["pareto"]["models"][0]["pareto"]
    assert "give the whole name" in run("report", one, two, "--accuracy", "ic=50").err
    found = json.loads(run("report", one, two, "--accuracy", f"{one}=50%,{two}=50", "--json").out)["pareto"]["models"]
    assert [(row["accuracy"], row["pareto"]) for row in found] == [(0.5, True)] * 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--accuracy", "ic=0.87"], "expected percent: write 87"),
        (["--accuracy", "ic=101"], "at most 100 %"),
        (["--accuracy", "ic=0"], "more than 0"),
        (["--accuracy", "ic=nan"], "expected percent"),
        (["--accuracy", "ic"], "expected MODEL=PERCENT"),
        (["--accuracy", "vww=80"], "is no model of this report; there are sample:ic, sample:kws, sample:ad"),
        (["--accuracy", "ic=80", "--accuracy", "sample:ic=81"], "given twice, as 80 and 81 %"),
        (["--accuracy", ""], "no accuracy is given"),
        (["--target", "10M"], "--target: no accuracy is given"),
        (["--pareto", "params"], "--pareto: no accuracy is given"),
        ([*GIVEN, "--pareto", "speed"], "expected one of params"),
        ([*GIVEN, "--pareto", "latency"], "name it with --device"),
        ([*GIVEN, "--target", "80ms"], "name it with --device"),
        ([*GIVEN, "--target", "80x"], "such as 80ms, or MACs, such as 300M"),
        ([*GIVEN, "--target", "0"], "above 0"),
        ([*GIVEN, "--target", "1e999s", "--device", "cortex-m7"], "above 0"),
        ([*GIVEN, "--nodes", "-f", "csv"], "csv holds one table"),
    ],
)
def test_refusals(run, arguments: list[str], words: str) -> None:  # type: ignore[no-untyped-def]
    done: Done = run(*THREE, *arguments)
    assert (done.code, done.out) == (2, "")
    assert words in done.err and len(done.err.splitlines()) == 1
