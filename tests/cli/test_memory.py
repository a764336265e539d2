"""`effaudit memory` from outside: what it prints, where, and how it ends."""

from __future__ import annotations

import csv
import io
import json
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from effaudit.load.files import sample_folder, sample_names
from effaudit.runtimes import names

from .process import run
from .test_report import error

SAMPLES = Path(sample_folder())
FIGURES = """sum_bytes max_in_out_bytes live_bytes inplace_bytes best_order_bytes arena_bytes scratch_bytes
    persistent_bytes patched_bytes runtime planner floor_bytes gap proven_optimal peak_node live_set buffers timeline"""


def document(*arguments: str, **more: Any) -> dict[str, Any]:
    done = run("memory", *arguments, "--json", **more)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def text(*arguments: str) -> str:
    done = run("memory", *arguments)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


@pytest.mark.parametrize("name", sample_names())
def test_the_screen_fits(name: str) -> None:
    lines = text(f"sample:{name}").splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("arena") for line in lines)


def test_json_holds_what_is_promised() -> None:
    found = document("sample:ic-int8", "--runtime", "tflm")
    assert found["schema"] == "effaudit.memory/1"
    (model,) = found["models"]
    assert {"path", "dims", "memory"} <= model.keys()
    memory = model["memory"]
    assert set(FIGURES.split()) <= memory.keys()
    assert memory["buffers"][0] | {"others": []} == {
        "name": "input",
        "bytes": 3072,
        "bounds": [3072, 3072],
        "start": 0,
        "end": 1,
        "offset": memory["buffers"][0]["offset"],
        "others": [],
    }
    assert {"node", "live_bytes"} <= memory["timeline"][0].keys()
    assert max(step["live_bytes"] for step in memory["timeline"]) == memory["live_bytes"] == 49_152


@pytest.mark.parametrize("name", ["ic-int8", "kws", "control-flow", "decoder-gqa"])
def test_same_input_same_bytes(name: str) -> None:
    first, second = (run("memory", f"sample:{name}", "--json", PYTHONHASHSEED=seed).stdout for seed in "12")
    assert first == second


def test_seconds_only_where_asked() -> None:
    assert document("sample:ic")["models"][0]["memory"]["seconds"] is None
    assert document("sample:ic", "--seconds")["models"][0]["memory"]["seconds"] >= 0


def test_a_row_for_each_model_and_runtime() -> None:
    found = document("sample:ic", "sample:kws", "--runtime", "tflm,ideal")["models"]
    assert [(m["path"], m["memory"]["runtime"]) for m in found] == [
        ("sample:ic", "tflm"),
        ("sample:ic", "ideal"),
        ("sample:kws", "tflm"),
        ("sample:kws", "ideal"),
    ]
    assert text("sample:ic", "sample:kws").count("sample:") == 2


def test_csv_is_the_timeline_or_the_list_asked_for() -> None:
    def rows(*options: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(text("sample:ic-int8", "--runtime", "tflm", "-f", "csv", *options))))

    steps, buffers = rows(), rows("--buffers")
    assert max(int(row["live_bytes"]) for row in steps) == 49_152
    assert max(int(row["offset"]) + int(row["bytes"]) for row in buffers) == 49_152
    assert [row["runtime"] for row in rows("--totals")] == ["tflm"]


def test_svg_is_xml_that_draws_every_buffer() -> None:
    root = ElementTree.fromstring(text("sample:ic-int8", "--runtime", "tflm", "-f", "svg"))
    drawn = [r for r in root.iter("{http://www.w3.org/2000/svg}rect") if r.get("class") == "b"]
    assert len(drawn) == len(document("sample:ic-int8", "--runtime", "tflm")["models"][0]["memory"]["buffers"])
    assert "several" not in error("memory", "sample:ic", "sample:kws", "-f", "svg")


def test_formats_to_files(tmp_path: Path) -> None:
    plans = [f"{form}={tmp_path / f'plan.{form}'}" for form in ("text", "json", "csv", "markdown", "svg")]
    done = run("memory", "sample:kws", *(word for plan in plans for word in ("-f", plan)))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert all((tmp_path / f"plan.{form}").stat().st_size > 300 for form in ("text", "json", "csv", "markdown", "svg"))


def test_pinned_inputs_take_more() -> None:
    free, pinned = (document("sample:vww", *options)["models"][0] for options in ([], ["--pin-inputs"]))
    assert pinned["memory"]["arena_bytes"] == free["memory"]["arena_bytes"] + 3 * 96 * 96 * 4
    assert pinned["memory"]["inputs_pinned"] is True


def test_lists() -> None:
    assert "step node" in text("sample:kws", "--timeline")
    assert "also holds" in text("sample:kws", "--runtime", "ideal", "--buffers")
    assert "best_order_bytes" in text("sample:kws", "--all")
    assert len(text("sample:kws", "--timeline", "--top", "2").splitlines()) < len(
        text("sample:kws", "--timeline").splitlines()
    )


def test_runtimes_are_listed() -> None:
    listed = text("--runtime", "list")
    assert all(f"\n{name} " in f"\n{listed}" for name in names())


