"""`effaudit whatif` from outside: steps in order, documents, refusals. The what-if itself is one of a few lines."""

from __future__ import annotations

import csv
import io
import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from effaudit import whatif
from effaudit.cli.whatif import WHATIFS
from effaudit.load.files import sample_folder
from tests.profiles import board, written
from tests.whatif import stub

from .in_process import Done, invoke

SAMPLES = Path(sample_folder())
MACS = 12_501_632
STEPS = """schema: effaudit.steps/1
steps:
  - bind: {batch: 3, details: 2}
  - bind: batch=5,blocked=1
"""


class Run:
    """`effaudit whatif ARGUMENTS` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys, self.monkeypatch = capsys, monkeypatch
        stub.register(monkeypatch)

    def __call__(self, *arguments: str) -> Done:
        return invoke(self.capsys, self.monkeypatch, "whatif", *arguments)

    def text(self, *arguments: str) -> str:
        done = self(*arguments)
        assert (done.code, done.err) == (0, "")
        return done.out

    def document(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.text(*arguments, "--json"))
        return found

    def steps(self, *arguments: str) -> list[dict[str, Any]]:
        (model,) = self.document(*arguments)["models"]
        found: list[dict[str, Any]] = model["steps"]
        return found

    def error(self, *arguments: str) -> str:
        done = self(*arguments)
        assert (done.code, done.out) == (2, "")
        (line,) = done.err.splitlines()
        return line


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(capsys, monkeypatch)


def file_of(folder: Path, text: str, name: str = "steps.yaml") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_every_what_if_has_an_option() -> None:
    assert tuple(WHATIFS) == whatif.NAMES


# ---- the document
def test_json_holds_what_is_promised(run: Run) -> None:
    found = run.document("sample:ic", "--bind", "batch=4,blocked=2,details=1")
    assert found.keys() >= {"schema", "version", "counting", "models"}
    assert found["schema"] == "effaudit.whatif/1"
    (model,) = found["models"]
    given, after = model["steps"]
    assert model["path"] == "sample:ic"
    for step in (given, after):
        assert {"whatif", "arguments", "totals", "memory", "notes", "blocked", "details"} <= step.keys()
        assert {"params", "macs", "ops", "flops", "weight_bytes", "read_bytes", "write_bytes"} <= step["totals"].keys()
        assert {"live_bytes", "arena_bytes", "runtime", "planner"} <= step["memory"].keys()
    assert (given["whatif"], given["arguments"], given["option"]) == (None, {}, "")
    assert (after["whatif"], after["arguments"]["batch"]) == ("bind", 4)
    assert (given["totals"]["macs"], given["memory"]["live_bytes"]) == (MACS, 196_608)
    assert (after["totals"]["params"], after["memory"]["arena_bytes"]) == (77_706, 4 * 196_608)
    assert after["blocked"] == [{"group": f"group {i}", "reason": "it stays"} for i in range(2)]
    assert after["notes"] == ["the batch is 4"]
    assert (after["loss"], after["retrain"]) == (0.25, True)
    assert after["inputs"] == [{"name": "input", "dtype": "float32", "shape": [4, 3, 32, 32]}]


def test_a_step_is_audited_as_any_model(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """The totals of the first row are those of a report, and of the second those of the model so written."""
    step, _ = run.steps("sample:kws", "--bind", "batch=1")
    done = invoke(capsys, run.monkeypatch, "report", "sample:kws", "--json")
    assert step["totals"] == json.loads(done.out)["models"][0]["totals"]
    done = invoke(capsys, run.monkeypatch, "memory", "sample:kws-int8", "--runtime", "tflm", "--json")
    memory = json.loads(done.out)["models"][0]["memory"]
    _, same = run.steps("sample:kws-int8", "--runtime", "tflm", "--bind", "batch=1")
    assert same["memory"] == {key: memory[key] for key in same["memory"]}


def test_the_same_bytes_every_time(run: Run) -> None:
    arguments = ("sample:ic", "--bind", "batch=2,details=3", "--json")
    assert run.text(*arguments) == run.text(*arguments)


def test_csv_has_a_row_for_each_step(run: Run) -> None:
    rows = list(
        csv.DictReader(io.StringIO(run.text("sample:ic", "--bind", "batch=2", "--bind", "batch=3", "-f", "csv")))
    )
    assert [row["step"] for row in rows] == ["0", "1", "2"]
    assert [row["option"] for row in rows] == ["as given", "'--bind batch=2", "'--bind batch=3"]
    assert rows[0]["macs"] == str(MACS)
    for row in rows:
        assert int(row["moved_bytes"]) == int(row["read_bytes"]) + int(row["write_bytes"])
    several = run.text("sample:ic", "--bind", "batch=2,details=2,blocked=1", "--details", "-f", "csv")
    rows = list(csv.DictReader(io.StringIO(several)))
    assert [(row["name"], row["figure"], row["value"]) for row in rows][-1] == ("group 0", "reason", "it stays")
    assert len(rows) == 2 * 3 + 1


def test_markdown_shows_the_change(run: Run) -> None:
    found = run.text("sample:ic", "--bind", "batch=4,blocked=12,details=2", "-f", "markdown", "--details")
    assert "| 768.0 KiB (x4) |" in found
    assert "left group 9: it stays" in found and "left 2 more" in found
    assert "| group 11 | it stays |" in found
    assert "loss 0.25, re-train" in found


def test_the_screen_fits(run: Run) -> None:
    for count in (1, 4, 9, 40):
        lines = run.text("sample:ic", *["--bind", "batch=3,blocked=7,details=5"] * count).splitlines()
        assert len(lines) <= 40
        assert max(len(line) for line in lines if not line.startswith("next ")) <= 80
        assert lines[0] == f"sample:ic   after {count} what-if{'s' if count > 1 else ''}   effaudit-macs/1"
        assert any(line.startswith(f"{count}  --bind batch=3") for line in lines), "the last step is always there"


def test_what_is_left_and_what_is_worst(run: Run) -> None:
    found = run.text("sample:ic", "--bind", "batch=1,blocked=7,details=5")
    assert "step 1 left 7 as it was: group 0: it stays; group 1: it stays; 5 more" in found
    assert "weight 4 sqnr (dB) 36" in found and "weight 0" not in found
    more = run.text("sample:ic", "--bind", "batch=1,blocked=7,details=5", "--details", "--top", "2")
    assert "group 1" in more and "group 2" not in more
    assert "weight 3" in more and "weight 2 " not in more.split("tensors")[-1]


def test_several_models_have_a_row_each(run: Run) -> None:
    found = run.text("sample:ic", "sample:kws", "--bind", "batch=2")
    assert found.count("sample:ic") == found.count("sample:kws") == 2
    assert [model["path"] for model in run.document("sample:ic", "sample:kws", "--bind", "batch=2")["models"]] == [
        "sample:ic",
        "sample:kws",
    ]


def test_a_figure_that_is_not_known_says_why(run: Run) -> None:
    found = run.text("sample:decoder-gqa", "--bind", "batch=2", "--runtime", "ort")
    assert ".." in found and "?      model/embed_tokens/Gather_output_0: fusions" in found
    (step, _) = run.steps("sample:control-flow", "--bind", "batch=1")
    assert (step["totals"]["macs"] is None) == (step["totals"]["macs_bounds"][0] != step["totals"]["macs_bounds"][1])


# ---- order
def batches(steps: list[dict[str, Any]]) -> list[int]:
    return [step["arguments"]["batch"] for step in steps[1:]]


def test_steps_are_made_in_the_order_they_are_given(run: Run, tmp_path: Path) -> None:
    stub.register(run.monkeypatch, "fold")
    steps = run.steps("--bind", "batch=2", "sample:ic", "--fold=batch=7", "--runtime", "tflm", "--bind", "batch=4")
    assert [step["whatif"] for step in steps] == [None, "bind", "fold", "bind"]
    assert batches(steps) == [2, 7, 4]
    file = file_of(tmp_path, STEPS)
    steps = run.steps("sample:ic", "--bind", "batch=2", "--steps", file, "--fold", "batch=4", "--steps", file)
    assert batches(steps) == [2, 3, 5, 4, 3, 5]


def test_a_step_of_a_file_is_that_of_its_text(run: Run, tmp_path: Path) -> None:
    steps = run.steps("sample:ic", "--steps", file_of(tmp_path, STEPS))
    written = [word for step in steps[1:] for word in shlex.split(step["option"])]
    assert written == ["--bind", "batch=3,details=2", "--bind", "batch=5,blocked=1"]
    assert run.steps("sample:ic", *written) == steps


def test_the_next_command_can_be_pasted(run: Run, tmp_path: Path) -> None:
    found = run.text("sample:decoder-gqa", "--bind", "batch=2", "--dim", "sequence_length=8", "--runtime", "tflm")
    _, command, *words = shlex.split(found.splitlines()[-1])[1:]
    assert command == "whatif" and words[-2:] == ["--save", "changed.onnx"]
    again = run.text(*words[:-2])
    assert again == found


def test_the_next_command_asks_for_the_same(run: Run, tmp_path: Path) -> None:
    on = str(written(tmp_path, board(2 << 20, 300_000)))
    ways = (
        ["--planner", "best", "--reorder", "--patch", "auto"],
        ["--runtime", "tflm", "--planner", "best", "--reorder"],
        ["--device", on, "--planner", "best", "--max-latency", "1ms", "--min-throughput", "3"],
    )
    for words in ways:
        found = run.text("sample:ic", "--bind", "batch=2", *words)
        _, _, *again = shlex.split(found.splitlines()[-1])[1:]
        assert again[-2:] == ["--save", "changed.onnx"] and set(words) <= set(again)
        assert run.text(*again[:-2]) == found


# ---- devices
def test_a_device_judges_every_step(run: Run, tmp_path: Path) -> None:
    on = str(written(tmp_path, board(2 << 20, 300_000)))
    steps = run.steps("sample:ic", "--bind", "batch=2", "--device", on)
    given, after = (step["devices"][0] for step in steps)
    assert (given["status"], after["status"]) == ("fits", "does-not-fit")
    assert after["arena_bytes"] == steps[1]["memory"]["arena_bytes"] == 2 * 196_608
    assert {"value", "low", "high", "basis"} <= given["latency_s"].keys()
    text = run.text("sample:ic", "--bind", "batch=2", "--device", on)
    assert "DOES NOT FIT" in text and "FITS" in text
    kept = run.steps("sample:ic", "--bind", "batch=1", "--device", on, "--reserve", "sram=150KiB")
    assert [step["devices"][0]["status"] for step in kept] == ["does-not-fit"] * 2


def test_the_verdict_is_that_of_fit(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--device", "cortex-m7,cortex-m4", "--max-latency", "200ms")
    steps = run.steps("sample:ic-int8", "--bind", "batch=1", *options)
    done = invoke(capsys, run.monkeypatch, "fit", "sample:ic-int8", *options, "--json")
    fits = json.loads(done.out)["verdicts"]
    for step in steps:
        for mine, its in zip(step["devices"], fits, strict=True):
            assert (mine["status"], mine["latency_s"]) == (its["status"], its["latency_s"])
            assert mine["arena_bytes"] == its["memory"]["arena_bytes"]
            assert mine["rows"] == its["memory"]["rows"]


def test_a_size_that_nobody_gave_leaves_the_verdict_open(run: Run, tmp_path: Path) -> None:
    on = str(written(tmp_path, board(64 << 20, 64 << 20)))
    (given, _) = run.steps("sample:lstm", "--bind", "batch=1", "--device", on)
    (placed,) = given["devices"]
    assert placed["status"] == "unknown"
    assert placed["latency_s"]["value"] is None and "not given; --dim" in placed["why"]


# ---- saving
@pytest.fixture
def own(tmp_path: Path) -> Path:
    return Path(shutil.copy(SAMPLES / "ic.onnx", tmp_path / "ic.onnx"))


def test_the_last_step_is_saved(run: Run, own: Path, tmp_path: Path) -> None:
    out = tmp_path / "changed.onnx"
    done = run(str(own), "--bind", "batch=2", "--bind", "batch=3", "--save", str(out), "--json")
    assert done.code == 0 and done.err == f"effaudit: saved {out}\n"
    (model,) = json.loads(done.out)["models"]
    assert model["saved"] == str(out)
    again = run.steps(str(out), "--bind", "batch=3")
    assert again[0]["totals"] == model["steps"][-1]["totals"]
    assert again[0]["memory"] == model["steps"][-1]["memory"]


def test_a_model_without_weights_is_saved_so(run: Run, tmp_path: Path) -> None:
    source = shutil.copy(SAMPLES / "mobilenetv2.onnx", tmp_path / "m.onnx")
    out = tmp_path / "changed.onnx"
    done = run(str(source), "--bind", "batch=2", "--save", str(out))
    assert done.code == 0
    assert f"saved {out}, without its weights" in done.err
    assert "weights are not here" in done.out and f"next   effaudit report {out}" in done.out
    assert run.steps(str(out), "--bind", "batch=2")[0]["totals"]["macs"] == 2 * 300_774_272


def test_a_model_that_lacks_only_what_a_step_left_open_is_not_saved(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, own: Path, tmp_path: Path
) -> None:
    out = tmp_path / "changed.onnx"
    done = invoke(capsys, monkeypatch, "whatif", str(own), "--quantize", "int8", "--save", str(out))
    assert (done.code, done.out) == (2, "")
    assert "no calibration data" in done.err and not out.exists()


@pytest.mark.parametrize(
    ("model", "spec", "word"),
    [
        ("sample:kws", "int8", "--details"),  # scales are not known
        ("sample:kws", "nf4", "--details"),  # a convolution has no operator that reads nf4
        ("sample:mobilenetv2", "int8", "--save"),  # without its weights anyway
        ("sample:mobilenetv2", "nf4", "--details"),
        ("sample:kws", "fp16", "--save"),
    ],
)
def test_to_save_is_proposed_where_it_can_be(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    model: str,
    spec: str,
    word: str,
) -> None:
    shown = invoke(capsys, monkeypatch, "whatif", model, "--quantize", spec)
    assert word in shlex.split(shown.out.splitlines()[-1])
    assert ("cannot be saved" in " ".join(shown.out.split())) == (word != "--save")
    out = tmp_path / "out.onnx"
    saved = invoke(capsys, monkeypatch, "whatif", model, "--quantize", spec, "--save", str(out))
    assert (saved.code, out.exists()) == ((0, True) if word == "--save" else (2, False))
    assert word == "--save" or "weights" not in saved.err


def test_a_model_is_never_written_over(run: Run, own: Path) -> None:
    before = own.read_bytes()
    for option in ("--save", "-o"):
        assert "is read here" in run.error(str(own), "--bind", "batch=2", option, str(own))
    assert "one model at a time" in run.error(str(own), "sample:kws", "--bind", "batch=2", "--save", "x.onnx")
    assert own.read_bytes() == before


def test_one_file_is_written_once(run: Run, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    for others in (("-o", out), ("-f", f"json={tmp_path}/./out")):
        assert "written twice" in run.error("sample:ic", "--bind", "batch=2", "--save", out, *others)
    assert not (tmp_path / "out").exists()


def test_nothing_is_saved_where_a_step_fails(run: Run, own: Path, tmp_path: Path) -> None:
    out = tmp_path / "changed.onnx"
    run.error(str(own), "--bind", "batch=2", "--bind", "fail", "--save", str(out))
    assert not out.exists()


# ---- what is wrong
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sample:ic",), "name a step"),
        (("sample:ic", "--bind", ""), "expected words and key=value"),
        (("sample:ic", "--bind", ","), "expected words and key=value"),
        (("sample:ic", "--bind", "batch="), "expected words and key=value"),
        (("sample:ic", "--bind", "batch=1,batch=2"), "batch is given twice"),
        (("sample:ic", "--bind", "batch=0"), "expected a whole number from 1"),
        (("sample:ic", "--bind", "batch=" + "9" * 400), "expected a whole number from 1"),
        (("sample:ic", "--bind", "batch=\x1b[31m"), "expected a whole number from 1"),
        (("sample:ic", "--bind", "bach=2"), "batch"),
        (("sample:ic", "--bind", "fail"), "sample:ic: step 1 (--bind fail,batch=1): there is no such thing here"),
        (("sample:ic", "--bind", "batch=2", "--bind", "fail"), "step 2"),
        (("sample:ic", "--bind"), "--bind"),
        (("sample:ic", "--bend", "batch=2"), "--bend"),
        (("absent.onnx", "--bind", "batch=2"), "absent.onnx: no such file"),
        (("sample:ic", "--bind", "batch=2", "--runtime", "abacus"), "expected one of as-written"),
        (("sample:ic", "--bind", "batch=2", "--device", "cortex-m77"), "cortex-m7"),
        (("sample:ic", "--bind", "batch=2", "--device", "cortex-m7", "--runtime", "tfml"), "tflm"),
        (("sample:ic", "--bind", "batch=2", "--max-latency", "1ms"), "--max-latency: holds a device to it"),
        (("sample:ic", "--bind", "batch=2", "--reserve", "sram=1"), "--reserve: holds a device to it"),
        (("sample:ic", "--bind", "batch=2", "--dim", "batch=1"), "batch"),
        (("sample:ic", "--bind", "batch=2", "-f", "pdf"), "expected one of text, json, markdown, csv"),
        (("sample:ic", "--bind", "batch=2", "--planner", "abacus"), "planner 'abacus'"),
        (("sample:ic", "--bind", "batch=2", "--save", "/nowhere/x.onnx"), "there is no folder /nowhere"),
        (("sample:ic", "--bind", "batch=2", "--top", "0"), "--top"),
        (("sample:ic", "--steps", "absent.yaml"), "absent.yaml: cannot be read: No such file"),
        (("sample:ic", "--steps", "/"), "cannot be read: Is a directory"),
    ],
)
def test_what_cannot_be_done_ends_in_one_line(run: Run, arguments: tuple[str, ...], said: str) -> None:
    assert said in run.error(*arguments)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "$: the file is empty"),
        ("steps: [", "no YAML"),
        ("schema: effaudit.steps/1\nschema: x\n", "duplicate key"),
        ("- bind: batch=2", "$: expected keys and values"),
        ("schema: effaudit.steps/2\nsteps: [{bind: batch=2}]", "$.schema: expected effaudit.steps/1"),
        ("steps: [{bind: batch=2}]", "the key 'schema' is missing"),
        ("schema: effaudit.steps/1", "the key 'steps' is missing"),
        ("schema: effaudit.steps/1\nsteps: []", "$.steps: expected 1 to 1000 what-ifs, got 0"),
        ("schema: effaudit.steps/1\nstep: []\nsteps: []", "unknown key 'step'"),
        ("schema: effaudit.steps/1\nsteps: {bind: batch=2}", "$.steps: expected a list"),
        ("schema: effaudit.steps/1\nsteps: [bind]", "$.steps[0]: expected keys and values, got text"),
        ("schema: effaudit.steps/1\nsteps: [{}]", "$.steps[0]: expected one what-if"),
        ("schema: effaudit.steps/1\nsteps: [{bind: batch=2, fold: bn}]", "got 2 keys"),
        ("schema: effaudit.steps/1\nsteps: [{bind: batch=2}, {bnid: batch=2}]", "$.steps[1]: 'bnid' is no what-if"),
        ("schema: effaudit.steps/1\nsteps: [{bind: batch=-2}]", "$.steps[0].bind: --bind batch '-2': expected a whole"),
        ("schema: effaudit.steps/1\nsteps: [{bind: {batch: two}}]", "$.steps[0].bind.batch: expected a whole number"),
        ("schema: effaudit.steps/1\nsteps: [{bind: {batch: -2}}]", "$.steps[0].bind: --bind batch '-2'"),
        ("schema: effaudit.steps/1\nsteps: [{bind: {bach: 2}}]", "$.steps[0].bind: unknown key 'bach'; did you mean"),
        ("schema: effaudit.steps/1\nsteps: [{bind: [2]}]", "$.steps[0].bind: expected the text"),
        ("schema: effaudit.steps/1\nsteps: [{bind: null}]", "$.steps[0].bind: expected the text of its option, or its"),
        ("schema: effaudit.steps/1\nsteps: [{bind: !!python/object:x {}}]", "tags are not read"),
        ("schema: effaudit.steps/1\nsteps: &a [{bind: {batch: *a}}]", "alias"),
        ("\tschema: effaudit.steps/1", "no YAML"),
        ("[" * 100, "nested more than 32 deep"),
        ("schema: effaudit.steps/1\nsteps: [" + "{bind: batch=2}," * 1001 + "]", "got 1001"),
        ("# " + "x" * (1 << 20), "more than 1,048,576 bytes"),
    ],
)
def test_a_file_of_steps_that_is_wrong(run: Run, tmp_path: Path, text: str, said: str) -> None:
    path = file_of(tmp_path, text)
    line = run.error("sample:ic", "--steps", path)
    assert line.startswith(f"effaudit: {path}: ")
    assert said in line


# Texts that a what-if refuses, before or after it has seen the model. (sample:ic has one input of fixed shape, no batch
# norms, and weights.)
REFUSED = {
    "bind": """ = batch batch= =4 batch=0 batch=-1 batch=x batch=1e3 batch=4,batch=5 nothing=4 input=1x3 input=1x3x0x32
        input=axb input[9]=3 input[x]=3 batch=99999999999999999999999 \x00=1 input=1x4x32x32""",
    "fold": "x bn,bn all,bn bn=1 bn,,qdq BN bnn ,",
    "prune": """x channels channels= channels=101% channels=-1% channels=x channels=1/3 channels=30%,sparsity=30% 0:4
        4:4 2: 2:4:6 99999:99999 block=4x1 block=0x1,sparsity=50% indices=nothing:0 indices=:0 dead,channels=3%
        channels=30%,criterion=bn channels=30%,round=0 channels=30%,only=nothing sparsity=50%,storage=zip""",
    "quantize": """x int1 int17 fp7 int8,int4 int8,group=0 int8,clip=foo int8,nodes=nothing int8,table=nothing.yaml
        int8,calibrate=nothing int8,format=foo int8,per-tensor,per-channel int8,seed=-1 float int8,activations=foo""",
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in REFUSED.items() for text in texts.split()])
def test_what_a_real_what_if_refuses(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, text: str
) -> None:
    """On the command line and in a file of steps: one line, that names the step."""
    done = invoke(capsys, monkeypatch, "whatif", "sample:ic", f"--{name}", text)
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert f"--{name}" in line
    file = file_of(tmp_path, json.dumps({"schema": "effaudit.steps/1", "steps": [{name: text}]}))
    done = invoke(capsys, monkeypatch, "whatif", "sample:ic", "--steps", file)
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert f"$.steps[0].{name}" in done.err or "step 1" in done.err


def test_arguments_of_the_document_make_the_same_step(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    steps = ("--bind", "input=2x3x32x32", "--prune", "channels=12.5%,criterion=l2", "--fold", "identity,bn")
    done = invoke(capsys, monkeypatch, "whatif", "sample:ic", *steps, "--json")
    (model,) = json.loads(done.out)["models"]
    written_out = [{step["whatif"]: step["arguments"]} for step in model["steps"][1:]]
    file = file_of(tmp_path, json.dumps({"schema": "effaudit.steps/1", "steps": written_out}))
    again = invoke(capsys, monkeypatch, "whatif", "sample:ic", "--steps", file, "--json")
    assert again.out == done.out


def test_a_broken_model(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes((SAMPLES / "ic.onnx").read_bytes()[:5000])
    assert str(path) in run.error(str(path), "--bind", "batch=2")


def test_one_bad_model_of_several(run: Run) -> None:
    done = run("sample:ic", "absent.onnx", "--bind", "batch=2", "--json")
    assert done.code == 2
    assert [model["path"] for model in json.loads(done.out)["models"]] == ["sample:ic"]
    assert len(done.err.splitlines()) == 1


def test_steps_come_after_no_model_only_where_one_is_alone(run: Run, own: Path) -> None:
    run.monkeypatch.chdir(own.parent)
    run.monkeypatch.delenv("CI", raising=False)
    done = run("--bind", "batch=2")
    assert done.code == 0 and "using ic.onnx" in done.err


# ---- what quantization asks the model itself
def test_the_table_that_a_budget_finds_is_saved_and_read(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "table.yaml"
    spec = "int8,calibrate=random,budget=35dB"
    done = invoke(
        capsys,
        monkeypatch,
        "whatif",
        "sample:kws",
        "--quantize",
        spec,
        "--save-table",
        str(file),
        "--sensitivity",
        "--json",
    )
    assert done.code == 0 and f"saved {file}" in done.err, done.err
    step = json.loads(done.out)["models"][0]["steps"][1]
    assert step["table"] == file.read_text()
    assert {"sensitivity", "mixed"} <= {detail["table"] for detail in step["details"]}
    again = invoke(
        capsys, monkeypatch, "whatif", "sample:kws", "--quantize", f"table={file},calibrate=random", "--json"
    )
    read = json.loads(again.out)["models"][0]["steps"][1]
    assert read["totals"]["weight_bytes"] == step["totals"]["weight_bytes"]
    assert read["table"] is None


@pytest.mark.parametrize(
    "options, said",
    [
        (("--fold", "bn", "--sensitivity"), "of which quantization"),
        (("--quantize", "int8,calibrate=random", "--save-table", "t.yaml"), "no step found a table"),
        (("--quantize", "int8", "--sensitivity"), "no calibration data"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    options: tuple[str, ...],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = invoke(capsys, monkeypatch, "whatif", "sample:kws", *options)
    assert done.code == 2 and said in done.err and not list(tmp_path.iterdir())
