"""Verdicts, each on a board whose numbers are round."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from effaudit.audited import examine
from effaudit.checks.subject import Limits
from effaudit.errors import UsageError
from effaudit.fit.asked import FitAsked
from effaudit.fit.model import OpenDims, document, fit, parts
from effaudit.fit.pipeline import pipelines
from effaudit.fit.types import FitReport, MemoryRow
from effaudit.load import Given
from tests.examples.graphs import INT8, Net
from tests.profiles import board, device
from tests.profiles import document as profile

from .models import KIB, MIB, diamond, million, open_batch, saved, unknown_operator


def judged(folder: Path, graph: Any, on: Mapping[str, Any], asked: FitAsked = FitAsked(), **dims: int) -> FitReport:
    (report,) = fit(saved(folder, graph), [device(folder, on)], [asked], Given(dims))
    return report


def row(report: FitReport, memory: str) -> MemoryRow:
    (found,) = (r for r in report.memory.rows if r.memory == memory)
    return found


def status(report: FitReport, check: str) -> str:
    (found,) = (r.status for r in report.findings if r.check == check)
    return found


# ---- flash and SRAM
@pytest.mark.parametrize(("firmware", "wanted"), [(48_576, "pass"), (48_577, "fail")])
def test_a_million_weights_and_firmware_on_a_mebibyte(tmp_path: Path, firmware: int, wanted: str) -> None:
    asked = FitAsked(reserve={"flash": firmware})
    report = judged(tmp_path, million(64 * KIB), board(MIB, 256 * KIB, rules="as-written"), asked)
    assert status(report, "flash") == wanted
    assert row(report, "flash").need_bytes == 1_000_000 + firmware
    assert row(report, "flash").margin_bytes == MIB - 1_000_000 - firmware
    assert report.status == ("fits" if wanted == "pass" else "does-not-fit")


@pytest.mark.parametrize(("state", "wanted"), [(0, "pass"), (1, "fail")])
def test_all_of_the_sram_for_activations_leaves_none_for_the_runtime(tmp_path: Path, state: int, wanted: str) -> None:
    report = judged(tmp_path, million(256 * KIB), board(2 * MIB, 256 * KIB, rules="as-written", state=state))
    assert status(report, "ram") == wanted
    assert row(report, "sram").margin_bytes == -state
    assert report.memory.floor_bytes == 256 * KIB


def test_what_cannot_fit_is_proven(tmp_path: Path) -> None:
    report = judged(tmp_path, million(256 * KIB), board(2 * MIB, 128 * KIB, rules="as-written"))
    assert (report.status, report.exit_code) == ("does-not-fit", 1)
    assert report.proof is not None and "sram" in report.proof and "one order only" in report.proof


def test_code_that_the_profile_does_not_know_is_no_pass(tmp_path: Path) -> None:
    on = board(2 * MIB, MIB, rules="as-written")
    del on["runtimes"][0]["code_bytes"]
    report = judged(tmp_path, million(64 * KIB), on)
    assert status(report, "flash") == "unknown"
    assert (report.status, report.exit_code) == ("unknown", 4)
    assert row(report, "flash").margin_bytes is None


def test_a_range_that_straddles_the_limit_is_not_known(tmp_path: Path) -> None:
    on = board(MIB, MIB, rules="as-written")
    on["runtimes"][0]["code_bytes"] = {"value": 40_000, "low": 30_000, "high": 60_000}
    report = judged(tmp_path, million(64 * KIB), on)
    assert status(report, "flash") == "unknown"
    on["runtimes"][0]["code_bytes"]["low"] = on["runtimes"][0]["code_bytes"]["value"] = 60_000
    assert status(judged(tmp_path, million(64 * KIB), on), "flash") == "fail"


def test_a_size_that_the_profile_does_not_know_is_no_pass(tmp_path: Path) -> None:
    on = board(MIB, MIB, rules="as-written")
    on["memories"][0]["size_bytes"] = {"value": None, "note": "the maker does not say"}
    report = judged(tmp_path, million(64 * KIB), on)
    assert (status(report, "ram"), report.exit_code) == ("unknown", 4)


# ---- regions
def test_the_arena_has_to_lie_in_one_piece(tmp_path: Path) -> None:
    on = board(2 * MIB, 192 * KIB, rules="as-written")
    regions = [{"name": "a", "size_bytes": 128 * KIB, "base": 0x2000_0000}, {"name": "b", "size_bytes": 64 * KIB}]
    on["memories"][0]["regions"] = regions
    apart = judged(tmp_path, million(160 * KIB), on)
    assert status(apart, "ram") == "fail"
    assert row(apart, "sram").contiguous_bytes == 128 * KIB
    regions[1]["base"] = 0x2002_0000
    assert status(judged(tmp_path, million(160 * KIB), on), "ram") == "pass"


def test_what_the_user_keeps_may_lie_in_another_region(tmp_path: Path) -> None:
    """A linker decides: what fits wherever it lies passes, what fits nowhere fails, the rest is not known."""
    on = board(2 * MIB, 192 * KIB, rules="as-written")
    regions = [{"name": "main", "size_bytes": 128 * KIB}, {"name": "other", "size_bytes": 64 * KIB}]
    on["memories"][0]["regions"] = regions
    wanted = {(96, 32): "pass", (96, 33): "unknown", (128, 1): "unknown", (129, 0): "fail", (128, 65): "fail"}
    for (arena, kept), verdict in wanted.items():
        asked = FitAsked(reserve={"sram": kept * KIB} if kept else {})
        assert status(judged(tmp_path, million(arena * KIB), on, asked), "ram") == verdict, (arena, kept)
    margin = row(judged(tmp_path, million(96 * KIB), on, FitAsked(reserve={"sram": 12 * KIB})), "sram").margin_bytes
    assert margin == (128 - 96 - 12) * KIB, "at the most that the largest region may have to hold"


def test_a_region_says_where_it_lies(tmp_path: Path) -> None:
    on = board(2 * MIB, 192 * KIB, rules="as-written")
    regions = [{"name": "main", "size_bytes": 128 * KIB}, {"name": "other", "size_bytes": 64 * KIB}]
    on["memories"][0]["regions"] = regions
    beside = judged(tmp_path, million(128 * KIB), on, FitAsked(reserve={"other": 64 * KIB}))
    assert status(beside, "ram") == "pass"
    assert status(judged(tmp_path, million(128 * KIB), on, FitAsked(reserve={"main": 1})), "ram") == "fail"


def test_a_share_of_a_memory_can_be_kept(tmp_path: Path) -> None:
    asked = FitAsked(reserve={"ram": Fraction(1, 10)})
    report = judged(tmp_path, million(64 * KIB), board(2 * MIB, 100_000, rules="as-written"), asked)
    assert row(report, "sram").need_bytes == 64 * KIB + 10_000


def test_a_memory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--reserve dtcm: test-device has no such memory; it has sram, flash"):
        judged(tmp_path, million(64 * KIB), board(MIB, MIB), FitAsked(reserve={"dtcm": 1}))


# ---- dims
def test_a_batch_that_the_deployment_gives(tmp_path: Path) -> None:
    report = judged(tmp_path, open_batch(), board(2 * MIB, MIB, batch=1))
    assert report.status == "fits"
    assert report.dims["batch"].origin == "profile" and report.dims["batch"].value == 1
    assert report.given["dims"] == {}


def test_too_large_whatever_the_batch(tmp_path: Path) -> None:
    report = judged(tmp_path, open_batch(features=2000), board(MIB, MIB))
    assert (report.status, report.exit_code) == ("does-not-fit", 1)
    assert status(report, "flash") == "fail" and status(report, "ram") == "unknown"
    assert report.latency_s.value is None


def test_a_dim_that_decides_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(OpenDims, match="the verdict hangs on length") as told:
        judged(tmp_path, open_batch("length"), board(2 * MIB, MIB))
    assert told.value.dims.keys() == {"length"}
    assert judged(tmp_path, open_batch("length"), board(2 * MIB, MIB), length=4).status == "fits"


# ---- operators that nothing is known of
def test_an_unknown_operator_that_matters_leaves_it_open(tmp_path: Path) -> None:
    report = judged(tmp_path, unknown_operator(), board(MIB, MIB))
    assert (report.status, report.exit_code) == ("unknown", 4)
    limited = judged(tmp_path, unknown_operator(), board(MIB, 16))
    assert (limited.status, limited.exit_code) == ("does-not-fit", 1), "what is known is already too much"


# ---- changes that would make it fit
def test_another_order_makes_it_fit(tmp_path: Path) -> None:
    graph = diamond()
    high = judged(tmp_path, graph, board(MIB, MIB, rules="as-written")).memory.arena_bytes
    assert high is not None
    report = judged(tmp_path, graph, board(MIB, high // 2, rules="as-written"))
    assert (report.status, report.exit_code) == ("fits-with", 1)
    knob = next(k for k in report.knobs if "order" in k.what)
    assert knob.fits and knob.lossless and knob.need_bytes <= high // 2
    assert judged(tmp_path, graph, board(MIB, high // 2, rules="as-written"), FitAsked(reorder=True)).status == "fits"


# ---- limits of time
def slow(**energy: float) -> dict[str, Any]:
    """A MAC a microsecond; nine of ten measurements within a factor of 2."""
    error = {
        "median_ratio": 0.1,
        "interval_factor": 2.0,
        "coverage_ratio": 0.9,
        "rows_count": 10,
        "dataset": "numbers made for a test",
        "date": "2026-01-01",
    }
    entry = {"engine": "cpu", "dtype": "int8", "rates": {"other": {"mac_per_s": 1e6}}, "prediction_error": error}
    return {**board(4 * MIB, MIB, rules="as-written"), "performance": [entry], "energy": energy}


@pytest.mark.parametrize(
    ("limit", "wanted", "code"), [(0.49, "fail", 1), (0.51, "unknown", 4), (1.99, "unknown", 4), (2.01, "pass", 0)]
)
def test_a_latency_is_judged_by_its_interval(tmp_path: Path, limit: float, wanted: str, code: int) -> None:
    report = judged(tmp_path, million(64 * KIB), slow(), FitAsked(limits=Limits(latency_s=limit)))
    assert report.latency_s.value == pytest.approx(1.0, rel=0.05)
    assert report.latency_s.high == pytest.approx(2 * (report.latency_s.value or 0))
    assert (status(report, "latency"), report.exit_code) == (wanted, code)


@pytest.mark.parametrize(("limit", "wanted"), [(0.4, "pass"), (1.0, "unknown"), (2.1, "fail")])
def test_a_throughput_is_judged_by_its_interval(tmp_path: Path, limit: float, wanted: str) -> None:
    report = judged(tmp_path, million(64 * KIB), slow(), FitAsked(limits=Limits(throughput_per_s=limit)))
    assert status(report, "throughput") == wanted


def test_an_energy_that_nobody_knows_is_no_pass(tmp_path: Path) -> None:
    asked = FitAsked(limits=Limits(energy_j=1.0))
    assert judged(tmp_path, million(64 * KIB), slow(), asked).exit_code == 4
    report = judged(tmp_path, million(64 * KIB), slow(active_w=0.1), asked)
    assert report.energy_j is not None and report.energy_j.value == pytest.approx(0.1, rel=0.05)
    assert status(report, "energy") == "pass"


def test_no_limit_is_skipped(tmp_path: Path) -> None:
    report = judged(tmp_path, million(64 * KIB), slow())
    assert {status(report, check) for check in ("latency", "throughput", "energy")} == {"skipped"}
    assert report.exit_code == 0


# ---- several
def test_the_gravest_of_several_codes(tmp_path: Path) -> None:
    path = saved(tmp_path, million(64 * KIB))
    small, large = board(MIB // 2, MIB, name="small"), board(4 * MIB, MIB, name="large")
    reports = fit(path, [device(tmp_path, small), device(tmp_path, large)], [FitAsked()])
    assert [r.status for r in reports] == ["does-not-fit", "fits"]
    assert document(reports).exit_code == 1
    assert document(reports[1:]).exit_code == 0, "only what is asked for counts"


def test_no_numbers_of_one_memory_are_counted_in_another(tmp_path: Path) -> None:
    """One memory for everything: weights, code and arena add up."""
    report = judged(
        tmp_path, million(64 * KIB), {**profile(), "memories": [{**profile()["memories"][0], "size_bytes": 4 * MIB}]}
    )
    (only,) = report.memory.rows
    assert (
        only.need_bytes == sum(item.bytes or 0 for item in only.items) == 1_000_000 + (report.memory.arena_bytes or 0)
    )
    assert [r.check for r in report.findings if r.unit == "bytes"] == ["ram"]


def test_another_runtime_of_the_board_makes_it_fit(tmp_path: Path) -> None:
    """In place where the first keeps every tensor apart."""
    net = Net(INT8)
    a = net.node("Relu", [net.input(1, 4096)], (1, 4096))
    b = net.node("Abs", [net.node("Neg", [a], (1, 4096))], (1, 4096))
    graph = net.model(net.node("Max", [a, b], (1, 4096)))
    on = board(MIB, 9000, rules="as-written")
    on["runtimes"].append({**on["runtimes"][0], "name": "in-place", "rules": "ideal"})
    report = judged(tmp_path, graph, on)
    assert (report.status, report.exit_code) == ("fits-with", 1)
    knob = next(k for k in report.knobs if k.option == "--runtime in-place")
    assert knob.fits and knob.need_bytes == 2 * 4096 < report.memory.floor_bytes == 3 * 4096
    assert judged(tmp_path, graph, on, FitAsked(runtime="in-place")).status == "fits"


def test_no_change_helps_while_something_else_is_unknown(tmp_path: Path) -> None:
    graph = diamond()
    high = judged(tmp_path, graph, board(MIB, MIB, rules="as-written")).memory.arena_bytes
    assert high is not None
    on = board(MIB, high // 2, rules="as-written")
    del on["runtimes"][0]["code_bytes"]
    report = judged(tmp_path, graph, on)
    assert report.status == "does-not-fit", "flash is not known: no change is shown to make it fit"
    knob = next(k for k in report.knobs if "order" in k.what)
    assert knob.held == "pass" and not knob.fits


def test_a_memory_of_several_sizes(tmp_path: Path) -> None:
    """Boards are sold with more or less of it: passed against the least, failed against the most."""
    on = board(4 * MIB, MIB, rules="as-written")
    size = on["memories"][0]["size_bytes"] = {"value": 200 * KIB, "low": 100 * KIB, "high": 300 * KIB}
    wanted = {90: "pass", 150: "unknown", 250: "unknown", 310: "fail"}
    for need, verdict in wanted.items():
        assert status(judged(tmp_path, million(need * KIB), on), "ram") == verdict, (need, size)


def test_scales_and_zero_points_lie_in_flash(tmp_path: Path) -> None:
    """A runtime keeps them, though lowering folds them into the types of tensors."""
    on = device(tmp_path, board(4 * MIB, MIB, batch=1))
    (report,) = fit("sample:ic-int8", [on], [FitAsked()])
    items = {item.what: item.bytes for item in row(report, "flash").items}
    audited = examine("sample:ic-int8")
    assert items["scales and zero points"] == audited.weights.bytes_of("quantization") > 0


# ---- memories that fill one after the other
def two(first: int, second: int, **more: Any) -> dict[str, Any]:
    """Weights in one memory, then in another; both hold activations."""
    memories = [
        {"name": "near", "kind": "ram", "size_bytes": first, "holds": ["weights", "activations", "code"]},
        {"name": "far", "kind": "dram", "size_bytes": second, "holds": ["weights", "activations"]},
    ]
    return profile(memories=memories, **more)


def test_weights_fill_what_is_left_beside_the_rest(tmp_path: Path) -> None:
    runtime = {"name": "bare", "rules": "as-written", "engine": "cpu", "code_bytes": 100_000, "state_bytes": 0}
    report = judged(tmp_path, million(64 * KIB), two(MIB, MIB, runtimes=[runtime]))
    assert report.status == "fits"
    near, far = row(report, "near"), row(report, "far")
    assert near.need_bytes == MIB, "filled to the brim: arena, code, and as much of the weights"
    assert far.need_bytes == 1_000_000 - (MIB - 64 * KIB - 100_000)


def test_an_arena_that_the_first_memory_cannot_hold_lies_in_the_next(tmp_path: Path) -> None:
    runtime = {"name": "bare", "rules": "as-written", "engine": "cpu", "code_bytes": 0, "state_bytes": 0}
    report = judged(tmp_path, million(64 * KIB), two(32 * KIB, 4 * MIB, runtimes=[runtime]))
    assert report.status == "fits"
    assert any(item.what == "arena" for item in row(report, "far").items)


def test_a_pipeline_fills_the_memories_anew(tmp_path: Path) -> None:
    """Each model alone lies in the first memory; together they spill into the second."""
    runtime = {"name": "bare", "rules": "as-written", "engine": "cpu", "code_bytes": 0, "state_bytes": 0}
    on = device(tmp_path, two(1_500_000, 4 * MIB, runtimes=[runtime]))
    names = [saved(tmp_path, million(64 * KIB), f"{name}.onnx") for name in "ab"]
    (whole,) = pipelines([part for name in names for part in parts(name, [on], [FitAsked()], times=2)])
    assert whole.status == "fits"
    needs = {r.memory: r.need_bytes for r in whole.rows}
    assert needs == {"near": 1_500_000, "far": 2_000_000 + 64 * KIB - 1_500_000}


def test_a_memory_that_holds_nothing_of_the_model_is_held_all_the_same(tmp_path: Path) -> None:
    on = board(4 * MIB, MIB, rules="as-written")
    on["memories"].append({"name": "stack", "kind": "ram", "size_bytes": KIB, "holds": ["stack"]})
    report = judged(tmp_path, million(64 * KIB), on, FitAsked(reserve={"stack": KIB + 1}))
    assert report.status == "does-not-fit"
    assert [r.where for r in report.findings if r.status == "fail"] == ["stack"]


def test_a_change_is_checked_against_everything(tmp_path: Path) -> None:
    """Patches lower the arena and take longer: where the time then passes its limit they are no remedy."""
    error = slow()["performance"][0]["prediction_error"]
    rates = [{"engine": "cpu", "dtype": "int8", "rates": {"other": {"mac_per_s": 1e9}}, "prediction_error": error}]
    on = device(tmp_path, board(8 * MIB, MIB, batch=1, performance=rates))
    (free,) = fit("sample:mobilenetv2", [on], [FitAsked(quantize="int8")])
    assert free.status == "fits-with" and free.latency_s.high is not None
    limits = Limits(latency_s=1.001 * free.latency_s.high)
    (held,) = fit("sample:mobilenetv2", [on], [FitAsked(quantize="int8", limits=limits)])
    assert not any(knob.fits for knob in held.knobs if knob.option.startswith("--patch"))


def test_an_energy_of_assumed_sizes_decides_nothing(tmp_path: Path) -> None:
    on = board(2 * MIB, MIB, energy={"system_pj_per_mac": {"int8": 1e6}})
    with pytest.raises(OpenDims):
        judged(tmp_path, open_batch("length"), on, FitAsked(limits=Limits(energy_j=1e-9)))


def test_images_in_a_file_with_a_batch_of_eight(tmp_path: Path) -> None:
    net = Net(INT8)
    graph = net.model(net.conv(net.input(8, 4, 8, 8), 4, 3))
    assert judged(tmp_path, graph, slow()).per_run == 8
