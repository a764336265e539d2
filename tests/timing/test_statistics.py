"""Figures of synthetic runs against numpy, and each warning by runs that deserve it, and those that do not."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from effaudit.run.host import HostFacts
from effaudit.run.usage import Usage
from effaudit.timing.statistics import drift, runs_of, two_groups, warnings_of

FACTS = HostFacts(None, "x86_64", 4, 8, "performance", None, None, {}, (), None, "Linux 6", "3.11")
QUIET = Usage(seconds=10.0, processors=8, others=0.1, stolen=0.0, hot=0, throttled=0, load=0.3, on_battery=False)


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=150))
def test_figures_are_those_of_numpy(seconds: list[float]) -> None:
    runs, known = runs_of(seconds, 3), np.array(seconds)
    low, p50, high, p90, p99 = np.percentile(known, [25, 50, 75, 90, 99])
    assert runs.n == len(seconds) and runs.min_s == known.min() and runs.max_s == known.max()
    assert runs.mean_s == pytest.approx(float(known.mean()))
    assert (runs.p50_s, runs.p90_s) == (pytest.approx(float(p50)), pytest.approx(float(p90)))
    assert runs.p99_s == (pytest.approx(float(p99)) if len(seconds) >= 100 else None)
    assert runs.mad_s == pytest.approx(float(np.median(np.abs(known - p50))))
    assert runs.iqr_ratio == pytest.approx(float((high - low) / p50), abs=1e-12)
    assert (runs.noise_ratio is None) == (len(seconds) < 6)
    assert runs.throughput_per_s == pytest.approx(3 / float(p50))


def test_s1_077_sixteen_inputs_in_80_ms_are_200_a_second() -> None:
    assert runs_of([0.08] * 10, batch=16).throughput_per_s == pytest.approx(200)


def test_s4_043_one_in_10_ms_is_100_a_second() -> None:
    assert runs_of([0.012, 0.010, 0.009]).throughput_per_s == pytest.approx(100)


def test_the_noise_floor_by_hand() -> None:
    """Of 1..9 the second and the eighth: 1 or none of 9 coins shows heads with 10/512, 2 with 46/512."""
    runs = runs_of([5.0, 1.0, 9.0, 3.0, 7.0, 2.0, 8.0, 4.0, 6.0])
    assert runs.noise_ratio == pytest.approx((8 - 2) / 2 / 5)


@pytest.mark.parametrize("seconds", [[], [0.0, 1.0]])
def test_no_runs_have_no_figures(seconds: list[float]) -> None:
    with pytest.raises(ValueError, match="runs"):
        runs_of(seconds)


def steady(n: int = 50, spread: float = 0.01, seed: int = 1) -> list[float]:
    rng = random.Random(seed)
    return [0.01 * (1 + spread * rng.gauss(0, 1)) for _ in range(n)]


@pytest.mark.parametrize("seed", range(20))
def test_steady_runs_on_a_quiet_host_are_not_doubted(seed: int) -> None:
    seconds = steady(seed=seed)
    seconds[7] *= 3  # one spike is no reason
    assert warnings_of(seconds, asked=50, threads=4, host=FACTS, usage=QUIET, clock_s=1e-9) == ()


@pytest.mark.parametrize(
    ("seconds", "asked", "clock_s", "said"),
    [
        (steady(12), 50, 0.0, "used up after 12 of 50"),
        (steady(3), None, 0.0, "3 runs tell no noise floor"),
        (steady(1), None, 0.0, "1 run tells no noise floor"),
        (steady(spread=0.2), None, 0.0, "the middle half of the runs spans"),
        ([*steady(40), *(3 * one for one in steady(6))], None, 0.0, "one run in ten takes more than"),
        ([*steady(25), *(1.07 * one for one in steady(25))], None, 0.0, "was 7 % slower than the first"),
        ([*(1.08 * one for one in steady(25)), *steady(25)], None, 0.0, "was 7.41 % faster than the first"),
        ([one * (1.4 if i % 3 == 0 else 1) for i, one in enumerate(steady(60))], None, 0.0, "67 % around 10 ms and 33"),
        (steady(), None, 0.001, "the median is 10 ticks of the clock"),
    ],
)
def test_times_that_are_doubted(seconds: list[float], asked: int | None, clock_s: float, said: str) -> None:
    found = warnings_of(seconds, asked=asked, clock_s=clock_s)
    assert any(said in one for one in found), found


def test_what_drifts_by_chance_is_not_told() -> None:
    """One trial in a thousand at most, of runs that scatter by as much as the drift that is looked for."""
    rng = random.Random(5)
    found = [drift([1 + 0.1 * rng.random() for _ in range(40)]) for _ in range(500)]
    assert sum(one is not None for one in found) <= 2
    assert drift([1.0] * 9 + [2.0] * 10) is None, "too few"
    assert drift([1.0] * 10 + [2.0] * 10) == pytest.approx(1.0)


@given(st.integers(0, 1000), st.sampled_from(["gauss", "exponential", "uniform"]))
def test_one_group_is_not_two(seed: int, law: str) -> None:
    rng = random.Random(seed)
    draw = {"gauss": lambda: rng.gauss(0, 0.05), "exponential": lambda: rng.expovariate(10), "uniform": rng.random}[law]
    assert two_groups(sorted(1 + draw() for _ in range(60))) is None


def test_two_groups_are_told_apart() -> None:
    low, high = steady(30), [1.3 * one for one in steady(20, seed=2)]
    found = two_groups(sorted(low + high))
    assert found == (pytest.approx(0.01, rel=0.01), pytest.approx(0.013, rel=0.01), pytest.approx(0.4))
    assert two_groups(sorted(low + high[:4])) is None, "four of 34 are outliers"


@pytest.mark.parametrize(
    ("usage", "said"),
    [
        (replace(QUIET, others=3.0), "other programs kept 3 of 8 processors busy"),
        (replace(QUIET, others=None, load=5.0), "the load average was 5 on 8 processors"),
        (replace(QUIET, stolen=0.05), "gave 5 % of the processors' time to other machines"),
        (replace(QUIET, throttled=3), "quota of processor time was used up 3 times"),
        (replace(QUIET, hot=2), "slowed 2 times because of their heat"),
        (replace(QUIET, on_battery=True), "runs on its battery"),
    ],
)
def test_a_machine_that_does_something_else(usage: Usage, said: str) -> None:
    (found,) = warnings_of(steady(), host=FACTS, usage=usage)
    assert said in found


def test_a_high_load_counts_only_where_nothing_better_is_known() -> None:
    """It is an average over a minute before, in which perhaps another model ran."""
    assert warnings_of(steady(), usage=replace(QUIET, load=5.0)) == ()


@pytest.mark.parametrize(
    ("threads", "facts", "said"),
    [
        (8, FACTS, "8 threads share 4 physical cores"),
        (2, replace(FACTS, cores=1), "2 threads share 1 physical core:"),
        (1, replace(FACTS, governor="powersave"), "governor is powersave, not performance"),
    ],
)
def test_a_host_whose_times_vary(threads: int, facts: HostFacts, said: str) -> None:
    (found,) = warnings_of(steady(), threads=threads, host=facts)
    assert said in found
    assert warnings_of(steady(), threads=threads, host=replace(facts, cores=None, governor=None)) == ()
