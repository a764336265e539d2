"""`effaudit fit` from outside: what it prints, where, and how it ends."""

from __future__ import annotations

import csv
import io
import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from effaudit.load.files import sample_folder
from tests.examples.graphs import FLOAT16
from tests.fit.models import MIB, million, open_batch, saved, unknown_operator
from tests.profiles import accelerator, board, written

from .process import run
from .test_report import error

SAMPLES = Path(sample_folder())
PROMISED = "model device status runtime findings memory latency_s energy_j rows"
FINDING = "check status measured limit unit where message"


def fit(*arguments: str, code: int = 0, **more: Any) -> str:
    done = run("fit", *arguments, **more)
    assert done.returncode == code, done.stderr.decode()
    return str(done.stdout.decode())


def document(*arguments: str, code: int = 0, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(fit(*arguments, "--json", code=code, **more))
    return found


# ---- the command of the acceptance
def test_the_verdict_on_a_real_board() -> None:
    text = fit("sample:vww-int8", "--device", "cortex-m7")
    assert "st-nucleo-h743zi: FITS" in text, "the alias resolves to one board, which is named"
    for word in ("need", "have", "margin", "arena 72.00 KiB", "kTensorArenaSize"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_only_model_of_a_folder(tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "vww-int8.onnx", tmp_path)
    assert "FITS" in fit("--device", "cortex-m7", cwd=tmp_path)


def test_json_holds_what_is_promised() -> None:
    found = document("sample:vww-int8", "--device", "cortex-m7")
    assert found["schema"] == "effaudit.fit/1"
    (verdict,) = found["verdicts"]
    assert set(PROMISED.split()) <= verdict.keys()
    assert {"value", "low", "high", "basis"} <= verdict["latency_s"].keys()
    assert {"node", "compute_s", "memory_s", "limiter"} <= verdict["rows"][0].keys()
    for finding in verdict["findings"]:
        assert set(FINDING.split()) <= finding.keys()
    assert verdict["memory"]["arena_bytes"] == 73_728
    assert verdict["status"] == "fits" and found["exit_code"] == 0


def test_the_same_bytes_every_time() -> None:
    assert fit("sample:ic-int8", "--device", "cortex-m4", "--json") == fit(
        "sample:ic-int8", "--device", "cortex-m4", "--json"
    )


# ---- exit codes
def test_too_large_even_with_an_unbound_batch(tmp_path: Path) -> None:
    model, on = saved(tmp_path, open_batch(features=2000)), written(tmp_path, board(MIB, MIB))
    assert "DOES NOT FIT" in fit(model, "--device", str(on), code=1)


def test_an_unbound_dim_that_decides(tmp_path: Path) -> None:
    model, on = saved(tmp_path, open_batch("my length")), written(tmp_path, board(4 * MIB, MIB))
    message = error("fit", model, "--device", str(on))
    assert "my length" in message
    command = message.partition("give it: ")[2]
    assert shlex.split(command)[0] == "effaudit"
    assert run(*shlex.split(command)[1:]).returncode == 0, "the command it prints can be pasted"


def test_an_unknown_operator_that_matters(tmp_path: Path) -> None:
    model, on = saved(tmp_path, unknown_operator()), written(tmp_path, board(MIB, MIB))
    assert "NOT KNOWN" in fit(model, "--device", str(on), code=4)
    assert fit(model, "--device", str(on), "--exit-zero")


def test_only_the_devices_asked_for_change_the_code(tmp_path: Path) -> None:
    small, large = (
        written(tmp_path, board(MIB // 2, MIB, name="small")),
        written(tmp_path, board(4 * MIB, MIB, name="large")),
    )
    model = saved(tmp_path, million(4096))
    fit(model, "--device", str(large))
    fit(model, "--device", str(small), code=1)
    found = document(model, "--device", f"{large},{small}", code=1)
    assert [v["status"] for v in found["verdicts"]] == ["fits", "does-not-fit"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sample:ic",), "which device?"),
        (("sample:ic", "--device", "cortex-m77"), "cortex-m7"),
        (("sample:ic", "--device", "arm-cortex-m7"), "arm-cortex-m7"),
        (("absent.onnx", "--device", "cortex-m7"), "absent.onnx"),
        (("sample:ic", "--device", "cortex-m7", "--runtime", "tfml"), "tflm"),
        (("sample:ic", "--device", "cortex-m7", "--reserve", "sram"), "sram=96KiB"),
        (("sample:ic", "--device", "cortex-m7", "--reserve", "vram2=1"), "has no such memory"),
        (("sample:ic", "--device", "cortex-m7", "--reserve", "sram=lots"), "no number"),
        (("sample:ic", "--device", "cortex-m7", "--max-latency", "10 parsecs"), "--max-latency"),
        (("sample:ic", "--device", "cortex-m7", "--max-latency", "0"), "more than 0"),
        (("sample:ic", "--device", "cortex-m7", "--min-throughput", "-3"), "--min-throughput"),
        (("sample:ic", "--device", "cortex-m7", "--utilisation", "2"), "--utilisation"),
        (("sample:ic", "--device", "cortex-m7", "--battery", "AA"), "1000mAh@3.7V"),
        (("sample:ic", "--device", "cortex-m7", "--quantize", "int7"), "int8"),
        (("sample:ic", "--device", "cortex-m7", "--batch", "0"), "--batch"),
        (("sample:ic:0", "--device", "cortex-m7"), "how often"),
        (("sample:ic", "--device", "cortex-m7", "--class", "toaster"), "toaster"),
        (("sample:ic", "--device", "cortex-m7", "--dim", "batch=1"), "batch"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(arguments: tuple[str, ...], said: str) -> None:
    assert said in error("fit", *arguments)


def test_a_broken_model_and_a_broken_profile(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"\x08\x07\x12\xff\xff\xff\xff\x7f")
    assert "broken.onnx" in error("fit", str(broken), "--device", "cortex-m7")
    profile = tmp_path / "broken.yaml"
    profile.write_text("schema: effaudit.device/1\nname: x\nname: y\n")
    assert "duplicate key" in error("fit", "sample:ic", "--device", str(profile))


# ---- what else is asked
def test_bytes_that_are_kept_change_the_verdict() -> None:
    found = document("sample:vww-int8", "--device", "cortex-m7", "--reserve", "sram=900KiB", code=1)
    (verdict,) = found["verdicts"]
    (row,) = (r for r in verdict["memory"]["rows"] if r["memory"] == "sram")
    (kept,) = (item for item in row["items"] if item["what"] == "reserved by --reserve")
    assert kept["bytes"] == 900 * 1024


def test_limits_are_held_against_intervals() -> None:
    device = ("--device", "cortex-m7")
    time = document("sample:vww-int8", *device)["verdicts"][0]["latency_s"]
    for factor, code in ((0.9 * time["low"], 1), (time["value"], 4), (1.1 * time["high"], 0)):
        fit("sample:vww-int8", *device, "--max-latency", f"{factor * 1000:.6f}ms", code=code)


def test_several_types_side_by_side() -> None:
    found = document("sample:ic", "--device", "cortex-m7", "--quantize", "fp16,int8")
    assert [v["quantize"] for v in found["verdicts"]] == ["fp16", "int8"]
    assert found["verdicts"][1]["status"] == "fits"


def test_a_float_model_says_what_it_would_be_as_int8() -> None:
    (verdict,) = document("sample:ic", "--device", "cortex-m7")["verdicts"]
    (knob,) = (k for k in verdict["knobs"] if k["what"] == "as int8")
    assert knob["fits"] is True and knob["option"] == "--quantize int8"
    assert "as int8: FITS" in fit("sample:ic", "--device", "cortex-m7")


def test_every_board_of_a_class() -> None:
    found = document("sample:kws-int8", "--class", "mcu", code=1)
    names = [v["device"] for v in found["verdicts"]]
    assert len(names) == len(set(names)) > 10
    assert any(v["status"] == "fits" for v in found["verdicts"])


def test_a_matrix_is_a_table() -> None:
    text = fit("sample:kws-int8", "--device", "cortex-m4,cortex-m7", COLUMNS="160")
    assert "st-nucleo-l4r5zi" in text and "st-nucleo-h743zi" in text
    rows = list(csv.DictReader(io.StringIO(fit("sample:kws-int8", "--device", "cortex-m4,cortex-m7", "-f", "csv"))))
    assert [row["device"] for row in rows] == ["st-nucleo-l4r5zi", "st-nucleo-h743zi"]
    assert {row["status"] for row in rows} == {"fits"}


def test_a_pipeline_adds_up(tmp_path: Path) -> None:
    on = str(
        written(
            tmp_path,
            board(
                4 * MIB, MIB, performance=[{"engine": "cpu", "dtype": "int8", "rates": {"other": {"mac_per_s": 1e6}}}]
            ),
        )
    )
    model = saved(tmp_path, million(4096))
    alone = document(model, "--device", on)["verdicts"][0]["latency_s"]["value"]
    found = document(f"{model}:50", "--device", on)
    (whole,) = found["pipelines"]
    assert whole["latency_s"]["value"] == pytest.approx(50 * alone)
    assert whole["parts"] == [[model, 50]]
    two = saved(tmp_path, million(8192), "two.onnx")
    (whole,) = document(f"{model}:50", f"{two}:1", "--device", on)["pipelines"]
    (flash,) = (r for r in whole["rows"] if r["memory"] == "flash")
    (sram,) = (r for r in whole["rows"] if r["memory"] == "sram")
    assert flash["need_bytes"] == 2_000_000, "both are there"
    assert sram["need_bytes"] == document(two, "--device", on)["verdicts"][0]["memory"]["arena_bytes"], (
        "one after the other"
    )


def test_batches_until_it_is_compute_bound(tmp_path: Path) -> None:
    """4096 x 4096 in 16 bits: 2 B n^2 / (2 n^2 + 4 B n) FLOP per byte reaches the ridge of 156."""
    on = str(written(tmp_path, accelerator(312e12, 2.0e12)))
    model = saved(tmp_path, open_batch(features=4096, dtype=FLOAT16))
    (verdict,) = document(model, "--device", on, "--dim", "batch=1", "--batch", "1,256")["verdicts"]
    assert [row["regime"] for row in verdict["batches"]] == ["memory", "compute"]
    ridge, n = 156, 4096
    exact = next(b for b in range(1, 10_000) if 2 * b * n * n / (2 * n * n + 4 * b * n) >= ridge)
    assert verdict["compute_bound_from"] == exact


def test_nothing_is_written_beside_the_model(tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "kws-int8.onnx", tmp_path)
    fit("kws-int8.onnx", "--device", "cortex-m4", "-o", "out.txt", cwd=tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["kws-int8.onnx", "out.txt"]


def test_help_names_its_neighbours() -> None:
    assert "effaudit devices list" in " ".join(fit("--help").split())
