"""The chart of a timeline: its height is the peak, its width the steps, whatever their number and size."""

from __future__ import annotations

import pytest

from effaudit.memory.types import StepReport
from effaudit.render.memory.plot import HEIGHT, plot


def steps(*sizes: int) -> list[StepReport]:
    return [StepReport(i, f"n{i}", "Op", size, [size, size], size, 1, (), ()) for i, size in enumerate(sizes)]


@pytest.mark.parametrize("count", [1, 2, 23, 69, 70, 1000])
@pytest.mark.parametrize("size", [1, 1000, 2**40, 2**61, 2**300])
def test_it_fits(count: int, size: int) -> None:
    lines = plot(steps(*[size] * count), 80)
    assert len(lines) == HEIGHT + 2
    if size < 2**100:
        assert max(map(len, lines)) <= 80


def test_a_column_is_as_high_as_its_share() -> None:
    lines = plot(steps(8, 4, 2, 0), 80)
    bars = [line.partition("|")[2] for line in lines[:HEIGHT]]
    width = len(bars[0].rstrip())  # the peak alone reaches the top
    heights = [sum(bar[i * width : i * width + 1] == "#" for bar in bars) for i in range(4)]
    assert heights == [8, 4, 2, 0]


def test_columns_of_several_steps_show_the_most_of_them() -> None:
    sizes = [1] * 690
    sizes[345] = 100
    top = plot(steps(*sizes), 80)[0]
    assert top.partition("|")[2].count("#") == 1


def test_nothing_to_draw() -> None:
    assert plot([], 80) == []
    assert plot(steps(0, 0), 80) == []
