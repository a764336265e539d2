"""`effaudit time` from outside: real runs of small models, documents, refusals, models that kill the runtime."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from effaudit.cli import timing
from tests.laws.models import parse
from tests.profiles import accelerator, written
from tests.save.models import written as saved

from .in_process import Done, invoke
from .process import run as run_process

NET = "m (float[N,8] x) => (float[N,4] z) { y = MatMul(x, w) z = Relu(y) }"
FIXED = "m (float[2,8] x) => (float[2,4] z) { y = MatMul(x, w) z = Relu(y) }"
QUICK = ("--runs", "3", "--warmup", "0", "--no-plain")
BARE = (*QUICK, "--no-profile")
RUNS = {"n", "min_s", "p50_s", "p90_s", "p99_s", "mean_s", "max_s", "mad_s", "iqr_ratio", "noise_ratio", "batch"}


class Run:
    """`effaudit time ARGUMENTS` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys, self.monkeypatch = capsys, monkeypatch

    def __call__(self, *arguments: str) -> Done:
        return invoke(self.capsys, self.monkeypatch, "time", *arguments)

    def text(self, *arguments: str) -> str:
        done = self(*arguments)
        assert (done.code, done.err) == (0, "")
        return done.out

    def document(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.text(*arguments, "--json"))
        return found

    def rows(self, *arguments: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.text(*arguments, "-f", "csv"))))

    def error(self, *arguments: str) -> str:
        done = self(*arguments)
        assert (done.code, done.out) == (2, "")
        (line,) = done.err.splitlines()
        return line


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(capsys, monkeypatch)


@pytest.fixture
def net(tmp_path: Path) -> str:
    """A product and an activation, its batch open."""
    return str(saved(tmp_path / "net.onnx", parse(NET, w=(8, 4))))


@pytest.fixture
def fixed(tmp_path: Path) -> str:
    """The same at a batch of two."""
    return str(saved(tmp_path / "fixed.onnx", parse(FIXED, w=(8, 4))))


# ---- the document
def test_json_holds_what_is_promised(run: Run) -> None:
    found = run.document("sample:ic", *QUICK)
    assert found["schema"] == "effaudit.time/1"
    assert found.keys() >= {"schema", "version", "counting", "host", "models", "versus", "sweep", "turns"}
    assert found["host"]["onnxruntime"] and len(found["host"]["fingerprint"]) == 12
    (model,) = found["models"]
    assert model.keys() >= {"path", "dims", "runs", "session_s", "first_s", "provider", "threads", "nodes"}
    assert model["runs"].keys() >= RUNS
    runs = model["runs"]
    assert (runs["n"], runs["p99_s"], model["provider"], model["threads"]) == (3, None, "CPU", 1)
    assert 0 < runs["min_s"] <= runs["p50_s"] <= runs["p90_s"] <= runs["max_s"]
    assert runs["throughput_per_s"] == pytest.approx(1 / runs["p50_s"])
    assert model["session_s"] > 0 and model["first_s"] > 0
    assert model["predicted_s"] is None and model["prediction"] is None


def test_the_time_of_a_run_is_shared_out(run: Run) -> None:
    """Seconds of nodes and what is not attributed are the median of the unprofiled runs; a node's costs are those of
    the report."""
    (model,) = run.document("sample:ic", *QUICK)["models"]
    nodes = model["nodes"]
    told = sum(node["seconds"] or 0.0 for node in nodes) + model["unattributed_s"]
    assert told == pytest.approx(model["runs"]["p50_s"])
    assert sum(kernel["seconds"] for kernel in model["kernels"]) == pytest.approx(model["runs"]["p50_s"])
    names = {kernel["name"] for kernel in model["kernels"]}
    assert names.issuperset(name for node in nodes for name in node["kernels"])
    done = invoke(run.capsys, run.monkeypatch, "report", "sample:ic", "--json")
    (report,) = json.loads(done.out)["models"]
    assert model["macs"] == report["totals"]["macs"] and len(nodes) == len(report["nodes"])
    for mine, other in zip(nodes, report["nodes"], strict=True):
        assert (mine["op"], mine["macs"], mine["params"], mine["kind"]) == tuple(
            other[key] for key in ("op", "macs", "params", "kind")
        )
        assert mine["shape"] == other["outputs"][0]["shape"]
        assert mine["bytes"] == other["read_bytes"] + other["write_bytes"]
        if mine["seconds"] and mine["macs"]:
            assert mine["mac_per_s"] == pytest.approx(mine["macs"] / mine["seconds"])
    assert model["attribution"]["attributed_ratio"] > 0.95


