"""The graph as it is written beside the optimized one: optimizations do not always pay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from effaudit.errors import EffauditError
from effaudit.run.in_turns import in_turns
from effaudit.run.process import Limits
from effaudit.timing.asked import TimeAsked
from effaudit.timing.statistics import runs_of
from effaudit.timing.types import Runs
from effaudit.timing.versus import EFFECT, compare

if TYPE_CHECKING:
    import numpy as np

ROUNDS: Final = 16
CONFIDENCE: Final = 0.99
BUDGET_S: Final = 5.0  # seconds of runs of both
TOO_SLOW_S: Final = 20.0  # of sessions and runs, where this would take longer it is left out
_LEAST_RUNS: Final = 20  # of both graphs, with those that do not count


class Plain(msgspec.Struct, frozen=True):
    """`runs` without optimizations and the `ratio` of their time to that of optimized ones in turns with them; None
    where there are none, which `note` explains. `faster`: the plain graph is the faster one, beyond the noise and by at
    least 2 %."""

    runs: Runs | None = None
    ratio: float | None = None
    faster: bool = False
    note: str = ""


def plainly(
    path: str, feed: Mapping[str, np.ndarray], asked: TimeAsked, batch: int, *, run_s: float, session_s: float
) -> Plain:
    """The plain graph in turns with the optimized one, of which a run takes `run_s` and a session `session_s`."""
    if not asked.plain or asked.optimize != "all":
        return Plain()
    if 2 * session_s + _LEAST_RUNS * run_s > min(TOO_SLOW_S, asked.seconds / 2):
        return Plain(note="the graph without optimizations was not run beside it, which would take long: --opt none")
    limits = Limits(min(asked.seconds, 6 * TOO_SLOW_S), asked.memory_bytes, asked.threads)
    try:
        turns = in_turns(
            path,
            path,
            feed,
            feed,
            rounds=ROUNDS,
            budget_s=BUDGET_S,
            limits=limits,
            provider=asked.provider,
            optimize=("all", "none"),
        )
    except EffauditError as error:
        return Plain(note=f"the graph without optimizations does not run: {str(error).removeprefix(f'{path}: ')}")
    found = compare(turns.first, turns.second, confidence=CONFIDENCE, effect=EFFECT)
    return Plain(runs_of(turns.second, batch), found.ratio, found.verdict == "faster")
