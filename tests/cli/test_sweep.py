"""`effaudit sweep` from outside: the grid, its rows, and the same bytes whatever the number of processes."""

from __future__ import annotations

import csv
import io
import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.profiles import board, written
from tests.whatif import stub

from . import test_report as outside
from .in_process import Done, invoke

MACS = 12_501_632


class Run:
    """`effaudit sweep ARGUMENTS` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys, self.monkeypatch = capsys, monkeypatch
        stub.register(monkeypatch)

    def __call__(self, *arguments: str) -> Done:
        return invoke(self.capsys, self.monkeypatch, "sweep", *arguments)

    def text(self, *arguments: str, code: int = 0) -> str:
        done = self(*arguments)
        assert (done.code, done.err) == (code, "")
        return done.out

    def document(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.text(*arguments, "--json", code=code))
        return found

    def error(self, *arguments: str) -> str:
        done = self(*arguments)
        assert (done.code, done.out) == (2, "")
        (line,) = done.err.splitlines()
        return line


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(capsys, monkeypatch)


def test_every_combination_in_order(run: Run, tmp_path: Path) -> None:
    on = str(written(tmp_path, board(2 << 20, 1 << 20)))
    found = run.document("sample:ic", "--bind", "batch=1,2", "--device", on, "--set", "sram=100KiB,1MiB")
    assert found["schema"] == "effaudit.sweep/1"
    assert [axis["name"] for axis in found["axes"]] == ["bind", "device", "set sram"]
    points = found["points"]
    assert [(p["values"]["bind"], p["values"]["set sram"]) for p in points] == [
        (f"batch={batch}", size) for batch in "12" for size in ("100KiB", "1MiB")
    ]
    assert [p["totals"]["macs"] for p in points] == [MACS, MACS, 2 * MACS, 2 * MACS]
    assert [p["device"]["status"] for p in points] == ["does-not-fit", "fits"] * 2


def test_sizes_are_those_of_memory(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    points = run.document("sample:dynamic", "--dim", "batch=1:4:x2,sequence=16,128")["points"]
    assert len(points) == 6
    for point in points:
        words = shlex.split(point["command"])
        assert words[:3] == ["effaudit", "memory", "sample:dynamic"]
        done = invoke(capsys, run.monkeypatch, *words[1:], "--json")
        memory = json.loads(done.out)["models"][0]["memory"]
        assert point["memory"] == {key: memory[key] for key in point["memory"]}


def test_a_point_is_what_whatif_shows(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--device", "cortex-m7", "--dim", "batch=1")
    points = run.document("sample:ad", "--bind", "none,batch=2,blocked=1", *options)["points"]
    assert [shlex.split(point["command"])[1] for point in points] == ["fit", "whatif"]
    done = invoke(capsys, run.monkeypatch, *shlex.split(points[1]["command"])[1:], "--json")
    last = json.loads(done.out)["models"][0]["steps"][-1]
    assert (points[1]["totals"], points[1]["memory"]) == (last["totals"], last["memory"])
    assert points[1]["device"] == last["devices"][0]
    done = invoke(capsys, run.monkeypatch, *shlex.split(points[0]["command"])[1:], "--json")
    assert json.loads(done.out)["verdicts"][0]["latency_s"] == points[0]["device"]["latency_s"]


def test_steps_are_made_in_the_order_of_the_options(run: Run) -> None:
    stub.register(run.monkeypatch, "fold")
    for order in (("--bind", "batch=2,3", "--fold", "batch=5,7"), ("--fold", "batch=5,7", "--bind", "batch=2,3")):
        points = run.document("sample:ic", *order)["points"]
        last = order[2].removeprefix("--")
        assert len(points) == 4
        for point in points:
            assert point["totals"]["macs"] == MACS * int(point["values"][last].removeprefix("batch="))


def test_what_cannot_be_made_is_a_row(run: Run) -> None:
    points = run.document("sample:ic", "absent.onnx", "--bind", "batch=2;fail")["points"]
    assert [point["error"] for point in points] == [
        None,
        "there is no such thing here",
        *["no such file; the shipped samples open as sample:NAME, such as sample:ic"] * 2,
    ]
    assert points[1]["totals"] is None and points[1]["command"] == ""
    text = run.text("sample:ic", "--bind", "batch=2;fail")
    assert "there is no such thing here" in text
    assert run("sample:ic", "--bind", "fail;fail,batch=2").code == 2, "no point could be made"


def test_csv_and_sorting(run: Run) -> None:
    def rows(*options: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(run.text("sample:ic", "--bind", "batch=2,1,3", "-f", "csv", *options))))

    assert [row["bind"] for row in rows()] == ["batch=2", "batch=1", "batch=3"]
    assert [row["macs"] for row in rows("--sort", "macs")] == [str(n * MACS) for n in (3, 2, 1)]
    assert [row["bind"] for row in rows("--sort", "macs", "--top", "1")] == ["batch=3"]


def test_text_and_markdown(run: Run) -> None:
    text = run.text("sample:ic", "sample:kws", "--bind", "batch=1:8:x2", "--device", "cortex-m7")
    lines = text.splitlines()
    assert lines[0] == "effaudit sweep   8 points, all of device st-nucleo-h743zi   effaudit-macs/1"
    assert max(len(line) for line in lines if not line.startswith("next ")) <= 80
    assert "batch" in lines[2] and text.count("\nsample:kws") == 4
    top = run.text("sample:ic", "--bind", "batch=1:8:x2", "--top", "1")
    assert "3 more" in top
    found = run.text("sample:ic", "--bind", "batch=1:8:x2", "-f", "markdown")
    assert found.count("\n| ") == 1 + 1 + 4 and "All of sample:ic." in found


def test_the_next_command_is_the_least_that_fits(run: Run, tmp_path: Path) -> None:
    on = str(written(tmp_path, board(2 << 20, 500_000)))
    text = run.text("sample:ic", "--bind", "batch=4,2,1,details=1", "--device", on)
    assert text.splitlines()[-1] == f"next   effaudit whatif sample:ic --bind batch=1,details=1 --device {on}"


def test_any_number_of_processes_gives_the_same_bytes() -> None:
    """The what-if is a real one: other processes do not know the one of this test."""
    arguments = ("sweep", "sample:ic", "--prune", "2:4,none", "--runtime", "tflm,ideal", "--json")
    one, two = (outside.run(*arguments, "--jobs", jobs) for jobs in ("1", "2"))
    assert one.returncode == two.returncode == 0
    assert one.stdout == two.stdout and (one.stderr, two.stderr) == (b"", b"")
    assert len(json.loads(one.stdout)["points"]) == 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sample:ic",), "nothing varies"),
        (("-", "--bind", "batch=1,2"), "name a file instead of -"),
        (("sample:ic", "--bind", "batch=0,1"), "expected a whole number from 1"),
        (("sample:ic", "--bind", "batch=9:1:1"), "expected from:to:step"),
        (("sample:ic", "--bind", "batch=1:900:1", "--dim", "x=1:900:1"), "a sweep of 810,000 points; at most 10,000"),
        (("sample:ic", "--bind", "batch=1,2", "--set", "sram=1KiB"), "--set: changes a memory of a device"),
        (("sample:ic", "--device", "cortex-m7", "--set", "sram"), "expected NAME=VALUE"),
        (("sample:ic", "--device", "cortex-m7", "--set", "sram=lots"), "lots"),
        (("sample:ic", "--device", "cortex-m77", "--bind", "batch=1"), "cortex-m7"),
        (("sample:ic", "--runtime", "tflm,abacus"), "abacus"),
        (("sample:ic", "--dim", "x=1,y"), "'y' is no number"),
        (("sample:ic", "--shape", "x=1xbx3"), "'b' is no number"),
        (("sample:ic", "--bind", "batch=1,2", "--sort", "beauty"), "--sort 'beauty': points have model, bind, params"),
        (("sample:ic", "--bind", "batch=1,2", "--jobs", "0"), "--jobs"),
        (("sample:ic", "--bind", "batch=1,2", "--max-latency", "1ms"), "name one with --device"),
        (("sample:ic", "--bind", "batch=1,2", "-f", "svg"), "expected one of text, json, markdown, csv"),
        (("sample:ic", "--bind", ";"), "expected values"),
    ],
)
def test_what_cannot_be_done_ends_in_one_line(run: Run, arguments: tuple[str, ...], said: str) -> None:
    assert said in run.error(*arguments)


def test_a_memory_that_a_device_does_not_have(run: Run) -> None:
    (point,) = run.document("sample:ic", "--device", "cortex-m7", "--set", "vram2=1KiB", code=2)["points"]
    assert point["error"].startswith("--set vram2: st-nucleo-h743zi has no such memory")
