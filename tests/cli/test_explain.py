"""`effaudit explain`, as a user runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from effaudit.load.files import sample_folder
from tests.operators.models import DENSE, HEAD, node, save, zeros

from .process import run
from .test_report import error


def out(*arguments: str) -> str:
    done = run("explain", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def test_a_convolution_without_any_model() -> None:
    """s0-026: 64 -> 128 channels, 3 x 3, 56 x 56 outputs."""
    text = out("Conv", "cin=64", "cout=128", "k=3", "out=56x56")
    assert "= 1 x 128 x 56 x 56 x 64/1 x 3 x 3" in text
    assert "= 231,211,008" in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_formula_and_how_to_calculate_it() -> None:
    """s3-092: 268,435,456 bytes for 32 layers, 32 heads of 128 and 512 tokens in 16 bits."""
    text = out("kv-cache-bytes")
    assert "try    effaudit explain kv-cache-bytes" in text
    answer = out("kv-cache-bytes", "layers=32", "kv_heads=32", "head_dim=128", "tokens=512")
    assert "268,435,456" in answer
    assert out("kv_cache_bytes", "layers=32", "kv_heads=32", "head_dim=128", "tokens=512") == answer


def test_a_node_of_a_model() -> None:
    text = out("sample:ic", "stem/conv/Conv")
    assert "= 442,368" in text and "= 1 x 16 x 32 x 32 x 3/1 x 3 x 3" in text


def test_all_nodes_of_an_operator() -> None:
    text = out("sample:ic", "Add")
    assert text.count("what     Add") == 3


def test_a_figure_of_a_model_under_given_sizes() -> None:
    text = out("sample:bert-base", "macs", "--dim", "batch=8,sequence=512")
    assert "386,551,775,232" in text


def test_a_note() -> None:
    assert "a size was assumed" in " ".join(out("dims-assumed").split())


def test_a_note_of_a_model() -> None:
    text = " ".join(out("sample:lstm", "dims-assumed").split())
    assert "a size was assumed" in text and "what to do: give the real ones: --dim batch=1" in text


def test_an_operator_of_ones_own(tmp_path: Path) -> None:
    """4 x 16 outputs of 8 products each."""
    file = tmp_path / "ops.yaml"
    file.write_text(HEAD + DENSE, encoding="utf-8")
    assert "macs = numel(out) * x[-1]" in out("acme::FusedDense", "--operators", str(file))
    assert "= 512" in out("acme::FusedDense", "x=4x8", "w=8x16", "--operators", str(file))
    model = save(tmp_path / "m.onnx", [node("FusedDense", ["x", "w"], ["y"])], {"x": [4, 8]}, [zeros("w", 8, 16)])
    assert "= 512" in out(str(model), "FusedDense", "--operators", str(file))
    assert "unpriced no cost rule" in out(str(model), "FusedDense")


def test_what_there_is() -> None:
    everything = out("--list")
    for name in ("live_bytes", "conv-macs", "Conv", "dims-assumed"):
        assert name in everything.split()
    notes = out("--list", "notes")
    assert "dims-assumed  The file leaves dims open" in notes and "conv-macs" not in notes


def test_one_axis() -> None:
    """torch.nn.Conv1d(3, 64, 7) with 112 outputs, and the 2-D layer of the same numbers."""
    assert "= 150,528" in out("Conv", "cin=3", "cout=64", "k=7", "out=112", "rank=1")
    for size in ("112x112", "112"):
        assert "= 118,013,952" in out("Conv", "cin=3", "cout=64", "k=7", f"out={size}")


def test_the_model_is_not_written_over(tmp_path: Path) -> None:
    copy = tmp_path / "ic.onnx"
    shutil.copy(Path(sample_folder()) / "ic.onnx", copy)
    assert "is read here" in error("explain", str(copy), "macs", "-o", str(copy))


@pytest.mark.parametrize(
    ("arguments", "subject"),
    [
        (["macs"], "figure"),
        (["sample:ic", "live"], "figure"),
        (["conv-macs"], "formula"),
        (["conv-macs", "cin=3", "cout=4", "k=3", "out=8x8"], "answer"),
        (["Relu"], "operator"),
        (["Relu", "shape=1x8"], "call"),
        (["sample:ic", "stem/Relu"], "node"),
        (["sample:ic", "add"], "nodes"),
        (["unsorted"], "finding"),
        (["sample:ic", "unsorted"], "finding"),
        (["--list", "figures"], "list"),
    ],
)
def test_json(arguments: list[str], subject: str) -> None:
    made = json.loads(out(*arguments, "--json"))
    assert (made["schema"], made["subject"]) == ("effaudit.explain/1", subject)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["explain"], "explain --list names all there is"),
        (["explain", "--list", "things"], "expected one of figures, formulas, operators, notes"),
        (["explain", "--list", "notes", "macs"], "--list goes without 'macs'"),
        (["explain", "macs", "x=3"], "macs is a figure: it takes no numbers"),
        (["explain", "qqqqqq"], "effaudit explain --list names all there is"),
        (["explain", "sample:ic", "qqqqqq"], "effaudit report sample:ic --nodes lists all"),
        (["explain", "mcas"], "did you mean macs"),
        (["explain", "Cov", "cin=3"], "did you mean"),
        (["explain", "Conv", "cin=3"], "effaudit explain Conv"),
        (["explain", "Conv", "cin=3", "cin=4"], "cin is given twice"),
        (["explain", "sample:ic"], "explain what of sample:ic?"),
        (["explain", "sample:ic", "stem/conv/Cnv"], "did you mean stem/conv/Conv"),
        (["explain", "sample:ic", "macs", "cin=3"], "the numbers come from the model"),
        (["explain", "macs", "live"], "is no model"),
        (["explain", "nothing.onnx", "macs"], "nothing.onnx: no such file"),
        (["explain", "Conv", "cin=-3", "cout=1", "k=1", "out=1x1"], "cin"),
        (["explain", "macs", "-f", "xml"], "expected one of text, json"),
    ],
)
def test_mistakes_end_in_one_line(arguments: list[str], expected: str) -> None:
    assert expected in error(*arguments)


def test_a_broken_model(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes((Path(sample_folder()) / "ic.onnx").read_bytes()[:5000])
    assert "truncated" in error("explain", str(broken), "macs")


def test_a_file_without_the_suffix_is_a_model(tmp_path: Path) -> None:
    shutil.copy(Path(sample_folder()) / "ic.onnx", tmp_path / "model")
    assert "12,501,632" in out(str(tmp_path / "model"), "macs")
