"""`effaudit report --device`: time, roofline and energy beside the costs, and never a verdict."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from effaudit.fit.asked import FitAsked
from effaudit.fit.model import fit
from tests.cli.in_process import Done, invoke

from . import devices
from .goldens import device, reported

ROOT = Path(__file__).parents[3]


class Shell:
    """`effaudit report` with a device of `devices.py`."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.capsys, self.monkeypatch, self.folder = capsys, monkeypatch, folder
        monkeypatch.setenv("COLUMNS", "80")

    def __call__(self, *arguments: str, on: str = "board") -> Done:
        where = ("--device", devices.write(self.folder, on)) if on else ()
        return invoke(self.capsys, self.monkeypatch, "report", *arguments, *where)


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    return Shell(capsys, monkeypatch, tmp_path)


def test_the_figures_are_those_of_a_fit() -> None:
    view = reported().device
    (judged,) = fit("sample:ic", [device("board")], [FitAsked(quantize="int8")])
    for field in ("device", "runtime", "quantize", "latency_s", "energy_j", "energy", "roofline", "rewrites", "notes"):
        assert getattr(view, field) == getattr(judged, field), field
    assert view.kernels == judged.rows


def test_a_model_that_does_not_fit_exits_0(report: Shell) -> None:
    done = report("sample:resnet50")
    assert done.code == 0, done.err
    said = " ".join(done.out.split())
    assert "no verdict: effaudit fit gives one" in said and "DOES NOT FIT" not in said
    assert len(done.out.splitlines()) <= 40


def test_open_sizes_are_assumed_and_said(report: Shell) -> None:
    done = report("sample:dynamic", on="card")
    assert done.code == 0
    assert "assumed, as above, for batch, sequence; --dim gives others" in " ".join(done.out.split())
    given = report("sample:dynamic", "--dim", "batch=1,sequence=8", on="card")
    assert "assumed, as above" not in given.out


def test_nodes_have_columns_of_the_device(report: Shell) -> None:
    done = report("sample:ic", "--nodes", "-f", "csv", "--columns", "node,kernel_intensity,regime,seconds")
    rows = list(csv.DictReader(io.StringIO(done.out)))
    view = json.loads(report("sample:ic", "--json").out)["models"][0]["device"]
    seconds = {row["node"]: row["seconds"] for row in view["kernels"]}
    assert len(rows) == 23
    assert {row["node"]: float(row["seconds"]) for row in rows if row["seconds"]} == seconds
    assert sum(seconds.values()) == pytest.approx(view["latency_s"]["value"])  # no time per inference here


def test_nodes_sort_by_time(report: Shell) -> None:
    done = report("sample:ic", "--sort", "seconds", "--columns", "node,seconds", "-f", "csv")
    times = [float(row["seconds"]) for row in csv.DictReader(io.StringIO(done.out)) if row["seconds"]]
    assert times == sorted(times, reverse=True) and len(times) == 15


def test_the_roofline_in_text_and_as_a_list(report: Shell) -> None:
    assert "+ ridge 2.00 FLOP/B = 800 MFLOP/s / 400 MB/s" in report("sample:ic", "--roofline").out
    rows = list(csv.DictReader(io.StringIO(report("sample:ic", "--roofline", "-f", "csv").out)))
    assert {row["regime"] for row in rows} == {"compute", "memory"}
    assert all(float(row["share"]) > 0 for row in rows)


def test_several_models_have_a_row_each(report: Shell) -> None:
    out = report("sample:ic", "sample:kws").out
    assert "on acme-board, no verdict" in out
    assert [line.split()[0] for line in out.partition("no verdict")[2].splitlines()[3:5]] == ["sample:ic", "sample:kws"]


def test_jsonl_leaves_the_kernels_out(report: Shell) -> None:
    record = json.loads(report("sample:ic", "-f", "jsonl").out)
    assert record["device"]["device"] == "acme-board" and "kernels" not in record["device"]


@pytest.mark.parametrize("option", [("--roofline",), ("--quantize", "int8"), ("--runtime", "tflm")])
def test_options_that_are_about_a_device(report: Shell, option: tuple[str, ...]) -> None:
    done = report("sample:ic", *option, on="")
    assert done.code == 2
    assert done.err == f"effaudit: {option[0]} is about a device; name it with --device\n"


def test_errors(report: Shell, tmp_path: Path) -> None:
    other = devices.write(tmp_path, "card")
    assert "report shows one device; `effaudit fit` compares several" in report("sample:ic", "--device", other).err
    assert report("sample:ic", "--runtime", "tensorrt").code == 2
    assert report("sample:ic", "--quantize", "int1").code == 2
    assert report("sample:ic", "--sort", "seconds", on="").code == 2


def test_without_a_device_nothing_of_it_is_imported() -> None:
    code = (
        "import sys\nfrom effaudit import cli\nsys.argv = ['effaudit', 'report', 'sample:ic']\ncli._run(False)\n"
        "found = [m for m in sys.modules if m.startswith(('effaudit.fit', 'effaudit.device', 'effaudit.estimate'))]\n"
        "print(found, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "device" not in done.stdout.split("next")[0]
