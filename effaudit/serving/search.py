"""The largest whole number for which something still fits, by few trials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

MOST: Final = 2**31  # tokens, sequences: past it nothing is asked
BISECT_EVERY: Final = 3


def largest(left: Callable[[int], int], most: int = MOST) -> int | None:
    """The largest n from 1 to `most` with `left(n)` at 0 or above; 0 where there is none, None where `most` still fits.

    `left` must never rise. It is nearly a straight line as a rule: trials are made where the line through the two ends
    of the range left crosses zero, and in its middle every third time, so that any falling function takes some
    hundred trials at most.
    """
    at_low = left(1)
    if at_low < 0:
        return 0
    low, high, at_high = 1, 0, 0
    step = 1
    while not high:  # upwards until it no longer fits
        trial = min(low + step, most)
        value = left(trial)
        if value < 0:
            high, at_high = trial, value
        elif trial == most:
            return None
        else:
            fall = at_low - value
            ahead = value * (trial - low) // fall if fall > 0 else step * 15
            low, at_low = trial, value
            step = ahead + 1
    return _between(left, (low, at_low), (high, at_high))


def _between(left: Callable[[int], int], fits: tuple[int, int], fails: tuple[int, int]) -> int:
    (low, at_low), (high, at_high) = fits, fails
    trials = 0
    while high - low > 1:
        trials += 1
        middle = (low + high) // 2
        guess = low + at_low * (high - low) // (at_low - at_high)
        trial = middle if trials % BISECT_EVERY == 0 else min(max(guess, low + 1), high - 1)
        value = left(trial)
        if value >= 0:
            low, at_low = trial, value
        else:
            high, at_high = trial, value
    return low
