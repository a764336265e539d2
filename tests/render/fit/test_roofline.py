"""The roofline as a plot: ASCII, 80 columns, whatever its numbers."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from effaudit.fit.types import KernelRow, RidgeReport, RooflineReport
from effaudit.render.fit.points import plotted, roof_at
from effaudit.render.fit.roofline import CORNER, HEIGHT, roofline

from .goldens import made

POSITIVE = st.floats(1e-30, 1e30)


def ridge(peak: float, bandwidth: float) -> RidgeReport:
    return RidgeReport("core", "int8", "sram", peak, bandwidth, peak / bandwidth)


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
    assert f"{CORNER} ridge 4.00 FLOP/B = 1.60 GFLOP/s / 400 MB/s (int8 on core, sram)" in text
    slowest = max(report.rows, key=lambda row: row.seconds or 0.0)
    assert report.latency_s.value is not None and slowest.seconds is not None
    assert f"A  {100 * slowest.seconds / report.latency_s.value:5.1f} %" in text
    assert text.count(CORNER) >= 2  # in the plot, and below it


def test_why_there_is_none() -> None:
    assert "states no peak and bandwidth" in roofline(made("silent").verdicts[0], 80)[1]


def test_kernels_without_a_place_are_counted() -> None:
    report = made("fits").verdicts[0]
    rows = (*report.rows, kernel(None, 1e-3), kernel(0.0, 1e-3))
    text = " ".join(" ".join(roofline(msgspec.structs.replace(report, rows=rows), 80)).split())
    assert "2 that compute nothing or whose roof is not known are not drawn" in text


def test_a_kernel_stands_at_its_rate_or_else_on_its_roof() -> None:
    found = plotted(RooflineReport((ridge(1e9, 1e8),), 1.0, None, None, None), (kernel(2.0, 1e-3), kernel(2.0, None)))
    assert found is not None
    assert [(dot.rate, dot.estimated) for dot in found.dots] == [(pytest.approx(2.0 * 100 / 1e-3), True), (1e6, False)]


@given(st.lists(POSITIVE, min_size=1, max_size=4), POSITIVE, POSITIVE, st.one_of(st.none(), POSITIVE))
def test_any_numbers(intensities: list[float], peak: float, bandwidth: float, seconds: float | None) -> None:
    rows = tuple(kernel(intensity, seconds, 2**60) for intensity in intensities)
    found = RooflineReport((ridge(peak, bandwidth),), 1.0, None, None, None)
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