@pytest.mark.parametrize("name", ["ic", "ic-int8", "unet"])
def test_the_peak_is_that_of_the_graph_as_it_ran(run: Run, name: str) -> None:
    """Liveness of the optimized graph, in the order in which its nodes ran, against ONNX Runtime's own profile."""
    done = run(f"sample:{name}", *QUICK, "--json")
    memory = json.loads(done.out)["models"][0]["memory"]
    if memory["measured"] is None:
        pytest.skip(memory["why"])
    assert memory["predicted_low"] == memory["predicted_high"] == memory["measured"]


def test_the_screen(run: Run) -> None:
    text = run.text("sample:ic", *QUICK)
    lines = text.splitlines()
    assert len(lines) <= 40 and max(map(len, lines)) <= 80
    assert lines[0].startswith("sample:ic   ONNX Runtime ") and lines[0].endswith(" on CPU, 1 thread, optimized")
    assert any(line.startswith("median ") for line in lines)
    assert "next   effaudit time sample:ic --nodes" in text


def test_lists_and_formats(run: Run, fixed: str) -> None:
    text = run.text(fixed, *QUICK, "--nodes", "--kernels")
    assert "nodes of " in text and "kernels of " in text and "next" not in text
    assert [row["op"] for row in run.rows(fixed, *QUICK, "--nodes")] == ["MatMul", "Relu"]
    rows = run.rows(fixed, *QUICK, "--kernels", "--top", "1")
    assert len(rows) == 1 and rows[0]["model"] == fixed
    (row,) = run.rows(fixed, *BARE)
    assert (row["batch"], row["n"], row["warmup"], row["steady"]) == ("2", "3", "0", "no")
    assert run.text(fixed, *BARE, "-f", "markdown").startswith("### effaudit time: 1 run\n")


def test_several_formats_of_one_run(run: Run, fixed: str, tmp_path: Path) -> None:
    assert run.text(fixed, *BARE, "-f", f"json={tmp_path}/a.json", "-f", f"csv={tmp_path}/a.csv") == ""
    whole = json.loads((tmp_path / "a.json").read_text())
    (row,) = csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text()))
    assert float(row["p50_s"]) == whole["models"][0]["runs"]["p50_s"]


# ---- how it is run
def test_without_a_profile_nothing_is_told_of_nodes(run: Run, fixed: str) -> None:
    (model,) = run.document(fixed, *BARE)["models"]
    assert model["nodes"] == model["kernels"] == [] and model["memory"] is model["attribution"] is None
    assert model["plain"] is None


def test_the_plain_graph_runs_beside_the_optimized_one(run: Run, fixed: str) -> None:
    (model,) = run.document(fixed, "--runs", "3", "--warmup", "0", "--no-profile")["models"]
    assert model["plain"]["p50_s"] > 0 and isinstance(model["slower_optimized"], bool)
    (model,) = run.document(fixed, *BARE, "--opt", "none")["models"]
    assert (model["optimize"], model["plain"]) == ("none", None)


def test_warm_up_as_asked_for(run: Run, fixed: str) -> None:
    (model,) = run.document(fixed, "--runs", "3", "--warmup", "4", "--no-plain", "--no-profile")["models"]
    assert model["warmup"]["n"] == 4 and not model["warmup"]["steady"]
    (model,) = run.document(fixed, "--runs", "100", "--warmup", "auto", "--no-plain", "--no-profile")["models"]
    assert model["warmup"]["n"] >= 3 and model["runs"]["n"] == 100 and model["runs"]["p99_s"] is not None


