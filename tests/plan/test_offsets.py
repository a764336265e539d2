"""Offset planners: every plan is valid, no plan is below its floor, and what is called proven is the optimum."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest
from hypothesis import given, settings

from effaudit.errors import LimitError, UsageError
from effaudit.plan import offsets
from effaudit.plan.offsets import _branch, _kernel
from effaudit.plan.offsets._instance import instance
from effaudit.plan.problem import Buffer, Plan, Problem, profile
from effaudit.plan.verify import PlanFault, verify
from tests.plan.problems import guillotine, optimum, problem, problems

INSTANCES = sorted(Path(__file__).parents[3].glob("shared/reference/minimalloc/[A-K].*.csv"))
PLANNERS = [name for name in offsets.names() if name != "exact"]
# No greedy plan of these is within 1.4 times the optimum, which is the height of the rectangle they were cut from.
HARD = ((1, 60), (134, 60), (63, 80), (106, 120))


def checked(asked: Problem, planner: str = "best", effort: str = "low") -> Plan:
    plan = offsets.plan(asked, planner, effort)
    verify(asked, plan.offsets)
    assert asked.floor <= plan.floor <= plan.arena
    return plan


@given(problems(14))
@settings(max_examples=60)
def test_every_planner_makes_a_plan(asked: Problem) -> None:
    for name in PLANNERS:
        assert checked(asked, name).arena <= sum(b.size for b in asked.buffers)


@given(problems(14, least_size=1))
@settings(max_examples=40)
def test_a_moved_buffer_is_found(asked: Problem) -> None:
    """Every buffer that rests on another one is moved into it."""
    plan = offsets.plan(asked)
    for i, offset in enumerate(plan.offsets):
        if offset:
            moved = [*plan.offsets]
            moved[i] = -1
            with pytest.raises(PlanFault):
                verify(asked, moved)
    for i, a in enumerate(asked.buffers):
        for j, b in enumerate(asked.buffers):
            if i != j and a.start < b.end and b.start < a.end:
                moved = [*plan.offsets]
                moved[i] = moved[j]
                with pytest.raises(PlanFault):
                    verify(asked, moved)


@given(problems(6))
@settings(max_examples=120, deadline=None)
def test_proven_is_optimal(asked: Problem) -> None:
    least = optimum(asked)
    for name in ("best", "search"):
        plan = checked(asked, name)
        assert plan.floor <= least <= plan.arena
        assert plan.proven  # so few buffers are always searched to the end


@given(problems(6, least_size=1))
@settings(max_examples=120, deadline=None)
def test_the_complete_search_alone_finds_the_optimum(asked: Problem) -> None:
    """From the floor upwards, without the easy buffers being put aside and without a plan to start from."""
    compiled = instance(asked)
    members = [
        [i for i in range(compiled.count) if compiled.first[i] <= k < compiled.last[i]] for k in range(compiled.count)
    ]
    members = [m for m in members if m]
    capacity, least = compiled.floor, optimum(asked)
    while True:
        found = _branch.branch(compiled, compiled.neighbours(), members, range(compiled.count), capacity, 10**6)
        if found.offsets is not None:
            break
        assert capacity < found.bound <= least
        capacity = found.bound
    assert compiled.height(found.offsets) == capacity == least


@given(problems(6, least_size=1))
@settings(max_examples=60, deadline=None)
def test_easy_buffers_change_no_optimum(asked: Problem) -> None:
    compiled, least = instance(asked), optimum(asked)
    kept, easy = _kernel.split(compiled, compiled.neighbours(), least)
    assert sorted((*kept, *easy)) == list(range(compiled.count))
    assert optimum(Problem(tuple(asked.buffers[compiled.index[i]] for i in kept))) <= least
    if not kept:
        assert checked(asked).arena == least


def test_easy_buffers_are_put_aside() -> None:
    """A long buffer of 1 byte finds a place beside four of 3 in an arena of 21 bytes, which they cannot block."""
    compiled = instance(problem((0, 4, 1), (0, 1, 3), (1, 2, 3), (2, 3, 3), (3, 4, 3)))
    assert _kernel.split(compiled, compiled.neighbours(), 21)[0] == []
    assert 0 in _kernel.split(compiled, compiled.neighbours(), 4)[0]


@pytest.mark.parametrize(("seed", "pieces"), HARD)
def test_search_finds_what_no_greedy_planner_finds(seed: int, pieces: int) -> None:
    asked = guillotine(seed, height=1000, length=60, pieces=pieces)
    assert asked.floor == 1000
    assert all(checked(asked, name).arena >= 1250 for name in offsets.greedy())
    for name in ("search", "best"):
        plan = checked(asked, name, "normal")
        assert (plan.arena, plan.proven) == (1000, True)


def test_the_floor_is_raised_where_nothing_reaches_it() -> None:
    """Five bytes are alive at most, and yet five are not enough."""
    asked = problem((4, 8, 1), (3, 5, 2), (3, 7, 1), (8, 9, 2), (5, 9, 3), (0, 2, 3), (0, 4, 2))
    plan = checked(asked)
    assert asked.floor == 5
    assert plan.floor == plan.arena == optimum(asked) == 6


def test_climbing_never_loses() -> None:
    for seed, pieces in HARD[:2]:
        asked = guillotine(seed, height=1000, length=60, pieces=pieces)
        greedy = min(checked(asked, name).arena for name in offsets.greedy())
        climbed = checked(asked, "climb").arena
        assert climbed < greedy


def test_deterministic() -> None:
    asked = guillotine(63, height=1000, length=60, pieces=80)
    for name in ("climb", "search", "best"):
        assert offsets.plan(asked, name, "low") == offsets.plan(asked, name, "low")


@pytest.mark.parametrize("name", PLANNERS)
def test_degenerate(name: str) -> None:
    assert checked(Problem(()), name).arena == 0
    assert checked(problem((0, 4, 0), (2, 3, 0)), name).arena == 0
    assert checked(problem((0, 4, 1 << 60)), name).arena == 1 << 60
    pair = checked(problem((0, 2, 16), (1, 3, 1 << 60), (2, 4, 1 << 60)), name).arena
    assert (1 << 61) <= pair <= (1 << 61) + 16
    assert checked(problem((2, 2, 16), (0, 1, 8)), name).arena == 16


@pytest.mark.parametrize("together", [True, False])
def test_very_many_buffers_alive_together(together: bool) -> None:
    rng = random.Random(0)
    count = 30_000
    spans = [(0, 9) if together else (rng.randrange(9_000), 10_000) for _ in range(count)]
    asked = problem(*((s, e, rng.randrange(1, 1 << 60)) for s, e in spans))
    assert checked(asked, "best", "high").proven
    with pytest.raises(LimitError, match="use the planner 'best'"):
        offsets.plan(asked, "tflm")


def test_very_many_buffers_at_random() -> None:
    rng = random.Random(0)
    starts = [rng.randrange(20_000) for _ in range(20_000)]
    asked = problem(*((s, s + rng.randrange(1, 12_000), rng.randrange(1 << 20)) for s in starts))
    assert checked(asked).planner == "best (linear)"


def test_a_long_chain() -> None:
    """Each node's input and output: what most graphs are."""
    asked = problem(*((i, i + 2, 16 * (1 + i % 7)) for i in range(20_000)))
    assert checked(asked).proven


