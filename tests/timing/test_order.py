"""Percentiles against numpy; intervals of the median against what they promise, in simulations and by brute force."""

from __future__ import annotations

import random
from itertools import product
from math import asin, pi

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from effaudit.timing.order import effective, least_values, median, median_interval, outside, percentile

TIMES = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=60)


@given(TIMES, st.floats(0, 1))
def test_percentiles_are_those_of_numpy(values: list[float], part: float) -> None:
    assert percentile(sorted(values), part) == pytest.approx(float(np.quantile(values, part)), rel=1e-12)
    assert median(values) == pytest.approx(float(np.median(values)), rel=1e-12)


@pytest.mark.parametrize(("confidence", "least"), [(0.5, 2), (0.95, 6), (0.99, 8), (0.999, 11)])
def test_the_least_number_of_values(confidence: float, least: int) -> None:
    """2 / 2^n of all orders of n values have every one of them on one side."""
    assert least_values(confidence) == least
    assert median_interval(list(range(least - 1)), confidence) is None
    assert median_interval([float(one % 2) for one in range(least)], confidence) == (0.0, 1.0)
    assert outside(least, confidence) == 0 and outside(least - 1, confidence) == -1


@pytest.mark.parametrize("n", range(6, 15))
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_what_lies_outside_is_counted_out(n: int, confidence: float) -> None:
    """Every way in which n values can lie about the median, which is outside where k or fewer are on one side."""
    sides = [sum(heads) for heads in product((0, 1), repeat=n)]
    k = outside(n, confidence)
    missed = [sum(min(heads, n - heads) <= at for heads in sides) / 2**n for at in (k, k + 1)]
    assert missed[0] <= 1 - confidence < missed[1]


def test_many_values_are_quick_and_near_the_normal_law() -> None:
    """k = n/2 - 1.96 sqrt(n)/2 - 1/2 or so."""
    assert outside(10_000, 0.95) == pytest.approx(5000 - 98, abs=2)


def drawn(rng: random.Random, n: int, alike: float) -> list[float]:
    """A chain whose median is 0, each value like the one before."""
    x, found = rng.gauss(0, 1), []
    for _ in range(n):
        x = alike * x + (1 - alike * alike) ** 0.5 * rng.gauss(0, 1)
        found.append(x**3)  # heavy tails
    return found


@pytest.mark.parametrize("alike", [0.0, 0.6])
def test_the_interval_covers_the_median(alike: float) -> None:
    """As often as it says, of heavy tails; of values that resemble their neighbours too, nearly."""
    rng = random.Random(7)
    covered = 0
    for _ in range(1000):
        found = median_interval(drawn(rng, 50, alike), 0.95)
        assert found is not None
        covered += found[0] <= 0 <= found[1]
    assert covered >= (940 if alike == 0.0 else 870), covered


def test_neighbours_that_are_alike_count_less() -> None:
    """Of a first-order chain, n / (1 + 2 x the sum of 2 asin(rho^lag) / pi), which the signs of two normal values have
    as correlation; the estimate ends its sum early."""
    rng = random.Random(3)
    assert effective(drawn(rng, 4000, 0.0)) > 3600
    summed = sum(asin(0.8**lag) for lag in range(1, 100))
    assert effective(drawn(rng, 4000, 0.8)) == pytest.approx(4000 / (1 + 4 / pi * summed), rel=0.25)
    assert effective([1.0] * 30) == 30
    assert effective([1.0, 2.0] * 20) == 40, "what changes every time tells no less"
    assert effective([1.0] * 20 + [2.0] * 20) < 6, "one step is two values"


def test_one_outlier_does_not_make_the_interval() -> None:
    """Not even where values resemble their neighbours so much that they count as six."""
    rng = random.Random(9)
    slow = [1.0 + 0.002 * i + 0.001 * rng.random() for i in range(50)]
    slow[20] = 50.0
    found = median_interval(slow, 0.95)
    assert effective(slow) < 7 and found is not None and 1.0 < found[0] < 1.05 < found[1] < 1.1
