"""Two models run in turns: how much slower the second is, and whether that is more than noise.

What disturbs a run on a shared machine (another program, the clock) mostly lasts longer than a run, so it meets both of
a round: each round gives one ratio. Of their logarithms the median is taken, with the interval of the sign test: it
assumes no distribution, and a slow run moves it no further than by one place. Rounds that resemble their neighbours
count less (`effaudit.timing.order`).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from typing import Final

import msgspec

from effaudit.errors import UsageError
from effaudit.timing.order import least_values, median, median_interval
from effaudit.timing.statistics import runs_of
from effaudit.timing.types import Verdict, Versus

CONFIDENCE: Final = 0.999
EFFECT: Final = 0.02  # smaller differences are of no interest, and of the size of what an address or a page changes


class Compared(msgspec.Struct, frozen=True):
    """`ratio` is the second's time over the first's, `low` and `high` its interval, None with too few rounds."""

    rounds: int
    ratio: float
    low: float | None
    high: float | None
    verdict: Verdict
    warnings: tuple[str, ...]


def compare(
    first: Sequence[float], second: Sequence[float], *, confidence: float = CONFIDENCE, effect: float = EFFECT
) -> Compared:
    """Seconds of both in rounds: the i-th of the one ran next to the i-th of the other.

    "slower" and "faster" (of the second) are said only where the whole interval lies above 1 + `effect`, or below its
    inverse; where it leaves room for both, a warning says which differences would have been seen. Exchanging the two
    inverts ratio and verdict. Raises UsageError for options that make no sense, ValueError for lists of different
    length.
    """
    _sensible(confidence, effect)
    if len(first) != len(second) or not first:
        raise ValueError(f"rounds of {len(first)} and {len(second)} runs")
    logs = [log(b / a) for a, b in zip(first, second, strict=True)]
    found = median_interval(logs, confidence)
    ratio = exp(median(logs))
    if found is None:
        few = f"{len(logs)} rounds tell no difference at {_percent(confidence)}: at least {least_values(confidence)}"
        return Compared(len(logs), ratio, None, None, "no difference", (few,))
    verdict = _verdict(*found, log(1.0 + effect))
    warnings = _hidden(*found, effect, len(logs)) if verdict == "no difference" else ()
    return Compared(len(logs), ratio, exp(found[0]), exp(found[1]), verdict, warnings)


def versus(
    names: tuple[str, str],
    first: Sequence[float],
    second: Sequence[float],
    *,
    batches: tuple[int, int] = (1, 1),
    confidence: float = CONFIDENCE,
    effect: float = EFFECT,
) -> Versus:
    """The comparison of two models, for the document; `batches` are the samples of one run of each."""
    found = compare(first, second, confidence=confidence, effect=effect)
    return Versus(
        first=names[0],
        second=names[1],
        first_runs=runs_of(first, batches[0]),
        second_runs=runs_of(second, batches[1]),
        rounds=found.rounds,
        ratio=found.ratio,
        low=found.low,
        high=found.high,
        confidence=confidence,
        effect=effect,
        verdict=found.verdict,
        warnings=found.warnings,
    )


def _sensible(confidence: float, effect: float) -> None:
    if not 0.5 <= confidence <= 0.999999:
        raise UsageError(f"confidence {confidence:g}: expected a part between 0.5 and 0.999999, such as 0.999")
    if not 0.0 <= effect <= 1.0:
        raise UsageError(f"effect {effect:g}: expected a part between 0 and 1, such as 0.02")


def _verdict(low: float, high: float, effect: float) -> Verdict:
    """Of an interval and an effect as logarithms."""
    if low > effect:
        return "slower"
    return "faster" if high < -effect else "no difference"


def _hidden(low: float, high: float, effect: float, rounds: int) -> tuple[str, ...]:
    """A word where the interval leaves room for more than the effect: which differences would have been seen. That is
    where the middle of an interval as wide as this one would lie, for all of it to lie beyond the effect."""
    if max(high, -low) <= log(1.0 + effect):
        return ()
    seen = (1.0 + effect) * exp((high - low) / 2) - 1.0
    return (f"differences below {_percent(seen)} cannot be told with {rounds} rounds: run more of them",)


def _percent(part: float) -> str:
    return f"{100 * part:.3g} %"
