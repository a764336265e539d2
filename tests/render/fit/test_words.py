"""Verdicts and figures in words."""

from __future__ import annotations

import msgspec
import pytest

from effaudit.checks.types import Result
from effaudit.fit.judge import bottleneck
from effaudit.fit.types import Bottleneck, Knob, MemoryRow, PlacementReport, SecondsReport
from effaudit.render.fit.around import around, duration
from effaudit.render.fit.around import cost as of_cost
from effaudit.render.fit.knobs import verdict
from effaudit.render.fit.missing import settle
from effaudit.render.fit.screen import operators
from effaudit.render.fit.words import brief, decides, estimate, have, limit, measured, once, signed, span

from .goldens import made, printed


def result(check: str, unit: str, low: float | None, high: float | None, held: float | None = None) -> Result:
    return Result(check, "pass", None, (low, high), held, unit, "x", "")


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ((1024, 1024), "1.000 KiB"),
        ((1024, 2048), "1.000 .. 2.000 KiB"),
        ((512, 2048), "512 B .. 2.000 KiB"),
        ((1024, None), "1.000 KiB or more"),
        ((0, None), "not known"),
        ((0, 0), "0 B"),
    ],
)
def test_span(bounds: tuple[int, int | None], said: str) -> None:
    assert span(bounds) == said


@pytest.mark.parametrize(
    ("bounds", "beside", "said"),
    [
        ((2**20 + 1, 2**20 + 1), 2**20, "1,048,577 B"),
        ((2**20 + 1, None), 2**20, "1,048,577 B or more"),
        ((2**20, 2**20), 2**20, "1.000 MiB"),  # the same is no trap
        ((2**20, 2**20 + 1), None, "1,048,576 .. 1,048,577 B"),
        ((2**19, 2**20 + 1), 2**20, "524,288 .. 1,048,577 B"),
    ],
)
def test_to_the_byte_where_two_sizes_read_alike(bounds: tuple[int, int | None], beside: int | None, said: str) -> None:
    assert span(bounds, beside) == said


def memory(need: tuple[int, int | None], have: int | None, contiguous: int | None, margin: int | None) -> MemoryRow:
    return MemoryRow("sram", "ram", None, need, have, contiguous, margin, ())


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (memory((0, 1024), 992 * 1024, 512 * 1024, 511 * 1024), "512.0 of 992.0 KiB"),
        (memory((0, 1024), 2**21, 512 * 1024, 511 * 1024), "512.0 KiB of 2.000 MiB"),
        (memory((0, 1024), 992 * 1024, 512 * 1024, 991 * 1024), "992.0 KiB"),  # the margin is of all
        (memory((0, 1024), 992 * 1024, None, 991 * 1024), "992.0 KiB"),
        (memory((0, None), None, None, None), "not known"),
        (memory((2**20 + 1, 2**20 + 1), 2**20, None, -1), "1,048,576 B"),
    ],
)
def test_what_a_memory_has(row: MemoryRow, said: str) -> None:
    assert have(row) == said


