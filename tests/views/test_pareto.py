"""The front of accuracy and cost against brute force, with ranges against every number in them; the reward."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from effaudit.explain.formulas import calculate
from effaudit.views.pareto import HARD, SOFT, Candidate, Comparing, Target, pareto, reward

SMALL = st.integers(0, 3)


def candidate(model: str, accuracy: float | None, **costs: Any) -> Candidate:
    macs, live = costs.get("macs", (1, 1)), costs.get("live", (1, 1))
    seconds = costs.get("latency_s")
    return Candidate(
        model=model,
        accuracy=accuracy,
        params=costs.get("params", 1),
        macs=macs[0] if macs[0] == macs[1] else None,
        macs_bounds=list(macs),
        weight_bytes=costs.get("weight_bytes", 1),
        live_bytes=live[0] if live[0] == live[1] else None,
        live_bounds=list(live),
        latency_s=seconds,
        latency_bounds=[seconds and seconds / 2, seconds and seconds * 2],
    )


def beaten(point: tuple[float, ...], others: Sequence[tuple[float, ...]]) -> bool:
    """By the definition; points are to be high in every place."""
    return any(all(o >= p for o, p in zip(other, point, strict=True)) and other != point for other in others)


@given(st.lists(st.tuples(st.sampled_from([None, 0.5, 0.6, 0.7]), SMALL, SMALL, SMALL), min_size=1, max_size=8))
def test_the_front_is_that_of_brute_force(rows: list[tuple[float | None, int, int, int]]) -> None:
    made = [
        candidate(str(i), accuracy, params=p, macs=(m, m), latency_s=float(s))
        for i, (accuracy, p, m, s) in enumerate(rows)
    ]
    found = pareto(made, Comparing({}, ("params", "macs", "latency")))
    points = {i: (a, -p, -m, -s) for i, (a, p, m, s) in enumerate(rows) if a is not None}
    for i, one in enumerate(found.models):
        if i not in points:
            assert (one.pareto, one.dominated_by, one.why) == (None, (), "no accuracy is given")
            continue
        assert one.pareto is not beaten(points[i], list(points.values()))
        assert one.dominated_by == tuple(str(j) for j in points if beaten(points[i], [points[j]]))
        assert one.why is None


RANGE = st.tuples(st.integers(0, 3), st.integers(0, 1)).map(lambda two: (two[0], two[0] + two[1]))


@given(st.lists(st.tuples(st.sampled_from([0.5, 0.6]), RANGE, RANGE), min_size=2, max_size=3))
def test_ranges_are_compared_as_ranges(rows: list[tuple[float, tuple[int, int], tuple[int, int]]]) -> None:
    made = [candidate(str(i), accuracy, macs=macs, live=live) for i, (accuracy, macs, live) in enumerate(rows)]
    found = pareto(made, Comparing({}, ("macs", "live_bytes"))).models
    accuracies = [accuracy for accuracy, _, _ in rows]
    ends = [sorted({*bounds}) for _, *both in rows for bounds in both]
    outcomes: list[set[bool]] = [set() for _ in rows]
    for costs in product(*ends):
        points = [(a, -costs[2 * i], -costs[2 * i + 1]) for i, a in enumerate(accuracies)]
        for i, point in enumerate(points):
            outcomes[i].add(beaten(point, points))
    for one, outcome in zip(found, outcomes, strict=True):
        assert (one.pareto is True) == (outcome == {False})
        assert one.pareto is not False or outcome == {True}
        assert (one.why is not None) == (one.pareto is None)


def test_nothing_bounds_a_cost() -> None:
    known, open_, better = candidate("a", 0.6, macs=(5, 5)), candidate("b", 0.5, macs=(0, None)), candidate("c", 0.7)
    assert [one.pareto for one in pareto([known, open_], Comparing({}, ("macs",))).models] == [True, None]
    assert [one.pareto for one in pareto([better, open_], Comparing({}, ("latency",))).models] == [True, None]
    found = pareto(
        [candidate("a", 0.6, latency_s=1.0), open_], Comparing({}, ("latency",), Target("latency", 1))
    ).models
    assert (found[0].pareto, found[1].reward, found[1].pareto) == (True, None, None)


def test_what_ties_stays() -> None:
    twins = [candidate("a", 0.7), candidate("b", 0.7), candidate("c", 0.6)]
    found = pareto(twins, Comparing({}, ("macs",))).models
    assert [(one.pareto, one.dominated_by) for one in found] == [(True, ()), (True, ()), (False, ("a", "b"))]


@given(st.floats(0.01, 1), st.floats(1e-6, 1e12), st.floats(1e-6, 1e12), st.floats(1, 100))
def test_slower_never_earns_more(accuracy: float, cost: float, target: float, factor: float) -> None:
    for exponents in (SOFT, HARD):
        now, slower = reward(accuracy, cost, target, exponents), reward(accuracy, cost * factor, target, exponents)
        assert now is not None and slower is not None and slower <= now * (1 + 1e-12)
    assert reward(accuracy, target, target) == accuracy
    if cost <= target:
        assert reward(accuracy, cost, target, HARD) == accuracy
    else:
        assert reward(accuracy, cost, target, HARD) == pytest.approx(accuracy * target / cost)


def test_doubling_the_latency_costs_five_percent() -> None:
    """Where -0.07 comes from: the paper wants 5 % more accuracy to outweigh twice the latency."""
    one, two = reward(0.7, 80, 80), reward(0.7 * 1.05, 160, 80)
    assert one == pytest.approx(two, rel=2e-3)


def test_rewards_of_models() -> None:
    made = [
        candidate("a", 0.75, latency_s=0.06, macs=(10, 20), params=8),
        candidate("b", None, latency_s=0.08, macs=(0, 0), params=2),
        candidate("c", 0.6, macs=(0, 0), latency_s=0.06),
    ]
    asked = {"accuracy": "0.75", "latency": "60ms", "target": "80ms", "w": "-0.07"}
    calculated = calculate("mnasnet-reward", asked).value
    first, none, _ = pareto(made, Comparing({}, ("latency",), Target("latency", 0.08))).models
    assert first.reward == pytest.approx(calculated)
    assert first.reward_bounds == [reward(0.75, 0.12, 0.08), reward(0.75, 0.03, 0.08)]
    assert first.hard_reward == 0.75 and first.hard_reward_bounds == [pytest.approx(0.5), 0.75]
    assert (none.reward, none.reward_bounds, none.params_ratio) == (None, None, 4)
    ranged, _, free = pareto(made, Comparing({}, ("macs",), Target("macs", 10))).models
    assert (ranged.reward, ranged.hard_reward_bounds) == (None, [0.375, 0.75])
    assert ranged.macs_ratio is None
    assert (free.reward, free.reward_bounds, free.hard_reward) == (None, [None, None], 0.6)
    assert free.why == "no soft reward: macs 0"
    assert ranged.why == "no reward: macs is not known exactly"