def test_threads_by_comma_and_repetition(run: Run, fixed: str) -> None:
    for words in (("--threads", "1,2"), ("--threads", "1", "--threads", "2")):
        models = run.document(fixed, *BARE, *words)["models"]
        assert [model["threads"] for model in models] == [1, 2]
    lines = run.text(fixed, *BARE, "--threads", "1,2").splitlines()
    assert any(line.startswith("fixed") or "threads" in line for line in lines)


def test_inputs_of_a_file(run: Run, net: str, tmp_path: Path) -> None:
    """Its shapes are what the model leaves open."""
    path = tmp_path / "in.npz"
    np.savez(path, x=np.ones((3, 8), np.float32))
    (model,) = run.document(net, *BARE, "--input", str(path))["models"]
    assert model["inputs_from"] == f"from {path}" and model["runs"]["batch"] == 3
    assert model["inputs"] == [{"name": "x", "dtype": "float32", "shape": [3, 8]}]
    assert not any("ASSUMED" in warning for warning in model["warnings"])
    assert f"--input {path}" in run.text(net, *BARE, "--input", str(path))
    np.savez(path, x=np.ones((3, 9), np.float32))
    assert "input 'x' has the shape 3x9" in run.error(net, *BARE, "--input", str(path))


def test_sizes_nobody_gave_are_said_aloud(run: Run, net: str) -> None:
    text = run.text(net, *BARE)
    assert "dims   N=1 (assumed)" in text
    assert "it was run with N=1, ASSUMED: give the real ones: --dim N=N" in " ".join(text.split())
    text = run.text(net, *BARE, "--dim", "N=5")
    assert "ASSUMED" not in text and "dims   N=5 (given)" in text
    assert "next   effaudit time" in text and "--dim N=5" in text


# ---- sizes
@pytest.mark.parametrize(
    "words", [("--dim", "N=1,2,4"), ("--dim", "N=1", "--dim", "N=2,4"), ("--dim", "N=1:4:x2"), ("--batch", "1,2,4")]
)
def test_a_sweep(run: Run, net: str, words: tuple[str, ...]) -> None:
    found = run.document(net, *BARE, *words)
    assert [model["runs"]["batch"] for model in found["models"]] == [1, 2, 4]
    assert [point["batch"] for point in found["sweep"]] == [1, 2, 4]
    assert [point["macs"] for point in found["sweep"]] == [32, 64, 128]
    first, *more = found["sweep"]
    assert first["growth_ratio"] is None and all(point["growth_ratio"] is not None for point in more)
    (turn,) = found["turns"]
    assert turn["best_batch"] in (1, 2, 4) and turn["compute_from"] is None


def test_a_sweep_of_shapes_and_threads(run: Run, net: str) -> None:
    found = run.document(net, *BARE, "--shape", "x=1x8;x=2x8", "--threads", "1,2")
    assert [(model["threads"], model["runs"]["batch"]) for model in found["models"]] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert {point["values"]["threads"] for point in found["sweep"]} == {"1", "2"}
    assert found["turns"] == [], "shapes are no batches"


def test_a_size_that_does_not_run_costs_only_itself(run: Run, net: str) -> None:
    done = run(net, *BARE, "--dim", "N=1,100000000", "--memory", "512MiB", "--json")
    assert done.code == 2
    assert [model["runs"]["batch"] for model in json.loads(done.out)["models"]] == [1]
    (line,) = done.err.splitlines()
    assert "more than the limit of 512.0 MiB" in line and line.endswith("(N=100000000)")


def test_several_models(run: Run, net: str, fixed: str) -> None:
    done = run(fixed, "nowhere.onnx", fixed, *BARE)
    assert done.code == 2 and "nowhere.onnx" in done.err
    assert " ".join(done.out.split()).startswith(f"effaudit time 2 runs of {fixed} ONNX Runtime")
    done = run(net, fixed, *BARE, "--dim", "N=2", "--json")
    assert done.code == 0 and "has no dim or input named 'N'" in done.err
    assert [model["runs"]["batch"] for model in json.loads(done.out)["models"]] == [2, 2]