@pytest.mark.parametrize(
    ("cost", "said"),
    [
        (0.25, "costs 0.25 per inference"),
        (1.26e-8, "costs 0.0126 per million inferences"),
        (0.0, "costs 0 per inference"),
    ],
)
def test_a_tiny_cost_is_told_of_a_million(cost: float, said: str) -> None:
    assert of_cost(cost, "inferences") == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.5, "500 ms"), (100, "100 s"), (600, "10.0 min"), (3 * 3600, "3.00 h"), (10 * 86400, "10.0 days")],
)
def test_duration(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_carbon_stands_beside_its_grid() -> None:
    report = made("limited").verdicts[0]
    joules = report.energy.best.value if report.energy.best is not None else None
    assert joules is not None
    grams = joules / 3.6e6 * 475
    assert around(report)[0] == f"{grams * 1e6:.2f} g CO2 per million inferences at 475 g/kWh"
    battery = next(words for words in around(report) if "per battery" in words)
    runs, seconds = report.energy.inferences_per_battery, report.latency_s.value
    assert runs is not None and seconds is not None
    assert report.energy.battery_s == pytest.approx(runs * seconds)
    assert battery.endswith(f"{duration(runs * seconds)} of running without a break")


def test_an_energy_that_is_not_known_says_why() -> None:
    text = " ".join(printed("silent", "text").split())
    assert (
        "energy not known: the profile states no measured energy per MAC of float32; the profile states no power"
        in text
    )


def test_what_is_not_known_says_how_to_settle_it() -> None:
    report = made("silent").verdicts[0]
    said, command = settle(report)
    assert said.startswith("state size_bytes (dram), state_bytes, code_bytes")
    assert command == "effaudit devices new my-board --from acme-silent"
    of_a_file = msgspec.structs.replace(report, options=("--device", "./own.yaml"))
    assert settle(of_a_file)[0].endswith("in ./own.yaml")
    assert printed("silent", "text").count("settle") == 1


def test_bytes_that_cross_are_in_a_unit_for_people() -> None:
    report = made("fits").verdicts[0]
    placement = PlacementReport("npu", "cpu", 9, 8, (8,), 2, 1_234_567, (("n", "why"),))
    message = "1 of 9 nodes run on cpu, in 1 partitions with 2 transfers of 1,234,567 bytes: why"
    found = Result("operators", "warn", 1, (1, 1), 0, "nodes", "npu", message)
    crossing = msgspec.structs.replace(report, placement=placement)
    assert operators(crossing, found) == "1 of 9 nodes run on cpu, in 1 partitions with 2 transfers of 1.177 MiB: why"
    assert operators(report, found) == message


def test_no_constant_where_the_arena_does_not_fit() -> None:
    assert "kTensorArenaSize" in printed("fits", "text")
    assert "kTensorArenaSize" not in printed("too-large", "text")


@pytest.mark.parametrize(
    ("fits", "held", "said"),
    [
        (True, "pass", "FITS"),
        (False, "pass", "fits sram"),
        (False, "fail", "too large"),
        (False, "unknown", "not known"),
    ],
)
def test_a_knob_says_what_it_mends(fits: bool, held: str, said: str) -> None:
    knob = Knob("best order", "sram", 1, (1, 2), held, fits, True, "", "--reorder")
    assert verdict(knob) == said


@pytest.mark.parametrize(
    ("check", "where", "rest", "said"),
    [
        ("flash", "itcm", " at 83 %", "itcm at 83 %"),
        ("context", "dram", " at 30 %", "dram at 30 %"),
        ("ram", "sram", "", "sram"),
        ("ram", "ram", ": not known", "ram: not known"),
        ("ram", "a at b", " at 9 %", "a at b at 9 %"),
        ("latency", "cpu", " at 9 %", "latency cpu at 9 %"),
    ],
)
def test_what_decides_in_a_column(check: str, where: str, rest: str, said: str) -> None:
    assert brief(Bottleneck(check, where, "pass", None, f"{check} {where}{rest}")) == said


def test_where_nothing_decides() -> None:
    nothing = bottleneck([])
    assert brief(nothing) == once(nothing) == "nothing is held against a limit"


def test_signed() -> None:
    assert [signed(n) for n in (1024, 0, -1024, None)] == ["+1.000 KiB", "+0 B", "-1.000 KiB", "not known"]


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        (SecondsReport(0.0123, 0.01, 0.015, ""), "12.3 ms (10.0 ms .. 15.0 ms)"),
        (SecondsReport(0.0123, 0.01, None, ""), "12.3 ms (10.0 ms .. unbounded)"),
        (SecondsReport(0.0123, 0.0123, 0.0123, ""), "12.3 ms"),
        (SecondsReport(None, 0.01, None, ""), "at least 10.0 ms"),
        (SecondsReport(None, 0.0, None, ""), "not known"),
    ],
)
def test_measured(figure: SecondsReport, said: str) -> None:
    assert measured(figure, "s") == said


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (result("latency", "s", 0.01, 0.02), "10.0 .. 20.0 ms"),
        (result("latency", "s", 0.01, 2.0), "10.0 ms .. 2.00 s"),
        (result("latency", "s", 0.01, None), "at least 10.0 ms"),
        (result("latency", "s", 0.0, None), "not known"),
        (result("energy", "J", None, None), "not known"),
        (result("throughput", "1/s", 0.25, 6.0), "0.25 .. 6.00 /s"),  # no 250 m/s
        (result("bandwidth", "bytes/s", 2e12, 2e12), "2.00 TB/s"),
    ],
)
def test_estimate(found: Result, said: str) -> None:
    assert estimate(found) == said


def test_limit() -> None:
    assert limit(result("throughput", "1/s", None, None, 1500)) == "1,500 /s"
    assert limit(result("latency", "s", None, None, 0.1)) == "100 ms"
    assert limit(result("latency", "s", None, None)) == "none"


@pytest.mark.parametrize(
    ("check", "where", "rest", "said"),
    [
        ("flash", "flash", " at 31 %", "flash at 31 %"),
        ("ram", "sram", "", "ram sram"),
        ("ram", "ram", ": not known", "ram: not known"),
    ],
)
def test_a_memory_named_as_its_check_is_named_once(check: str, where: str, rest: str, said: str) -> None:
    assert once(Bottleneck(check, where, "pass", None, f"{check} {where}{rest}")) == said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fits", "ram sram at 22 % of its limit"),
        ("too-large", "ram sram needs 9.365 .. 9.520 MiB, has 516.0 KiB"),
        ("limited", "energy 26.8 .. 52.6 mJ <= 5.00 mJ: fails"),
        ("silent", "its size is not known: state of the runtime and code of the runtime not bounded"),
    ],
)
def test_what_decides_comes_with_its_numbers(name: str, said: str) -> None:
    assert decides(made(name).verdicts[0]).endswith(said)
