"""The roofline as a plot: ASCII, 80 columns, whatever its numbers."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from effaudit.estimate.roofline import Ridge
from effaudit.fit.types import KernelRow, RooflineReport
from effaudit.render.fit.missing import of_roofline
from effaudit.render.fit.points import plotted, roof_at
from effaudit.render.fit.roofline import CORNER, HEIGHT, roofline
from effaudit.render.fit.speed import roof, shares

from .goldens import made, reported

POSITIVE = st.floats(1e-30, 1e30)


def ridge(peak: float, bandwidth: float, memory: str = "sram") -> Ridge:
    return Ridge("core", "int8", memory, peak, bandwidth, peak / bandwidth)


def roofs(*ridges: Ridge, regime: str | None = None, intensity: float = 1.0) -> RooflineReport:
    return RooflineReport(ridges, intensity, regime, None, None, None, None, {})


def kernel(intensity: float | None, seconds: float | None, moved: int | None = 100) -> KernelRow:
    return KernelRow(
        node="n",
        op="Conv",
        op_class="conv",
        dtype="int8",
        engine="core",
        macs=1,
        bytes=moved,
        intensity=intensity,
        regime="memory",
        attainable_flop_per_s=None if intensity is None else 1e6,
        compute_s=None,
        memory_s=None,
        overhead_s=None,
        seconds=seconds,
        limiter="memory",
        memory="sram",
    )


@pytest.mark.parametrize("width", [40, 80, 200])
def test_it_is_as_wide_as_asked_and_ascii(width: int) -> None:
    lines = roofline(made("fits").verdicts[0], width)
    plot = lines[1 : HEIGHT + 3]
    assert max(map(len, plot)) <= width
    assert "".join(plot).isascii()
    assert plot[HEIGHT].endswith("-" * (width - 14))


def test_ridge_and_shares_are_named() -> None:
    report = made("fits").verdicts[0]
    text = "\n".join(roofline(report, 80))
    assert f"{CORNER} ridge 4.00 FLOP/B = 1.60 GFLOP/s / 400 MB/s (int8 on core, sram, drawn /)" in text
    assert f"{CORNER} ridge 16.0 FLOP/B = 1.60 GFLOP/s / 100 MB/s (int8 on core, flash, drawn :)" in text
    assert "/////" in text and ":::" in text  # a slope for each memory
    slowest = max(report.rows, key=lambda row: row.seconds or 0.0)
    assert report.latency_s.value is not None and slowest.seconds is not None
    assert f"A  {100 * slowest.seconds / report.latency_s.value:5.1f} %" in text
    assert text.count(CORNER) >= 2  # in the plot, and below it


@pytest.mark.parametrize(
    ("ridges", "regime", "intensity", "said"),
    [
        ((ridge(100, 10),), "compute", 20.0, "20.0 FLOP/B, above the ridge of 10.0 (int8 on core, sram)"),
        ((ridge(100, 10),), "memory", 2.0, "2.00 FLOP/B, below the ridge of 10.0 (int8 on core, sram)"),
        ((ridge(100, 10),), None, 2.0, "2.00 FLOP/B, ridge 10.0 (int8 on core, sram)"),
        (
            (ridge(100, 10), ridge(100, 1, "flash")),
            "memory",
            2.0,
            "2.00 FLOP/B, below the ridges of 10.0 (int8 on core, sram), 100 (int8 on core, flash)",
        ),
        (
            (ridge(100, 10), ridge(100, 1, "flash")),
            "memory",
            20.0,  # of all bytes: above one ridge, below the other
            "20.0 FLOP/B, ridges 10.0 (int8 on core, sram), 100 (int8 on core, flash): at the peaks bytes take longer "
            "than operations",
        ),
    ],
)
def test_where_a_model_lies(ridges: tuple[Ridge, ...], regime: str | None, intensity: float, said: str) -> None:
    found = roofs(*ridges, regime=regime, intensity=intensity)
    assert roof(msgspec.structs.replace(reported().device, roofline=found)) == said


def test_what_the_time_goes_to() -> None:
    found = RooflineReport((), 1.0, "compute", "overhead", 0.02, 0.12, 0.86, {"dram": 0.1165, "flash": 0.0035})
    assert shares(found) == "the time goes 86 % to launches, 12 % to bytes of dram, 2 % to arithmetic"
    assert shares(roofs()) == ""
    blind = RooflineReport((), 1.0, None, "compute", 1.0, 0.0, 0.0, {})
    assert shares(blind) == "the time goes 100 % to arithmetic; what bytes take is not told apart"


def test_the_number_that_is_missing_is_named() -> None:
    report = made("fits").verdicts[0]
    blind = tuple(msgspec.structs.replace(row, memory_s=None) for row in report.rows)
    none = msgspec.structs.replace(report, roofline=roofs(), rows=blind)
    assert of_roofline(none) == ["no bandwidth of flash and sram is stated"]
    assert roof(none) == "1.00 FLOP/B; no bandwidth of flash and sram is stated: no roofline"
    assert of_roofline(msgspec.structs.replace(report, roofline=roofs())) == ["no peak of int8 on core is stated"]
    half = msgspec.structs.replace(report, roofline=roofs(ridge(100, 10)))
    assert of_roofline(half) == ["no bandwidth of flash is stated"]
    assert of_roofline(report) == []


def test_why_there_is_none() -> None:
    assert roofline(made("silent").verdicts[0], 80)[1] == "  none: no bandwidth of dram is stated"


def test_kernels_without_a_place_are_counted() -> None:
    report = made("fits").verdicts[0]
    rows = (*report.rows, kernel(None, 1e-3), kernel(0.0, 1e-3))
    text = " ".join(" ".join(roofline(msgspec.structs.replace(report, rows=rows), 80)).split())
    assert "2 that compute nothing or whose roof is not known are not drawn" in text


def test_a_kernel_stands_at_its_rate_or_else_on_its_roof() -> None:
    found = plotted(roofs(ridge(1e9, 1e8)), (kernel(2.0, 1e-3), kernel(2.0, None)))
    assert found is not None
    assert [(dot.rate, dot.estimated) for dot in found.dots] == [(pytest.approx(2.0 * 100 / 1e-3), True), (1e6, False)]


@given(st.lists(POSITIVE, min_size=1, max_size=4), POSITIVE, POSITIVE, st.one_of(st.none(), POSITIVE))
def test_any_numbers(intensities: list[float], peak: float, bandwidth: float, seconds: float | None) -> None:
    rows = tuple(kernel(intensity, seconds, 2**60) for intensity in intensities)
    found = roofs(ridge(peak, bandwidth))
    drawn = plotted(found, rows)
    assert drawn is not None
    for dot in drawn.dots:
        assert 0 < drawn.across.at(dot.intensity) < 1
        assert 0 < drawn.up.at(dot.rate) < 1
    assert len(drawn.across.decades(8)) <= 8
    report = msgspec.structs.replace(made("fits").verdicts[0], rows=rows, roofline=found)
    assert max(map(len, roofline(report, 80)[1 : HEIGHT + 3])) <= 80


@given(POSITIVE, POSITIVE, POSITIVE)
def test_the_roof_is_the_lower_of_both(intensity: float, peak: float, bandwidth: float) -> None:
    roof = roof_at(ridge(peak, bandwidth), intensity)
    assert roof <= peak and roof <= intensity * bandwidth
    assert roof in (peak, intensity * bandwidth)
