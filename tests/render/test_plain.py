"""Columns give way to each other until a line fits."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from effaudit.render.plain import _give_way

COLUMNS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=6)


def one_by_one(widths: list[int], limits: list[int], excess: int) -> int:
    given_way = 0
    while given_way < excess:
        wide = [i for i, width in enumerate(widths) if width > limits[i]]
        if not wide:
            break
        widths[max(wide, key=widths.__getitem__)] -= 1
        given_way += 1
    return given_way


@given(COLUMNS, st.integers(-3, 40))
def test_strides_end_where_single_steps_do(columns: list[tuple[int, int]], excess: int) -> None:
    widths, limits = map(list, zip(*columns, strict=True))
    expected = list(widths)
    assert _give_way(widths, limits, excess) == one_by_one(expected, limits, excess)
    assert widths == expected


def test_a_megabyte_gives_way_at_once() -> None:
    widths, start = [10**9, 10**9, 5], time.process_time()
    assert _give_way(widths, [8, 8, 5], 2 * 10**9 - 60) == 2 * 10**9 - 60
    assert widths == [30, 30, 5]
    assert time.process_time() - start < 1
