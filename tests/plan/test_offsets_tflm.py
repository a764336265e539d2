"""TensorFlow Lite Micro's planner: the order of equals, the gaps, and the arena of MLPerf Tiny's visual wake words."""

from __future__ import annotations

from effaudit.plan import offsets
from effaudit.plan.offsets import _greedy
from effaudit.plan.offsets._instance import instance
from effaudit.plan.problem import Buffer, Problem, aligned
from tests.plan.problems import problem


def tflm(asked: Problem) -> tuple[int, ...]:
    return offsets.plan(asked, "tflm").offsets


def test_of_equals_the_later_is_placed_first() -> None:
    assert tflm(problem((0, 3, 16), (1, 4, 16), (2, 5, 16))) == (32, 16, 0)


def test_sizes_descending() -> None:
    assert tflm(problem((0, 2, 16), (0, 2, 48), (0, 2, 32))) == (80, 0, 48)


def test_the_first_gap_that_is_large_enough() -> None:
    """The 16 bytes lie under the 32, where the 48 no longer are."""
    assert tflm(problem((0, 2, 48), (1, 4, 32), (2, 5, 16))) == (0, 48, 0)


def test_not_the_smallest_gap() -> None:
    """At step 6 bytes 0 to 100 and 190 to 270 are free: the first gap that holds 60, where best fit takes the other."""
    asked = problem((0, 2, 100), (1, 9, 90), (2, 5, 85), (1, 5, 80), (4, 9, 70), (6, 8, 60))
    assert tflm(asked) == (0, 100, 0, 190, 270, 0)
    assert offsets.plan(asked, "size-best-fit").offsets == (0, 100, 0, 190, 270, 190)


def wake_words() -> Problem:
    """MobileNet v1 0.25 on 96x96x3 int8, batch 1, as TFLM plans it: every tensor of the chain, 16-byte aligned."""
    side, channels = 48, 8
    sizes = [96 * 96 * 3, side * side * channels]
    for stride, out in ((1, 16), (2, 32), (1, 32), (2, 64), (1, 64), (2, 128), *((1, 128),) * 5, (2, 256), (1, 256)):
        side //= stride
        sizes += [side * side * channels, side * side * out]
        channels = out
    sizes += [channels, channels, 2, 2]  # average pool, reshape, fully connected, softmax
    rows = [(max(i - 1, 0), i + 1, aligned(size, 16)) for i, size in enumerate(sizes)]
    return Problem(tuple(Buffer(f"t{i}", *row) for i, row in enumerate(rows)), align=16)


def test_visual_wake_words() -> None:
    """The head of the real interpreter for MLPerf Tiny's vww_96_int8.tflite is 73,728 bytes; the floor is 55,296."""
    asked = wake_words()
    assert len(asked.buffers) == 32
    assert asked.floor == 55_296
    assert offsets.plan(asked, "tflm").arena == 73_728
    best = offsets.plan(asked)
    assert (best.arena, best.proven) == (55_296, True)


def test_is_not_the_planner_by_size() -> None:
    compiled = instance(wake_words())
    order, _ = offsets.greedy_order("size")
    by_size = _greedy.place(compiled, compiled.neighbours(), order(compiled), _greedy.FIRST)
    assert compiled.height(by_size) == 64_512
