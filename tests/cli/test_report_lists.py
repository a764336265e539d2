"""Lists, formats and outputs of `effaudit report`: what is asked for is shown, or refused before any work."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from pathlib import Path

import pytest

from effaudit.load.files import sample_folder, sample_names

from .process import run
from .test_report import document, error


def table(*arguments: str) -> list[dict[str, str]]:
    done = run("report", *arguments, "-f", "csv")
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout.decode())))


def ends(cell: str) -> tuple[int, int]:
    low, _, high = cell.partition("..")
    return int(low), int(high or low)


@pytest.mark.parametrize("name", sample_names())
def test_the_rows_that_run_add_up_to_the_totals(name: str) -> None:
    rows = [row for row in table(f"sample:{name}") if row["live"] == "yes"]
    totals = document(f"sample:{name}")["models"][0]["totals"]
    for column, figure in (("macs", "macs"), ("ops", "ops"), ("read_bytes", "read"), ("write_bytes", "write")):
        cells = [ends(row[column]) for row in rows]
        assert [sum(low for low, _ in cells), sum(high for _, high in cells)] == totals[f"{figure}_bounds"]
    assert sum(int(row["params"]) for row in rows) == totals["params"]
    assert all(row["node"] == row["node"].strip() for row in rows)


def test_one_row_per_model() -> None:
    rows = table("sample:ic", "sample:control-flow", "--totals", "--baseline", "resnet50")
    assert [row["model"] for row in rows] == ["sample:ic", "sample:control-flow", "resnet50 (published)"]
    assert (rows[0]["params"], rows[0]["macs"]) == ("77706", "12501632")
    assert rows[1]["macs"] == "807552..836224"
    assert (rows[2]["params"], rows[2]["macs"]) == ("25557032", "4089000000")
    text = run("report", "sample:ic", "--totals").stdout.decode()
    assert text.splitlines()[-1].startswith("sample:ic 77.71 k 12.50 M")


def test_json_lines_hold_numbers_and_nulls() -> None:
    done = run("report", "sample:bert-base", "--transformer", "-f", "jsonl", "--dim", "batch=1,sequence=512")
    records = [json.loads(line) for line in done.stdout.splitlines()]
    macs = {r["part"]: r["macs"] for r in records if r.get("block") == "1-12" and "part" in r}
    assert macs["qkv"] == 905_969_664
    nodes = run("report", "sample:control-flow", "--nodes", "-f", "jsonl").stdout.splitlines()
    (found,) = (r for r in map(json.loads, nodes) if r["node"] == "mix/If")
    assert (found["macs"], found["kernel"], found["weight_intensity"]) == ([4096, 32768], None, [0.0556, 0.4462])


def test_a_view_of_nothing_says_so() -> None:
    assert "This model has no attention." in run("report", "sample:ic", "--transformer").stdout.decode()
    assert run("report", "sample:ic", "--transformer", "-f", "csv").stdout == (
        b"model,part,nodes,macs,macs_share,params,params_share,ops\n"
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--columns", "colour"], "nodes have node, op"),
        (["--group-by", "op", "--sort", "colour"], "groups have op, nodes"),
        (["--group-by", ","], "names no key"),
        (["--group-by", "colour"], "expected one or several of op"),
        (["-f", "csv", "--movement", "--winograd"], "csv holds one table; ask for one of movement, winograd"),
        (["--chart", "-f", "json"], "--chart draws text"),
        (["--chart", "colour"], "expected one of macs"),
        (["--chart", "m.onnx"], "a model comes before --chart"),
        (["-f", "json="], "expected a path after ="),
        (["-f", "json=a", "-f", "csv=a"], "need a path of their own each"),
        (["--baseline", "resnet5"], "did you mean"),
        (["--against", "much"], "much"),
        (["--top", "0"], "see `effaudit report --help`"),
    ],
)
def test_mistakes_end_in_one_line(arguments: list[str], expected: str) -> None:
    assert expected in error("report", "sample:ic", *arguments)


def test_a_file_that_is_read_is_never_written(tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    shutil.copy(Path(sample_folder()) / "ic.onnx", model)
    before = model.read_bytes()
    os.link(model, tmp_path / "link.onnx")
    for target in ("m.onnx", "link.onnx", "../" + tmp_path.name + "/m.onnx"):
        assert "is read here" in error("report", "m.onnx", "-o", target, cwd=tmp_path)
        assert "is read here" in error("report", "m.onnx", "-f", f"text,json={target}", cwd=tmp_path)
        assert "is read here" in error("explain", "m.onnx", "macs", "-o", target, cwd=tmp_path)
    assert model.read_bytes() == before


def test_targets_are_checked_before_any_is_written(tmp_path: Path) -> None:
    message = error("report", "sample:ic", "-f", "json=a.json", "-f", "csv=no/x.csv", cwd=tmp_path)
    assert "there is no folder no" in message
    assert "a directory" in error("report", "sample:ic", "-o", ".", cwd=tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_size_for_some_of_several_models() -> None:
    done = run("report", "sample:ic", "sample:bert-base", "--dim", "batch=2,sequence=8", "--json")
    assert done.returncode == 0
    ic, bert = json.loads(done.stdout)["models"]
    assert ic["totals"]["macs"] == 12_501_632 and bert["dims"]["batch"]["value"] == 2
    assert done.stderr.count(b"sample:ic: has no dim or input named") == 2
    assert run("report", "sample:ic", "sample:kws", "--dim", "batch=2").returncode == 2


def test_ranges_are_marked() -> None:
    text = run("report", "sample:control-flow", "--chart").stdout.decode()
    assert "MACs by kind, at least 807.6 k in all" in text
    assert "MACs >= " in text and "FLOP/B 0.44 .. 0.47 per byte moved" in text


def test_sorted_nodes_are_those_of_the_graph() -> None:
    text = run("report", "sample:control-flow", "--nodes", "--sort", "macs", COLUMNS="200").stdout.decode()
    names = [line.split()[0] for line in text[text.index("\nnodes of") :].splitlines()[4:]]
    assert names[0] == "cell/Scan" and len(names) == 9