# ---- two models
def test_a_model_against_itself(run: Run, fixed: str) -> None:
    found = run.document(fixed, "--vs", fixed, "--runs", "12", "--warmup", "0")
    assert found["models"] == []
    (pair,) = found["versus"]
    assert (pair["first"], pair["second"], pair["rounds"]) == (fixed, fixed, 12)
    assert (pair["confidence"], pair["effect"], pair["threads"]) == (0.999, 0.02, 1)
    assert pair["first_runs"]["batch"] == 2 and pair["low"] <= pair["ratio"] <= pair["high"]
    assert pair["verdict"] in ("no difference", "slower", "faster")


def test_a_comparison_says_its_ratio(run: Run, net: str, fixed: str) -> None:
    done = run(net, "--vs", fixed, "--runs", "3", "--warmup", "0", "--dim", "N=2")
    assert done.code == 0 and f"{fixed}: has no dim or input named 'N'; reported without it" in done.err
    assert " against" in done.out and "ratio  " in done.out and "over 3 rounds in turns" in done.out
    (row,) = run.rows(fixed, "--vs", fixed, "--runs", "3", "--warmup", "0")
    assert row["first"] == row["second"] == fixed


# ---- a profile of this machine
def test_a_profile_gives_roofline_and_regime(run: Run, fixed: str, tmp_path: Path) -> None:
    """By hand: the longer of the bytes at the bandwidth and the operations at the peak, of the kernel that ran."""
    rows = []
    for peak, bandwidth in ((1000.0, 1.0), (1.0, 10.0)):
        whole = accelerator(peak, bandwidth, dtype="float32", name=f"of-{bandwidth:g}")
        done = run(fixed, *QUICK, "--device", str(written(tmp_path, whole)), "--json")
        assert done.code == 0, done.err
        (model,) = json.loads(done.out)["models"]
        rows.append((model["regime"], model["nodes"][0]["efficiency"] * model["nodes"][0]["seconds"]))
    (memory, least), (compute, most) = rows
    assert (memory, compute) == ("memory", "compute")
    assert least == pytest.approx(4 * (2 * 8 + 8 * 4 + 2 * 4)), "bytes of x, w and the product"
    assert most == pytest.approx(2 * 2 * 8 * 4), "2 FLOP for each MAC"


def test_a_prediction_needs_a_profile(run: Run, fixed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    line = run.error(fixed, "--predict")
    assert "effaudit devices calibrate -o host.yaml" in line and "--device" in line
    assert "nowhere.yaml" in run.error(fixed, "--device", "nowhere.yaml")


# ---- what is refused
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--runs", "0"), "--runs: 0 is out of range"),
        (("--runs", "many"), "--runs: 'many' is no number"),
        (("--runs", "2M"), "at most 1,000,000"),
        (("--warmup", "some"), "--warmup 'some': expected auto, or a number of runs such as 10"),
        (("--warmup", "-1"), "expected auto"),
        (("--threads", "0"), "--threads: 0 is out of range"),
        (("--threads", "4096"), "--threads: 4,096 is out of range; at most 1,024"),
        (("--provider", "CUDDA"), "--provider 'CUDDA': expected one of CPU, CUDA"),
        (("--opt", "some"), "is not one of 'all', 'none'"),
        (("--timeout", "0"), "--timeout 0: expected seconds"),
        (("--timeout", "soon"), "--timeout: 'soon'"),
        (("--memory", "0"), "--memory 0: expected a size above 0"),
        (("--memory", "some"), "--memory: 'some' is no number"),
        (("--input", "nowhere.npz"), "--input nowhere.npz: not there"),
        (("--dim", "N"), "expected NAME=VALUE"),
        (("--dim", "M=1"), "no input has a dim named 'M'"),
        (("--dim", "N=1:2"), "'1:2' is no number"),
        (("--shape", "y=1x8"), "no input is named 'y'"),
        (("--batch", "some"), "--batch: 'some' is no number"),
        (("--top", "0"), "0 is not in the range"),
        (("--no-profile", "--nodes"), "--nodes: a profile of the run tells it; leave --no-profile out"),
        (("--no-profile", "--predict"), "--predict: a profile of the run tells it; leave --no-profile out"),
        (("--nodes", "--kernels", "-f", "csv"), "csv holds one table; ask for --nodes or --kernels"),
        (("--vs", "b.onnx", "--nodes"), "--vs: compares whole runs; leave --nodes out"),
        (("--vs", "b.onnx", "--predict"), "leave --predict out"),
        (("--vs", "b.onnx", "--dim", "N=1,2"), "--vs: one size at a time; N has several"),
        (("--vs", "nowhere.onnx"), "nowhere.onnx"),
        (("-f", "svg"), "--format 'svg': expected one of text, json, csv, markdown"),
        (("--provider", "CUDA"), "this ONNX Runtime has no provider CUDA"),
        (("--memory", "1MiB"), "more than the limit of 1.000 MiB; give it --memory "),
    ],
)
def test_what_is_refused(run: Run, net: str, words: tuple[str, ...], said: str) -> None:
    assert said in run.error(net, *words)


