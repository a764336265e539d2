"""Order statistics: what a few slow runs do not move, and how well a median is known."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import floor, sqrt
from typing import Final

MOST_LAGS: Final = 50  # neighbours farther apart than this are taken as independent


def percentile(ordered: Sequence[float], part: float) -> float:
    """The value at `part` (0 to 1) of sorted values, linear between neighbours: type 7 of Hyndman and Fan
    (https://doi.org/10.1080/00031305.1996.10473566), the default of numpy and R."""
    place = (len(ordered) - 1) * part
    below = floor(place)
    if below + 1 >= len(ordered):
        return ordered[-1]
    low, high = ordered[below], ordered[below + 1]
    return low + (high - low) * (place - below)


def median(values: Sequence[float]) -> float:
    """The middle value, or halfway between the two."""
    return percentile(sorted(values), 0.5)


def least_values(confidence: float) -> int:
    """How many values an interval of the median takes: that all lie on one side of it, 2 / 2^n, must be no more likely
    than 1 - `confidence`. 6 at 95 %, 11 at 99.9 %."""
    n = 1
    while 2.0 ** (1 - n) > 1.0 - confidence:
        n += 1
    return n


def median_interval(values: Sequence[float], confidence: float) -> tuple[float, float] | None:
    """Where the median of what values are drawn from lies, whatever its distribution: between two order statistics,
    as in the sign test. As many values lie below that median as fair coins show heads.

    Values are in their order in time: where they resemble their neighbours fewer of them count (`effective`), which of
    few values that resemble each other much tells not all: 50 that correlate by 0.9 are covered in 78 % for 95 %.
    None of too few values (`least_values`).
    """
    n, least = len(values), least_values(confidence)
    if n < least:
        return None
    counted = max(least, min(n, floor(effective(values))))
    # The k-th of m values lies at k / (m + 1) of what they are drawn from: the same place among all n.
    left = (outside(counted, confidence) + 1) * (n + 1) // (counted + 1) - 1
    ordered = sorted(values)
    return ordered[left], ordered[n - 1 - left]


def outside(n: int, confidence: float) -> int:
    """How many of n independent values lie outside the interval on each side: the largest k for which k or fewer heads
    of n coins are no likelier than (1 - `confidence`) / 2. -1 where even none is."""
    allowed = floor(Fraction(1.0 - confidence) / 2 * 2**n)
    heads, ways, total = 0, 1, 1
    while total <= allowed:
        heads += 1
        ways = ways * (n - heads + 1) // heads
        total += ways
    return heads - 1


def effective(values: Sequence[float]) -> float:
    """How many independent values tell as much of the median: n / (1 + 2 x the sum of autocorrelations), those of the
    signs about the median, which outliers do not move. The sum ends with the first that chance explains (one standard
    error, 1 / sqrt n); what is negative never counts, so the result is at most n."""
    n, middle = len(values), median(values)
    signs = [(one > middle) - (one < middle) for one in values]
    told = sum(map(abs, signs))
    if not told:
        return float(n)
    total = 1.0
    for lag in range(1, min(n // 4, MOST_LAGS) + 1):
        alike = sum(a * b for a, b in zip(signs, signs[lag:], strict=False)) / told
        if alike <= 1 / sqrt(n):
            break
        total += 2 * alike
    return n / total
