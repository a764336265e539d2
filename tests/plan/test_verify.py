"""The verifier finds every fault, and only faults."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from effaudit.plan.problem import Buffer, Problem
from effaudit.plan.verify import PlanFault, verify
from tests.plan.problems import problem, problems


def clashes(asked: Problem, offsets: list[int]) -> bool:
    """Pair by pair, byte by byte and step by step."""
    taken = set()
    for b, offset in zip(asked.buffers, offsets, strict=True):
        cells = {(step, byte) for step in range(b.start, b.end) for byte in range(offset, offset + b.size)}
        if cells & taken:
            return True
        taken |= cells
    return False


@given(problems(6), st.lists(st.integers(0, 30), min_size=6, max_size=6))
def test_agrees_with_a_bitmap(asked: Problem, offsets: list[int]) -> None:
    offsets = offsets[: len(asked.buffers)]
    if clashes(asked, offsets):
        with pytest.raises(PlanFault, match="overlap"):
            verify(asked, offsets)
    else:
        verify(asked, offsets)


def test_lifetimes_are_half_open() -> None:
    verify(problem((0, 5, 8), (5, 9, 8)), [0, 0])
    with pytest.raises(PlanFault, match=r"b1 \(bytes 7 to 15, steps 4 to 9\) and b0 \(bytes 0 to 8, steps 0 to 5\)"):
        verify(problem((0, 5, 8), (4, 9, 8)), [0, 7])


@pytest.mark.parametrize(
    ("offsets", "fault"),
    [
        ([0], "1 offsets for 2"),
        ([-16, 0], "b0: offset -16 is negative"),
        ([0, 24], "b1: offset 24 is no multiple of 16"),
    ],
)
def test_other_faults(offsets: list[int], fault: str) -> None:
    asked = Problem((Buffer("b0", 0, 1, 16), Buffer("b1", 0, 1, 16)), align=16)
    verify(asked, [16, 0])
    with pytest.raises(PlanFault, match=fault):
        verify(asked, offsets)


def test_buffers_that_take_no_room_clash_with_nothing() -> None:
    verify(problem((0, 5, 0), (3, 3, 8), (0, 5, 8)), [4, 0, 0])


def test_one_fault_among_very_many() -> None:
    rng = random.Random(0)
    count = 50_000
    offsets = list(range(0, 16 * count, 16))
    rng.shuffle(offsets)
    asked = Problem(tuple(Buffer(f"b{i}", rng.randrange(100), 100 + rng.randrange(1, 100), 16) for i in range(count)))
    verify(asked, offsets)
    offsets[777] += 1
    with pytest.raises(PlanFault, match="b777"):
        verify(asked, offsets)