def test_planners_by_name() -> None:
    found = document("sample:vww-int8", "--runtime", "tflm", "--planner", "size")["models"][0]["memory"]
    assert found["planner"] == "size"
    assert found["arena_bytes"] >= found["floor_bytes"] == 55_296
    one = document("sample:vww-int8", "--runtime", "tflm", "--align", "64")["models"][0]["memory"]
    assert one["align"] == 64 and all(buffer["offset"] % 64 == 0 for buffer in one["buffers"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["nothing.onnx"], "nothing.onnx: no such file"),
        (["sample:ic", "--runtime", "abacus"], "runtime 'abacus': expected one of as-written"),
        (["sample:ic", "--planner", "abacus"], "planner 'abacus': expected one of"),
        (["sample:ic", "--quantize", "int7"], "int7"),
        (["sample:ic", "--align", "3"], "--align: 3: expected a power of two"),
        (["sample:ic", "--save", "x.onnx"], "--save: saves a reordered model; add --reorder"),
        (["sample:ic", "--patch", "4x4"], "--patch '4x4': expected auto, or TENSOR:ROWSxCOLUMNS"),
        (["sample:ic", "--patch", "stem/Rel:4x4"], "did you mean"),
        (["sample:ic", "--patch", "head/fc/Gemm:2x2"], "no stage can end at"),
        (["sample:ic", "--training", "2"], "--training '2': expected a fraction"),
        (["sample:ic", "--context", "0"], "--context: 0 is out of range"),
        (["sample:ic", "--buffers", "--timeline", "-f", "csv"], "csv holds one table"),
        (["sample:ic", "-f", "pdf"], "--format 'pdf': expected one of text, json, csv, markdown, svg"),
        (["sample:ic", "--emit-plan", "c", "--json"], "--emit-plan: writes the plan itself"),
        (["sample:ic", "--emit-plan", "c", "--runtime", "ort"], "offsets need sizes that are known"),
        (["sample:decoder-gqa", "--kv-dtype", "float99"], "float99"),
        (["sample:lstm", "--runtime", "ort", "--reorder"], "--reorder: ort runs the nodes in an order of its own"),
        (["sample:ic", "--emit-plan", "c", "--timeline"], "--emit-plan: writes the plan and nothing else"),
        (["sample:ic", "--runtime", "ort", "--pin-inputs"], "keeps the inputs outside its arena already"),
    ],
)
def test_what_cannot_be_done_ends_in_one_line(options: list[str], words: str) -> None:
    assert words in error("memory", *options)


def test_a_broken_file(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes((SAMPLES / "ic.onnx").read_bytes()[:5000])
    assert str(path) in error("memory", str(path))


def test_one_bad_model_of_several(tmp_path: Path) -> None:
    done = run("memory", "sample:ic", str(tmp_path / "missing.onnx"), "--json")
    assert done.returncode == 2
    assert [model["path"] for model in json.loads(done.stdout)["models"]] == ["sample:ic"]
    assert len(done.stderr.decode().splitlines()) == 1


def test_the_document_never_goes_over_the_model(tmp_path: Path) -> None:
    path = tmp_path / "ic.onnx"
    shutil.copy(SAMPLES / "ic.onnx", path)
    before = path.read_bytes()
    assert "is read here" in error("memory", str(path), "-o", str(path))
    assert "is read here" in error("memory", str(path), "--reorder", "--save", str(path))
    assert path.read_bytes() == before


@pytest.mark.parametrize("runtime", ["as-written", "tflm"])
def test_a_reordered_model_computes_the_same(tmp_path: Path, runtime: str) -> None:
    out = tmp_path / "reordered.onnx"
    planned = document("sample:lstm", "--reorder", "--save", str(out), "--runtime", runtime)["models"][0]["memory"]
    again = document(str(out), "--runtime", runtime)["models"][0]["memory"]
    given = document("sample:lstm", "--runtime", runtime)["models"][0]["memory"]
    assert planned["live_bytes"] == again["live_bytes"] == given["best_order_bytes"] <= given["live_bytes"]
    onnx.checker.check_model(str(out))
    x = np.random.default_rng(0).integers(0, 10, feed(SAMPLES / "lstm.onnx"))
    first, second = (outputs(path, x) for path in (SAMPLES / "lstm.onnx", out))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def feed(path: Path) -> list[int]:
    """The shape of the only input, token ids, open dims set to 5."""
    (value,) = onnx.load(path).graph.input
    return [dim.dim_value or 5 for dim in value.type.tensor_type.shape.dim]


def outputs(path: Path, x: np.ndarray) -> list[np.ndarray]:  # type: ignore[type-arg]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found: list[np.ndarray] = session.run(None, {session.get_inputs()[0].name: x})  # type: ignore[type-arg]
    return found


def test_offsets_for_programs() -> None:
    plan = json.loads(text("sample:vww-int8", "--runtime", "tflm", "--planner", "best", "--emit-plan", "tflm"))
    assert (plan["metadata"], plan["arena_bytes"]) == ("OfflineMemoryAllocation", 55_296)
    header = text("sample:vww-int8", "--runtime", "tflm", "--emit-plan", "c")
    assert "#define VWW_INT8_ARENA_BYTES 73728" in header
