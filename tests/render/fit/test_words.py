"""Verdicts and figures in words."""

from __future__ import annotations

import pytest

from effaudit.checks.types import Result
from effaudit.fit.types import SecondsReport
from effaudit.render.fit.words import decides, estimate, limit, measured, once, signed, span

from .goldens import made


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
    ("bottleneck", "said"),
    [("flash flash at 31 %", "flash at 31 %"), ("ram sram", "ram sram"), ("ram ram: not known", "ram: not known")],
)
def test_a_memory_named_as_its_check_is_named_once(bottleneck: str, said: str) -> None:
    assert once(bottleneck) == said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fits", "ram sram at 22 % of its limit"),
        ("too-large", "ram sram needs 9.365 .. 9.520 MiB, has 516.0 KiB"),
        ("limited", "energy 26.8 .. 52.6 mJ <= 5.00 mJ: fails"),
        ("silent", "its size is not known: code of the runtime and state of the runtime not bounded"),
    ],
)
def test_what_decides_comes_with_its_numbers(name: str, said: str) -> None:
    assert decides(made(name).verdicts[0]).endswith(said)