def test_a_batch_that_the_file_fixes(run: Run, fixed: str) -> None:
    assert "leaves no batch dim open" in run.error(fixed, "--batch", "1,2")


def test_files_that_are_no_models(run: Run, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"\x0b\x0b\x0b")
    assert str(broken) in run.error(str(broken))
    assert "nowhere.onnx" in run.error("nowhere.onnx")
    assert "no such sample" in run.error("sample:nope")


def test_a_structure_without_weights(run: Run) -> None:
    line = run.error("sample:mobilenetv2")
    assert "it cannot be run: tensor" in line and "mobilenetv2.weights is not there; put its weights beside it" in line


# ---- models that kill the runtime
LOOP = """m (float[2,3] x, int64 n, bool go) => (float[2,3] y)
{ y = Loop (n, go, x) <body = l (int64 i, bool go2, float[2,3] s) => (bool on, float[2,3] r)
                      { on = Identity(go2) r = Neg(s) }> }"""


def test_a_loop_without_end(run: Run, tmp_path: Path) -> None:
    model = str(saved(tmp_path / "m.onnx", parse(LOOP)))
    feed = tmp_path / "in.npz"
    np.savez(feed, x=np.ones((2, 3), np.float32), n=np.array(1 << 60), go=np.array(True))
    line = run.error(model, *BARE, "--timeout", "1500ms", "--input", str(feed))
    assert line == f"effaudit: {model}: ONNX Runtime was stopped after 1.5 s, the limit; give fewer inputs or more time"


@pytest.mark.skipif(os.uname().machine not in ("x86_64", "i686"), reason="other processors wrap the quotient")
def test_a_division_that_the_processor_refuses(run: Run, tmp_path: Path) -> None:
    model = str(saved(tmp_path / "m.onnx", parse("m (int64[4] a, int64[4] b) => (int64[4] c) { c = Div(a, b) }")))
    feed = tmp_path / "in.npz"
    np.savez(feed, a=np.full(4, np.iinfo(np.int64).min), b=np.full(4, -1))
    assert "ONNX Runtime crashed (SIGFPE)" in run.error(model, *BARE, "--input", str(feed))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not hold a process to its memory")
def test_more_memory_than_it_may_take(run: Run, tmp_path: Path) -> None:
    nodes = "s = Constant <value = int64[1] {400000000}> () y = Expand(x, s)"
    model = str(saved(tmp_path / "m.onnx", parse(f"m (float[1] x) => (float[?] y) {{ {nodes} }}")))
    line = run.error(model, *BARE, "--memory", "512MiB")
    assert "512.0 MiB" in line


# ---- progress, the real script
def test_a_bar_counts_all_runs(run: Run, fixed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, int, list[int]]] = []

    class Bar:
        def __init__(self, label: str, length: int) -> None:
            self.told: list[int] = []
            seen.append((label, length, self.told))

        def __enter__(self) -> Any:
            return self.told.append

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(timing, "progress", Bar)
    run.text(fixed, *BARE, "--threads", "1,2")
    ((label, length, told),) = seen
    assert label.startswith("effaudit time ") and length == 6
    assert told == sorted(told) and told[-1] == 6


def test_the_script_itself(fixed: str) -> None:
    done = run_process("time", fixed, *BARE, "--json")
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["models"][0]["path"] == fixed
