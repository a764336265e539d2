"""Patches: what `effaudit memory` would do, judged on a device."""

from __future__ import annotations

from pathlib import Path

import pytest

from effaudit.errors import UsageError
from effaudit.fit.asked import FitAsked
from effaudit.fit.model import fit
from effaudit.fit.types import FitReport
from effaudit.memory import Stage
from tests.profiles import board, device

from .models import MIB

RATES = [{"engine": "cpu", "dtype": "int8", "rates": {"other": {"mac_per_s": 1e9}}}]


def on(folder: Path, sram: int, asked: FitAsked) -> FitReport:
    (report,) = fit("sample:mobilenetv2", [device(folder, board(8 * MIB, sram, batch=1, performance=RATES))], [asked])
    return report


def macs(report: FitReport) -> int:
    return sum(row.macs or 0 for row in report.rows)


def test_patches_are_a_change_until_they_are_chosen(tmp_path: Path) -> None:
    whole = on(tmp_path, MIB, FitAsked(quantize="int8"))
    assert (whole.status, whole.memory.arena_bytes) == ("fits-with", 1_505_280)
    knob = next(k for k in whole.knobs if k.option.startswith("--patch"))
    assert knob.fits and knob.held == "pass"
    _, _, stage = knob.option.partition(" ")
    tensor, _, grid = stage.strip("'").rpartition(":")
    rows, columns = map(int, grid.split("x"))
    asked = FitAsked(quantize="int8", patch=Stage(tensor, (rows, columns)))
    made = on(tmp_path, MIB, asked)
    assert made.status == "fits"
    (sram,) = (row for row in made.memory.rows if row.memory == "sram")
    assert sram.need_bytes == knob.need_bytes
    assert macs(made) > macs(whole), "what lies in the halos is computed again"
    assert made.latency_s.value is not None and whole.latency_s.value is not None
    assert made.latency_s.value > whole.latency_s.value
    assert list(made.options[-2:]) == ["--patch", f"{tensor}:{rows}x{columns}"]


def test_the_best_patches_there_are(tmp_path: Path) -> None:
    assert on(tmp_path, MIB, FitAsked(quantize="int8", patch="auto")).status == "fits"


def test_a_model_without_windows_has_no_patches(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--patch"):
        fit("sample:ad-int8", [device(tmp_path, board(8 * MIB, MIB, batch=1))], [FitAsked(patch="auto")])