def test_unknown_names() -> None:
    with pytest.raises(UsageError, match=r"planner 'fast': expected one of area, .*best.*tflm"):
        offsets.plan(Problem(()), "fast")
    with pytest.raises(UsageError, match="effort 'most': expected one of low, normal, high"):
        offsets.plan(Problem(()), "best", "most")


def test_sections_are_the_greatest_sets_alive_together() -> None:
    asked = problem((0, 3, 1), (1, 2, 2), (2, 5, 4), (4, 6, 8), (7, 8, 16))
    compiled = instance(asked)
    assert compiled.totals == (3, 5, 12, 16)
    assert compiled.first == (0, 0, 1, 2, 3)
    assert compiled.last == (2, 1, 3, 3, 4)
    assert max(compiled.totals) == max(alive for _, alive in profile(asked.buffers))
    assert compiled.pairs == sum(map(len, compiled.neighbours())) // 2 == 3


@pytest.mark.skipif(not INSTANCES, reason="the public instances are not here")
@pytest.mark.parametrize("path", [p for p in INSTANCES if p.name[0] in "ACFK"], ids=lambda p: p.name[0])
def test_public_instances(path: Path) -> None:
    """Four of MiniMalloc's instances, to the floor; all eleven are in the benchmarks."""
    with path.open(newline="") as file:
        rows = [Buffer(r["id"], int(r["lower"]), int(r["upper"]), int(r["size"])) for r in csv.DictReader(file)]
    assert checked(Problem(tuple(rows)), "search", "high").proven
