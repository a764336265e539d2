"""Laws of the comparison, and what it says of simulated runs on a machine that others use too."""

from __future__ import annotations

import random
from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from effaudit.errors import UsageError
from effaudit.timing.versus import compare, versus

INVERSE = {"slower": "faster", "faster": "slower", "no difference": "no difference"}
PAIRS = st.lists(st.tuples(st.floats(1e-4, 1.0), st.floats(1e-4, 1.0)), min_size=1, max_size=60)
NOISE = {
    "quiet": {"alike": 0.9, "drifts": 0.01, "white": 0.005, "spikes": 0.02, "spike": 0.2, "phases": 0.0},
    "busy": {"alike": 0.95, "drifts": 0.05, "white": 0.02, "spikes": 0.05, "spike": 0.3, "phases": 0.0},
    "two clocks": {"alike": 0.9, "drifts": 0.02, "white": 0.01, "spikes": 0.05, "spike": 0.3, "phases": 0.02},
    "interrupted": {"alike": 0.98, "drifts": 0.1, "white": 0.015, "spikes": 0.15, "spike": 0.5, "phases": 0.02},
}


def rounds(
    rng: random.Random,
    n: int,
    slower: float = 1.0,
    *,
    alike: float,
    drifts: float,
    white: float,
    spikes: float,
    spike: float,
    phases: float,
) -> tuple[list[float], list[float]]:
    """Runs in turns: a slow drift, noise of each run, rare spikes, and phases in which all takes a quarter longer."""
    state, phase, found = rng.gauss(0, 1), 0.0, []
    for i in range(2 * n):
        state = alike * state + (1 - alike * alike) ** 0.5 * rng.gauss(0, 1)
        phase = 0.25 - phase if rng.random() < phases else phase
        one = drifts * state + white * rng.gauss(0, 1) + phase
        one += rng.expovariate(1 / spike) if rng.random() < spikes else 0.0
        found.append(0.01 * exp(one) * (slower if i % 2 else 1.0))
    return found[::2], found[1::2]


@given(PAIRS)
def test_exchanged_models_have_the_inverse_ratio(pairs: list[tuple[float, float]]) -> None:
    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    there, back = compare(a, b), compare(b, a)
    assert there.ratio * back.ratio == pytest.approx(1)
    assert there.verdict == INVERSE[back.verdict] and (there.low is None) == (back.low is None)
    if there.low is not None and there.high is not None and back.low is not None and back.high is not None:
        assert (there.low * back.high, there.high * back.low) == (pytest.approx(1), pytest.approx(1))
        assert there.low <= there.ratio <= there.high


@given(PAIRS, st.sampled_from([2.0**-20, 0.5, 2.0**10]))
def test_units_do_not_matter(pairs: list[tuple[float, float]], scale: float) -> None:
    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    assert compare([scale * x for x in a], [scale * y for y in b]) == compare(a, b)


@given(st.lists(st.floats(1e-4, 1.0), min_size=11, max_size=60), st.floats(1.03, 3.0))
def test_a_fixed_factor_is_found_whatever_disturbs_both(times: list[float], factor: float) -> None:
    """What hits both runs of a round alike does not count: the interval is the factor itself."""
    found = compare(times, [factor * one for one in times])
    assert found.verdict == "slower"
    assert (found.low, found.ratio, found.high) == tuple(pytest.approx(factor) for _ in range(3))


@pytest.mark.parametrize("noise", NOISE)
def test_a_model_against_itself_is_no_different(noise: str) -> None:
    """Of 250 trials each, 1,000 in all, none is called different: the interval alone errs once in a thousand, and an
    error has to be larger than the effect."""
    rng = random.Random(11)
    said = [compare(*rounds(rng, 40, **NOISE[noise])).verdict for _ in range(250)]
    assert said == ["no difference"] * 250


