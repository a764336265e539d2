"""Timing two models in turns, in the process that runs them; `onnxruntime` is the module, handed over by `_child`.

Both sessions use one pool of threads, the global one: with a pool each, the threads of the one that has just run spin
on for some milliseconds on the processors that the other one needs (two copies of one model were seen 1.7 times apart).
Where a session's memory happens to lie makes it a little faster or slower for as long as it lives; so both are made
anew several times over the rounds, in changing order, as far as that does not take long.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Mapping, Sequence
from math import ceil
from random import Random
from statistics import median
from typing import Any, Final

from effaudit.run._timing import Told, once, options_of, ready, session_of, warm_up

LEAST: Final = 3  # rounds, however long they take
SITTINGS: Final = 5  # times that the sessions are made, at most
SITTING_SHARE: Final = 0.5  # of the seconds of all rounds that making them again may take
TURN_S: Final = 2e-3  # seconds of timed runs in a turn, where one run takes less
MOST: Final = 25  # runs in a turn
AGAIN_S: Final = 0.05  # seconds of runs before a session made anew counts
AGAIN: Final = 3  # and runs
STAGE: Final = "stage"


class Side:
    """One of the two: how its session is made, and the session."""

    def __init__(self, onnxruntime: Any, job: Mapping[str, Any], part: Mapping[str, Any], feed: Mapping[str, Any]):
        self._onnxruntime = onnxruntime
        self._job = {**job, **part}
        self._feed = ready(feed)
        self._session: Any = None
        self.session_s = self.first_s = 0.0
        self.warm: list[float] = []
        self.steady = False
        self.block = 1
        self.seconds: list[float] = []

    def open(self) -> None:
        options = options_of(self._onnxruntime, self._job)
        if hasattr(self._onnxruntime, "set_global_thread_pool_sizes"):
            options.use_per_session_threads = False
        else:
            options.add_session_config_entry("session.force_spinning_stop", "1")
        start = time.perf_counter()
        self._session = session_of(self._onnxruntime, self._job, options, self._job["model"])
        self.session_s = self.session_s or time.perf_counter() - start

    def close(self) -> None:
        self._session = None

    def once(self) -> float:
        return once(self._session, self._feed)

    def settle(self) -> None:
        """Warms up, and finds how many runs a turn takes."""
        self.first_s = self.once()
        self.warm, self.steady = warm_up(self.once, self._job, self.first_s)
        typical = median(self.warm[-AGAIN:] or [self.first_s])
        self.block = min(max(ceil(TURN_S / max(typical, 1e-9)), 1), MOST)

    def again(self) -> None:
        """Warms up a session made anew."""
        runs, spent = 0, 0.0
        while runs < AGAIN or spent < AGAIN_S:
            spent += self.once()
            runs += 1

    def turn(self) -> float:
        """The median of a few runs, after one that brings its weights back into the caches."""
        self.once()
        return median(self.once() for _ in range(self.block))


def in_turns(onnxruntime: Any, job: Mapping[str, Any], folder: str, feeds: Sequence[Mapping[str, Any]]) -> Any:
    """Runs both models in turns; what is found as the fields of `Turns`."""
    pool = getattr(onnxruntime, "set_global_thread_pool_sizes", None)
    if pool is not None:
        pool(job["threads"], 1)
    sides = [Side(onnxruntime, job, part, feed) for part, feed in zip(job["parts"], feeds, strict=True)]
    gc.collect()
    gc.disable()
    for i, side in enumerate(sides):
        stage(folder, i)
        side.open()
        side.settle()
    stage(folder, None)
    sittings = _rounds(sides, job, Told(folder))
    first, second = sides
    return {
        "first": first.seconds,
        "second": second.seconds,
        "runs_per_turn": [first.block, second.block],
        "session_s": [first.session_s, second.session_s],
        "first_s": [first.first_s, second.first_s],
        "warmup": [len(first.warm), len(second.warm)],
        "steady": [first.steady, second.steady],
        "sittings": sittings,
        "version": onnxruntime.__version__,
    }


def _rounds(sides: Sequence[Side], job: Mapping[str, Any], told: Told) -> int:
    """Fills both lists of seconds. Returns how often the sessions were made."""
    rounds, random = job["rounds"], Random(job["seed"])
    sittings = _sittings(sides, job)
    ends = [rounds * (i + 1) // sittings for i in range(sittings)]
    start = time.monotonic()
    made = 1
    for i in range(rounds):
        if i >= LEAST and time.monotonic() - start > job["budget_s"]:
            break
        if i == ends[made - 1]:
            _anew(sides if made % 2 == 0 else sides[::-1])
            made += 1
        order = sides if random.random() < 0.5 else sides[::-1]
        for side in order:
            side.seconds.append(side.turn())
        told.one_more()
    return made


def _sittings(sides: Sequence[Side], job: Mapping[str, Any]) -> int:
    """How often the sessions are to be made."""
    runs = sum((side.block + 1) * median(side.warm[-AGAIN:] or [side.first_s]) for side in sides)
    whole = min(job["rounds"] * runs, job["budget_s"])
    one = sum(side.session_s + max(AGAIN_S, AGAIN * side.first_s) for side in sides)
    return min(max(int(whole * SITTING_SHARE / one) + 1, 1), SITTINGS, max(int(job["rounds"]), 1))


def _anew(sides: Sequence[Side]) -> None:
    for side in sides:
        side.close()
    for side in sides:
        side.open()
    for side in sides:
        side.again()


def stage(folder: str, which: int | None) -> None:
    """Writes down which of the two is at work alone, for whoever asks after a crash."""
    with open(os.path.join(folder, STAGE), "w", encoding="ascii") as file:
        file.write("" if which is None else str(which))
