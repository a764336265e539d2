"""`effaudit report` from outside: what it prints, where, and how it ends."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from effaudit.load.files import sample_folder, sample_names
from tests.processes.server import ROOT

from .process import run

TINY = {"ad": 264_192, "ic": 12_501_632, "kws": 2_656_768, "vww": 7_489_664}


def document(*arguments: str, **more: Any) -> dict[str, Any]:
    done = run("report", *arguments, "--json", **more)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def error(*arguments: str, **more: Any) -> str:
    done = run(*arguments, **more)
    assert done.returncode == 2
    assert done.stdout == b""
    (line,) = done.stderr.decode().splitlines()
    return line


@pytest.mark.parametrize("name", sample_names())
def test_the_first_screen_fits(name: str) -> None:
    lines = run("report", f"sample:{name}").stdout.decode().splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("name", [*TINY, *(f"{n}-int8" for n in TINY)])
def test_the_tiny_networks(name: str) -> None:
    options = [] if name.startswith(("ic", "kws", "vww")) else ["--dim", "batch=1"]
    (model,) = document(f"sample:{name}", *options)["models"]
    assert model["totals"]["macs"] == TINY[name.removesuffix("-int8")]
    assert model["totals"]["unpriced"] == 0


@pytest.mark.parametrize("name", sample_names())
def test_same_input_same_bytes(name: str) -> None:
    first, second = (run("report", f"sample:{name}", "--json", PYTHONHASHSEED=seed).stdout for seed in "12")
    assert first == second


def test_json_holds_what_is_promised() -> None:
    found = document("sample:dynamic")
    assert (found["schema"], found["counting"]) == ("effaudit.report/1", "effaudit-macs/1")
    (model,) = found["models"]
    assert model["dims"]["batch"] | {"reason": None} == {
        "value": 1,
        "origin": "assumed",
        "bounds": [1, 1],
        "reason": None,
    }
    assert model["inputs"][0] == {"name": "input_ids", "dtype": "int64", "shape": ["batch", "sequence"]}
    totals = "nodes unpriced params constant_elements weight_bytes macs macs_bounds ops flops read_bytes write_bytes"
    assert set(totals.split()) <= model["totals"].keys()
    memory = "sum_bytes max_in_out_bytes live_bytes inplace_bytes peak_node live_set"
    assert set(memory.split()) <= model["memory"].keys()
    node = "name op domain kind outputs params macs ops weight_bytes read_bytes write_bytes intensity unpriced"
    assert set(node.split()) <= model["nodes"][0].keys()
    assert model["totals"]["flops"] == 2 * model["totals"]["macs"] + model["totals"]["ops"]
    assert sum(n["macs"] for n in model["nodes"]) == model["totals"]["macs"]
    assert sum(n["params"] for n in model["nodes"]) == model["totals"]["params"]
    assert sum(t["bytes"] for t in model["memory"]["live_set"]) == model["memory"]["live_bytes"]


def test_open_dims_are_formulas_and_bound_dims_numbers() -> None:
    (open_,) = document("sample:bert-base")["models"]
    formula = open_["formulas"]["macs"]
    assert formula == "18432*batch*sequence**2 + 84934656*batch*sequence + 589824*batch"
    (bound,) = document("sample:bert-base", "--dim", "batch=2,sequence=64")["models"]
    assert bound["formulas"] is None
    assert bound["totals"]["macs"] == eval(formula, {"batch": 2, "sequence": 64})
    (shaped,) = document("sample:bert-base", "--shape", "input_ids=2x64", "--shape", "attention_mask=2,64")["models"]
    assert shaped["totals"]["macs"] == bound["totals"]["macs"]


def test_a_condition_gives_a_range() -> None:
    (model,) = document("sample:control-flow", "--dim", "batch=1", "--dim", "sequence=4")["models"]
    assert model["totals"]["macs"] is None
    low, high = model["totals"]["macs_bounds"]
    assert high - low == 32_768 - 4_096
    assert model["totals"]["why"]


def test_csv_has_a_row_per_node() -> None:
    table = list(csv.DictReader(io.StringIO(run("report", "sample:ic", "-f", "csv").stdout.decode())))
    (model,) = document("sample:ic")["models"]
    assert [row["node"] for row in table] == [node["name"] for node in model["nodes"]]
    assert sum(int(row["macs"]) for row in table) == TINY["ic"]


def test_nodes_lists_every_node() -> None:
    text = run("report", "sample:ic", "--nodes").stdout.decode()
    (model,) = document("sample:ic")["models"]
    assert all(node["name"][:15] in text for node in model["nodes"])


def test_several_models_and_several_formats(tmp_path: Path) -> None:
    done = run("report", "sample:ic", "sample:kws", "-f", "text", "-f", f"json={tmp_path / 'r.json'}")
    assert done.returncode == 0
    assert b"sample:ic" in done.stdout and b"sample:kws" in done.stdout
    assert len(json.loads((tmp_path / "r.json").read_text())["models"]) == 2


def test_output_file(tmp_path: Path) -> None:
    path = tmp_path / "report.txt"
    done = run("report", "sample:ic", "-o", str(path))
    assert done.stdout == b""
    assert path.read_bytes() == run("report", "sample:ic").stdout


def test_standard_input() -> None:
    data = (Path(sample_folder()) / "ic.onnx").read_bytes()
    (piped,) = document("-", stdin=data)["models"]
    (named,) = document("sample:ic")["models"]
    assert piped["totals"] == named["totals"]


def test_the_only_model_of_a_folder(tmp_path: Path) -> None:
    shutil.copy(Path(sample_folder()) / "ic.onnx", tmp_path / "only.onnx")
    done = run("report", cwd=tmp_path)
    assert done.returncode == 0
    assert b"only.onnx" in done.stderr
    assert "which model?" in error("report", cwd=tmp_path, CI="true")
    shutil.copy(tmp_path / "only.onnx", tmp_path / "other.onnx")
    assert "only.onnx, other.onnx" in error("report", cwd=tmp_path)


def test_nothing_is_written_beside_the_model(tmp_path: Path) -> None:
    shutil.copy(Path(sample_folder()) / "ic.onnx", tmp_path / "m.onnx")
    run("report", str(tmp_path / "m.onnx"))
    assert os.listdir(tmp_path) == ["m.onnx"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["report", "nothing.onnx"], "nothing.onnx: no such file"),
        (["report", "sample:nothing"], "no such sample; there are: ad,"),
        (["report", "sample:ic", "--dim", "batch"], "expected NAME=N"),
        (["report", "sample:ic", "--dim", "batch=x"], "'x' is no number"),
        (["report", "sample:bert-base", "--dim", "bach=1"], "it has: 'batch', 'sequence'"),
        (["report", "sample:ic", "--shape", "1x1x32x32"], "dim 1 of input 'input' is 3 in the file, --shape gives 1"),
        (["report", "sample:ic", "--shape", "1x3x32"], "has 4 dims, --shape gives 3"),
        (["report", "sample:ic", "--shape", "x=1x3x32x32"], "no input is named 'x'; it has: 'input'"),
        (["report", "sample:bert-base", "--shape", "1x8"], "without a name needs a model with one input"),
        (["report", "sample:dynamic", "--dim", "batch=1,batch=2"], "given twice, as 1 and 2"),
        (["report", "sample:dynamic", "--dim", "batch=1", "--shape", "input_ids=2x8"], "--dim as 1"),
        (["report", "sample:dynamic", "--dim", f"batch={'1' * 5000}"], "is no number"),
        (["report", "sample:ic", "-f", "json=a.json", "-o", "b.json"], "which one is meant?"),
        (["report", "sample:ic", "-f", "xml"], "expected one of text, json, jsonl, csv, markdown, latex"),
        (["report", "sample:ic", "-f", "json", "-f", "csv"], "need a path of their own each"),
        (["report", "sample:ic", "--wrong"], "No such option"),
        (["repot"], "No such command"),
        (["report", "."], "a directory"),
    ],
)
def test_mistakes_end_in_one_line(arguments: list[str], expected: str) -> None:
    assert expected in error(*arguments)


def test_help_and_version_import_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv[1:] = ['--help']\nfrom effaudit.cli import main\ntry: main()\nexcept SystemExit: pass\n"
    )
    code += (
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'onnx', 'numpy', 'onnxruntime', 'msgspec', 'yaml'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert run("--version").stdout.startswith(b"effaudit 0.")


def test_a_report_imports_neither_onnx_nor_numpy() -> None:
    code = "import sys; sys.argv[1:] = ['report', 'sample:ic']\nfrom effaudit.cli import main\ntry: main()\n"
    code += "except SystemExit: pass\nprint(sorted({m.split('.')[0] for m in sys.modules} & {'onnx', 'numpy', 'yaml'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("options", ["--nodes", "--json"])
def test_a_reader_that_stops_early(options: str) -> None:
    command = f"{sys.executable} -m effaudit report sample:bert-base {options} | head -c 100"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("redirection", [">&-", "> /dev/full"])
def test_an_output_that_takes_nothing(redirection: str) -> None:
    if "full" in redirection and not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    command = f"{sys.executable} -m effaudit report sample:ic {redirection}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_one_bad_model_spoils_only_itself() -> None:
    done = run("report", "sample:ic", "nothing.onnx", "sample:kws", "--json")
    assert done.returncode == 2
    assert [model["path"] for model in json.loads(done.stdout)["models"]] == ["sample:ic", "sample:kws"]
    assert b"nothing.onnx: no such file" in done.stderr


def test_the_next_command_repeats_the_sizes() -> None:
    last = run("report", "sample:dynamic", "--dim", "batch=2", "--dim", "sequence=64").stdout.decode().splitlines()[-2:]
    assert last == [
        "next   effaudit report sample:dynamic --dim batch=2 --dim sequence=64 --nodes",
        "       effaudit memory sample:dynamic --dim batch=2 --dim sequence=64",
    ]
    last = run("report", "sample:unet", "--shape", "1x1x64x64").stdout.decode().splitlines()[-2:]
    assert last[0] == "next   effaudit report sample:unet --shape 1x1x64x64 --nodes"


def test_only_ascii_on_a_terminal_that_has_no_more() -> None:
    done = run("report", "sample:ic", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