def test_the_interval_holds_the_ratio_as_often_as_it_says() -> None:
    """At 95 %, of a true ratio of 1.05 under all kinds of noise; the sign test is exact, so about as often."""
    rng = random.Random(12)
    held = 0
    for i in range(600):
        found = compare(*rounds(rng, 40, 1.05, **NOISE[sorted(NOISE)[i % 4]]), confidence=0.95)
        assert found.low is not None and found.high is not None
        held += found.low <= 1.05 <= found.high
    assert held >= 0.93 * 600, held


@pytest.mark.parametrize(("noise", "n", "least"), [("quiet", 20, 95), ("busy", 40, 95), ("two clocks", 40, 95)])
def test_ten_percent_are_found(noise: str, n: int, least: int) -> None:
    """Of 100 trials; never the wrong way round."""
    rng = random.Random(13)
    found = [compare(*rounds(rng, n, 1.1, **NOISE[noise])) for _ in range(100)]
    said = [one.verdict for one in found]
    assert said.count("slower") >= least and "faster" not in said
    assert all(one.warnings for one in found if one.verdict == "no difference"), "what is not seen is not hidden"


def test_a_difference_below_the_effect_is_none() -> None:
    """1 % is measured well here, and of no interest: there is nothing to warn of."""
    a = [1.0 + 0.001 * (i % 3) for i in range(40)]
    found = compare(a, [1.01 * one for one in a])
    assert (found.verdict, found.warnings, found.ratio) == ("no difference", (), pytest.approx(1.01))
    assert compare(a, [1.01 * one for one in a], effect=0.005).verdict == "slower"


def test_noise_that_hides_a_difference_says_how_large() -> None:
    """Thirty rounds: six on each side lie outside at 99.9 %, so the interval is 0.9 to 1.1 and 1.02 x sqrt(1.1 / 0.9)
    - 1 = 12.8 % the least that is seen."""
    b = [0.9, 1.0, 1.1, 1.1, 1.0, 0.9] * 5
    found = compare([1.0] * 30, b)
    assert (found.low, found.high) == (pytest.approx(0.9), pytest.approx(1.1))
    assert found.warnings == ("differences below 12.8 % cannot be told with 30 rounds: run more of them",)


def test_too_few_rounds_tell_nothing() -> None:
    found = compare([1.0] * 10, [2.0] * 10)
    assert (found.ratio, found.low, found.high, found.verdict) == (2.0, None, None, "no difference")
    assert found.warnings == ("10 rounds tell no difference at 99.9 %: at least 11",)
    assert compare([1.0] * 11, [2.0] * 11).verdict == "slower"


def test_rounds_that_resemble_their_neighbours_count_less() -> None:
    """Slower in 70 of 100 rounds, scattered or in one piece: that may be a phase of the machine."""
    rng = random.Random(14)
    pieces = [1.1 * exp(0.01 * rng.gauss(0, 1)) for _ in range(70)] + [0.9] * 30
    scattered = rng.sample(pieces, 100)
    assert compare([1.0] * 100, scattered).verdict == "slower"
    assert compare([1.0] * 100, pieces).verdict == "no difference"


def test_options_and_lists_that_make_no_sense() -> None:
    for wrong in ({"confidence": 1.0}, {"confidence": 0.1}, {"effect": -0.1}, {"effect": 2.0}):
        with pytest.raises(UsageError, match="expected a part between"):
            compare([1.0], [1.0], **wrong)
    with pytest.raises(ValueError, match="rounds of 1 and 2 runs"):
        compare([1.0], [1.0, 2.0])


def test_the_document_of_two_models() -> None:
    found = versus(("a.onnx", "b.onnx"), [0.01] * 20, [0.02] * 20, batches=(1, 4))
    assert (found.first, found.second, found.rounds, found.verdict) == ("a.onnx", "b.onnx", 20, "slower")
    assert (found.first_runs.p50_s, found.second_runs.throughput_per_s) == (0.01, pytest.approx(200))
    assert (found.confidence, found.effect) == (0.999, 0.02)
