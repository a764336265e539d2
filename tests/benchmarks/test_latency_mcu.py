"""Latency of microcontrollers: the measurements as they are read, the fit, its score and the profiles it is written to.

The rows below are those of MLPerf Tiny: https://github.com/mlcommons/tiny_results_v1.1, v1.2 and v1.3, results of
STMicroelectronics, bosch and plumerai.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.latency import mcu
from benchmarks.latency.mcu_entries import RUNTIMES, Errors, entries, newest
from benchmarks.latency.mcu_model import Case, Sample, costs, cycles, fit
from benchmarks.latency.mcu_work import CLASSES, RULES, WIDTH, work
from benchmarks.latency.rows import ROWS, Row, read, row, runtime_of
from benchmarks.latency.write import FOLDER, HEAD, replaced, text
from effaudit.audited import examine
from effaudit.device.peaks import dense_flop_per_s
from effaudit.device.read import all_problems, read_device
from effaudit.device.types import Device
from effaudit.estimate.latency import latency, setting
from effaudit.estimate.work import kernels
from effaudit.runtimes import find

AD, IC, KWS = mcu.AD, mcu.IC, mcu.KWS
VWW = "mlperf_tiny_mobilenet_v1_0.25_96 (vww_96_int8)"
# board, core, MHz, runtime, network, ms
MEASURED = (
    ("NUCLEO-L4R5ZI", "Cortex-M4", 120, "X-CUBE-AI v9.0", AD, 5.2608),
    ("NUCLEO-L4R5ZI", "Cortex-M4", 120, "X-CUBE-AI v9.0", IC, 165.1255),
    ("NUCLEO-L4R5ZI", "Cortex-M4", 120, "X-CUBE-AI v9.0", KWS, 43.1872),
    ("NUCLEO-L4R5ZI", "Cortex-M4", 120, "X-CUBE-AI v8.1.0", AD, 6.8573),
    ("NUCLEO-L4R5ZI", "Cortex-M4", 120, "X-CUBE-AI v8.1.0", IC, 213.9953),
    ("NUCLEO-L4R5ZI", "Cortex-M4", 120, "X-CUBE-AI v8.1.0", KWS, 62.8733),
    ("NUCLEO-L4R5ZI", "Cortex-M4", 120, "Plumerai Inference Engine 2023.05", AD, 4.0516),
    ("NUCLEO-L4R5ZI", "Cortex-M4", 120, "Plumerai Inference Engine 2023.05", IC, 167.7571),
    ("NUCLEO-L4R5ZI", "Cortex-M4", 120, "Plumerai Inference Engine 2023.05", KWS, 47.7806),
    ("CY8CPROTO-062-4343W", "Cortex-M4", 150, "Plumerai Inference Engine 2023.05", AD, 4.4552),
    ("CY8CPROTO-062-4343W", "Cortex-M4", 150, "Plumerai Inference Engine 2023.05", IC, 188.9645),
    ("CY8CPROTO-062-4343W", "Cortex-M4", 150, "Plumerai Inference Engine 2023.05", KWS, 54.0628),
    ("CY8CPROTO-062-4343W", "Cortex-M4", 150, "Plumerai Inference Engine 2023.05", VWW, 108.2954),
)
BARE = Errors(median_ratio=0.1, factor=1.5, coverage=0.9, count=10)
ERRORS: dict[Any, Errors] = dict.fromkeys(("known", "borrowed", "strange", "float", "strange float"), BARE)
needs_rows = pytest.mark.skipif(not ROWS.is_file(), reason="measured_latency.csv is not beside the checkout")


def measured(board: str, core: str, mhz: float, runtime: str, network: str, ms: float) -> Row:
    fields = dict.fromkeys(("accelerator", "macs", "statistic", "suite", "submitter", "division", "source", "note"), "")
    fields |= {"device": board, "device_class": "mcu", "processor": core, "clock_mhz": str(mhz), "runtime": runtime}
    fields |= {"model": network, "precision": "int8", "batch": "1", "metric": "latency", "value": str(ms), "unit": "ms"}
    return row(fields)


def some() -> list[Row]:
    return [measured(*one) for one in MEASURED]


@cache
def published() -> tuple[Row, ...]:
    return read(ROWS)


@pytest.mark.parametrize(
    ("wrote", "accelerator", "source", "expected"),
    [
        ("X-CUBE-AI v7.3.0", "", "", ("x-cube-ai", "7.3")),
        ("X-CUBE-AI 7.3.0 (balanced)", "", "", ("x-cube-ai", "7.3-balanced")),
        ("X-CUBE-AI v10.2", "", "", ("x-cube-ai", "10.2")),
        ("Plumerai Inference Engine 2023.05", "", "", ("plumerai", "2023.05")),
        ("Plumerai Inference Engine", "", "", ("plumerai", "")),
        ("Bosch Hardware-Aware Lowering Engine (HALE) version 1.0.175", "", "", ("hale", "1.0.175")),
        ("Bosch (HALE) version 1.0.175", "", "L4R5ZI_int8_max_performance/ad", ("hale", "1.0.175-max-performance")),
        ("TensorFlow Lite for Microcontrollers v2.3.1", "", "x/closed/reference/y", ("cmsis-nn", "2.3.1")),
        ("TF-Lite Micro @713b6ed", "", "", ("tflm", "713b6ed")),
        ("CMSIS-NN @011bf32", "", "", ("cmsis-nn", "011bf32")),
        ("TFLM + ESP-NN", "", "", ("esp-nn", "")),
        ("TFLM without ESP-NN", "", "", ("tflm", "")),
        ("microTVM", "", "NUCLEO-L4R5ZI_MICROTVM-CMSIS-NN/ad", ("microtvm-cmsis-nn", "")),
        ("microTVM", "", "NUCLEO-L4R5ZI_MICROTVM-NATIVE/ad", ("microtvm", "")),
        ("firefly-armnn-v22.11-neon", "", "", ("armnn-neon", "22.11")),
        ("firefly-tflite-v2.11.0-ruy", "", "", ("tflite-ruy", "2.11")),
        ("A100-SXM-80GBx1_TRT", "", "", ("tensorrt", "")),
        ("AI Hub qnn_dlc", "NPU", "", ("ai-hub-qnn", "")),
        ("TFLite / Edge TPU runtime", "Edge TPU", "", ("edgetpu", "")),
        ("N/A", "NE16", "", ("unstated", "")),
    ],
)
def test_runtimes_have_one_name_however_they_are_written(
    wrote: str, accelerator: str, source: str, expected: tuple[str, str]
) -> None:
    assert runtime_of(wrote, accelerator, source) == expected


def test_a_line_that_cannot_be_read_names_its_place(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("device,runtime\nboard,TFLM\n")
    with pytest.raises(ValueError, match=r"rows\.csv:2: KeyError"):
        read(file)


@needs_rows
def test_every_microcontroller_row_is_used_or_says_why_not() -> None:
    rows = [one for one in published() if one.kind == "mcu"]
    used = mcu.used(rows)
    assert len(used) >= 200
    assert all(one.runtime in RULES and one.seconds > 0 for one in used)
    assert all(mcu.skipped(one) for one in rows if one not in used)
    # nothing is lost by a name that is not read
    reasons = {mcu.skipped(one).split(",")[0] for one in rows if one not in used}
    assert reasons == {"runs on an accelerator", "no profile of this core"}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.4, 8.0), min_size=2 * WIDTH, max_size=2 * WIDTH), st.floats(0.25, 4.0))
def test_the_fit_finds_the_rates_that_cycles_were_made_with(drawn: list[float], speed: float) -> None:
    """Two runtimes on one core, each with costs of its own, on networks that are mostly of one class."""
    taken, truth = [], {}
    for i, runtime in enumerate(("one", "other")):
        found = [cost * speed for cost in drawn[i * WIDTH : (i + 1) * WIDTH]]
        case = Case("core", False, 2.0, runtime, "1.0", "int8")
        truth[case] = found
        for c in range(WIDTH):
            counts = tuple(1e6 if k == c else 1e4 for k in range(WIDTH))
            exact = sum(n * cost for n, cost in zip(counts, found, strict=True))
            taken += [Sample(case, "board", counts, exact)] * 3
    model = fit(taken)
    for case, found in truth.items():
        scale = [a / b for a, b in zip(costs(model, case), found, strict=True)]
        # what a board costs beside cannot be told from what its core costs: one factor is free
        assert max(scale) / min(scale) < 1.15
        assert 0.8 < scale[0] < 1.25


def test_what_is_twice_as_slow_is_predicted_twice_as_slow() -> None:
    once = mcu.samples(some())
    twice = [msgspec.structs.replace(sample, cycles=2 * sample.cycles) for sample in mcu.samples(some())]
    case, counts = once[0].case, once[0].work
    assert cycles(fit(twice), case, counts) / cycles(fit(once), case, counts) == pytest.approx(2.0, rel=0.1)


def test_a_version_that_was_never_seen_costs_what_the_newest_before_it_does() -> None:
    model = fit(mcu.samples(some()))
    m4 = next(core for core in mcu.CORES if core.profile == "arm-cortex-m4")
    at = {version: costs(model, mcu.case(m4, "x-cube-ai", version, "int8"))[0] for version in ("8.1", "8.2", "9.0")}
    assert at["9.0"] < at["8.2"]
    assert at["8.2"] == pytest.approx(at["8.1"], rel=0.05)
    assert newest({"9.0", "10.2", "10.10", "7.3-balanced", ""}) == "10.10"


def test_a_board_that_is_left_out_is_never_seen() -> None:
    plain = {one.row.line + i: one for i, one in enumerate(mcu.scored(some()))}
    slow = [
        msgspec.structs.replace(one, seconds=one.seconds * 7) if one.board.startswith("cy8c") else one for one in some()
    ]
    changed = {one.row.line + i: one for i, one in enumerate(mcu.scored(slow))}
    assert len(plain) == len(changed) == len(MEASURED)
    for key, one in plain.items():
        assert (one.predicted == changed[key].predicted) == one.row.board.startswith("cy8c")
    assert not [sample for sample in mcu.samples(some(), "ek-ra8d1") if sample.board == "ek-ra8d1"]


def test_a_runtime_is_known_only_from_another_board_of_the_core() -> None:
    rows = some()
    assert {(one.row.runtime, one.known) for one in mcu.scored(rows)} == {("x-cube-ai", False), ("plumerai", True)}


def test_writing_twice_changes_nothing_and_keeps_what_is_above() -> None:
    made = entries(some(), ERRORS)
    profile = f"schema: x\nname: y\n{HEAD}  - old: 1\n"
    once = replaced(profile, made["arm-cortex-m4"])
    assert replaced(once, made["arm-cortex-m4"]) == once == replaced(once, entries(some(), ERRORS)["arm-cortex-m4"])
    assert once.startswith("schema: x\nname: y\n") and "old" not in once
    with pytest.raises(ValueError, match="performance:"):
        replaced("name: y\n", made["arm-cortex-m4"])


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_base_is_valid_and_gives_every_runtime_a_latency(name: str, tmp_path: Path) -> None:
    assert all_problems(FOLDER / f"{name}.yaml", lambda base, _: str(FOLDER / f"{base}.yaml")) == []
    device = board(name, tmp_path)
    for runtime in device.runtimes:
        found = latency(kws_kernels(runtime.rules), setting(device, runtime, 10**5, 10**5)).total
        assert found.value is not None and found.high is not None
        # nothing is faster than the peaks
        peak = dense_flop_per_s(device.engines[0], "int8")
        assert peak is not None and found.value > 2 * 2_656_768 / peak


def test_an_entry_estimates_what_the_fit_predicts(tmp_path: Path) -> None:
    made = entries(some(), ERRORS)["arm-cortex-m4"]
    (tmp_path / "arm-cortex-m4.yaml").write_text(
        replaced((FOLDER / "arm-cortex-m4.yaml").read_text(encoding="utf-8"), made), encoding="utf-8"
    )
    device = board("arm-cortex-m4", tmp_path, tmp_path)
    runtime = next(one for one in device.runtimes if one.name == "plumerai")
    found = latency(kws_kernels("ideal"), setting(device, runtime, 10**5, 10**5)).total
    m4 = next(core for core in mcu.CORES if core.profile == "arm-cortex-m4")
    expected = cycles(fit(mcu.samples(some())), mcu.case(m4, "plumerai", "2023.05", "int8"), work(KWS, "ideal"))
    assert found.value == pytest.approx(expected / 100e6, rel=1e-3)


@needs_rows
def test_the_profiles_hold_what_the_fit_gives() -> None:
    for name, made in entries(published(), ERRORS).items():
        shipped = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
        expected, found = _rates(text(made)), _rates(shipped[shipped.index(HEAD) :])
        assert [key for key, _ in found] == [key for key, _ in expected]
        assert [rate for _, rate in found] == pytest.approx([rate for _, rate in expected], rel=2e-3)


def _rates(profile: str) -> list[tuple[str, float]]:
    """Of every entry the rates, each with the runtime, version and element type it is of."""
    found: list[tuple[str, float]] = []
    entry: list[str] = []
    for line in profile.splitlines():
        key, _, rest = line.strip().partition(": ")
        if key in ("dtype", "runtime", "version"):
            entry = [*entry[-2:], rest]
        elif key in (*CLASSES, "other"):
            found += [(f"{entry} {key}", float(number)) for number in re.findall(r"[\d.]+", rest)]
    return found


@cache
def kws_kernels(rules: str) -> Any:
    return kernels(find(rules).lower(examine("sample:kws-int8").graph))


def board(base: str, folder: Path, bases: Path = FOLDER) -> Device:
    """A board of 100 MHz with plenty of memory."""
    path = folder / "board.yaml"
    path.write_text(
        f"schema: effaudit.device/1\nname: a-board\ntitle: a board\nclass: mcu\nextends: {base}\n"
        "source: own\nstatus: vendor\nsources: {own: {title: a test}}\n"
        "engines:\n  - name: cpu\n    kind: simd\n    clock_hz: 100000000\n"
        "memories:\n"
        "  - {name: flash, kind: flash, size_bytes: 4194304, holds: [weights, code]}\n"
        "  - {name: sram, kind: ram, size_bytes: 1048576, holds: [activations, stack]}\n"
    )
    return read_device(path, lambda name, _: str((bases if name == base else FOLDER) / f"{name}.yaml"))
