"""When the first runs of a model have become like all that follow."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from statistics import median
from typing import Final

LEAST: Final = 3
_WIDTH: Final = 25  # runs of a window at most
_TOLERANCE: Final = 0.01  # of the median: a drift below this is none
_CLOSE: Final = 0.05  # of the median: so near to each other are three runs that are steady
_SIGMA: Final = 2.0  # standard errors that two medians may lie apart
_EFFICIENCY: Final = 1.2533  # the standard error of a median over that of a mean: sqrt(pi / 2)
_NORMAL: Final = 0.9539  # the median of |x - y| of two draws from N(0, 1)


def settled(times: Sequence[float]) -> bool:
    """Whether runs that took `times`, in their order, show no trend any more.

    What makes first runs slower (pages touched for the first time, clocks that rise, a block of memory planned) fades,
    so the question is whether the latest runs differ from those just before them by more than runs differ by chance.
    The last two thirds are cut into two windows of equal width. Their medians, which one outlier in a window does not
    move far, must agree within two standard errors or 1 %. The spread that the error follows from is that of
    neighbouring runs: unlike the spread within a window it is not widened by the drift itself. Both windows could agree
    while times fall along them, so the trend in the pairs of runs (Mann and Kendall's S) must not be downward either,
    unless all of it is within 1 %.

    From 3 to 5 runs there are no two windows: the last three must be within 5 %, and not fall by more than 1 %. Fewer
    are never settled.
    """
    n = len(times)
    if n < LEAST:
        return False
    if n < 2 * LEAST:
        last = times[-LEAST:]
        falling = last[0] > last[1] > last[2] and last[0] - last[2] > _TOLERANCE * last[2]
        return max(last) - min(last) <= _CLOSE * median(last) and not falling
    width = min(max(n // 3, LEAST), _WIDTH)
    recent = times[-2 * width :]
    before, after = median(recent[:width]), median(recent[width:])
    apart = abs(after - before)
    if apart <= _TOLERANCE * after:
        return True
    spread = median(abs(a - b) for a, b in pairwise(recent)) / _NORMAL
    error = _EFFICIENCY * spread * sqrt(2 / width)
    return apart <= _SIGMA * error and not _falls(recent)


def _falls(times: Sequence[float]) -> bool:
    """Whether later runs are the faster ones beyond chance: S of Mann (1945) and Kendall, two standard deviations."""
    n = len(times)
    score = sum((b > a) - (b < a) for i, a in enumerate(times) for b in times[i + 1 :])
    return score < -_SIGMA * sqrt(n * (n - 1) * (2 * n + 5) / 18)
