"""When a warm-up ends: on series of times whose truth is known."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from effaudit.run._steady import settled
from effaudit.run._timing import MOST_WARM, WARM_S, warm_up


def ends(times: Sequence[float]) -> int | None:
    """How many runs a warm-up takes on this series, None where it never ends."""
    return next((n for n in range(len(times) + 1) if settled(times[:n])), None)


def test_constant_times_take_three_runs() -> None:
    assert ends([0.5] * 10) == 3 and not settled([0.5] * 2) and not settled([])


@pytest.mark.parametrize("seed", range(20))
def test_noise_alone_is_soon_steady(seed: int) -> None:
    draw = random.Random(seed)
    for sigma in (0.01, 0.05, 0.3):
        found = ends([max(draw.gauss(1, sigma), 0.01) for _ in range(100)])
        assert found is not None and found <= 25


@pytest.mark.parametrize("seed", range(20))
def test_a_fading_start_is_waited_for(seed: int) -> None:
    """Times that fall from twice the final ones by a tenth of what is left in every run: not over before 10 runs."""
    draw = random.Random(seed)
    found = ends([(1 + 0.9**i) * draw.gauss(1, 0.003) for i in range(300)])
    assert found is not None and 10 < found < 200


def test_a_steady_drift_never_settles() -> None:
    assert ends([3 - 0.02 * i for i in range(140)]) is None
    draw = random.Random(0)
    assert not settled([2 - 0.01 * i + draw.gauss(0, 0.02) for i in range(150)])
    assert not settled([1 + 0.01 * i + draw.gauss(0, 0.02) for i in range(150)])


@pytest.mark.parametrize("before", [6, 10, 30, 90])
def test_a_step_is_seen_and_then_forgotten(before: int) -> None:
    """Clocks that rise, or a processor that grows hot."""
    for low in (0.5, 2.0):
        series = [1.0] * before + [low] * 400
        assert not settled(series[: before + max(before // 3, 3)])
        assert settled(series)


@pytest.mark.parametrize("place", range(12))
def test_one_outlier_changes_little(place: int) -> None:
    times = [1.0 + 0.002 * (i % 3) for i in range(12)]
    times[place] = 8.0
    assert settled(times)
    assert not settled([1.0, 8.0, 1.0])


# ---- its bounds
def clocked(times: Callable[[int], float]) -> tuple[Callable[[], float], list[float]]:
    taken: list[float] = []

    def run() -> float:
        taken.append(times(len(taken)))
        return taken[-1]

    return run, taken


def test_a_warm_up_of_a_given_number() -> None:
    run, taken = clocked(lambda i: 1e-3)
    assert warm_up(run, {"warmup": 7, "budget_s": 60.0}, 0.0) == ([1e-3] * 7, False)
    assert warm_up(run, {"warmup": 0, "budget_s": 60.0}, 0.0) == ([], False)
    assert len(taken) == 7
    assert warm_up(run, {"warmup": 10**9, "budget_s": 0.01}, 0.005)[0] == [1e-3] * 5


def test_a_warm_up_until_times_are_steady() -> None:
    """Slow runs: three are enough. Quick ones: until the clocks have had time to rise. Never steady: bounded."""
    assert warm_up(clocked(lambda i: 0.2)[0], {"warmup": None, "budget_s": 60.0}, 0.0) == ([0.2] * 3, True)
    times, steady = warm_up(clocked(lambda i: 1e-4)[0], {"warmup": None, "budget_s": 60.0}, 0.0)
    assert steady and WARM_S <= sum(times) < WARM_S + 3e-4
    times, steady = warm_up(clocked(lambda i: 100.0 - i)[0], {"warmup": None, "budget_s": 60.0}, 0.0)
    assert (times, steady) == ([100.0], False)
    times, steady = warm_up(clocked(lambda i: 9.0)[0], {"warmup": None, "budget_s": 60.0}, 30.0)
    assert (times, steady) == ([], False)  # the first run alone took half of the time
    times, steady = warm_up(clocked(lambda i: 1e-9)[0], {"warmup": None, "budget_s": 60.0}, 0.0)
    assert len(times) == MOST_WARM and not steady
