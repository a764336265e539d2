"""Running two models in turns, so that whatever slows the machine slows both: what `time A --vs B` is told from."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from effaudit.errors import RunError
from effaudit.graph import Graph
from effaudit.run.execute import DEFAULT_LIMITS, Optimize
from effaudit.run.process import Job, Limits, memory_limit, named, on_disk, opened, start, workplace, write_feeds
from effaudit.run.providers import runtime_name
from effaudit.run.timed import poll
from effaudit.run.timed_types import Provider

if TYPE_CHECKING:
    import numpy as np

SEED: Final = 0
_STAGE: Final = "stage"


class Turns(msgspec.Struct, frozen=True):
    """Two models, run in turns: seconds of one run, a pair for every round, in which chance decided who was first. A
    turn is one run that does not count and then `runs_per_turn`, of which the median counts. Pairs are by model: of the
    sessions as first made the seconds of making them and of the first run, how many runs warmed them up, and whether
    until they were steady. `sittings`: how often both sessions were made, each time with their memory elsewhere."""

    first: tuple[float, ...]
    second: tuple[float, ...]
    runs_per_turn: tuple[int, int]
    session_s: tuple[float, float]
    first_s: tuple[float, float]
    warmup: tuple[int, int]
    steady: tuple[bool, bool]
    sittings: int
    version: str


class TurnsJob(Job, frozen=True, kw_only=True):
    """A job of two models; `parts` are what differs between them."""

    provider: str
    parts: tuple[Mapping[str, Any], ...]
    rounds: int
    budget_s: float
    warmup: int | None
    seed: int


def in_turns(
    first: Graph | str | os.PathLike[str],
    second: Graph | str | os.PathLike[str],
    feed_first: Mapping[str, np.ndarray],
    feed_second: Mapping[str, np.ndarray],
    *,
    rounds: int,
    budget_s: float = 60.0,
    warmup: int | None = None,
    seed: int = SEED,
    limits: Limits = DEFAULT_LIMITS,
    provider: Provider = "CPU",
    optimize: tuple[Optimize, Optimize] = ("all", "all"),
    each: Callable[[int], None] | None = None,
) -> Turns:
    """Both models in one process, `rounds` times both of them in an order that chance decides; fewer, but at least
    three, where `budget_s` seconds have passed. Both are warmed up, for `warmup` runs or until they are steady. `each`
    is told a few times a second how many rounds are done.

    Raises RunError, which names the model where it is known, where one of them does not run; UsageError, LoadError.
    """
    names = (named(first), named(second))
    both = f"{names[0]} and {names[1]} in turns"
    with workplace() as folder:
        parts = [
            _part(model, feed, os.path.join(folder, str(i)), level)
            for i, (model, feed, level) in enumerate(
                ((first, feed_first, optimize[0]), (second, feed_second, optimize[1]))
            )
        ]
        job = TurnsJob(
            task="in_turns",
            model="",
            feeds=1,
            inputs=(),
            outputs=None,
            optimize="",
            seconds=limits.seconds,
            memory_bytes=memory_limit(limits),
            threads=limits.threads,
            provider=runtime_name(provider),
            parts=tuple(parts),
            rounds=rounds,
            budget_s=budget_s,
            warmup=warmup,
            seed=seed,
        )
        try:
            found = start(job, folder, both, each and poll(folder, each))
        except RunError as error:
            name = _at_work(folder, names)
            if name is None:
                raise
            raise RunError(f"{name}: {str(error).removeprefix(f'{both}: ')}") from None
        return msgspec.convert(found, Turns)


def _part(
    model: Graph | str | os.PathLike[str], feed: Mapping[str, np.ndarray], folder: str, optimize: Optimize
) -> dict[str, Any]:
    """What the process should know of one of the two; its files lie in `folder`."""
    os.mkdir(folder)
    _, inputs = write_feeds([feed], folder, named(model))
    return {"model": on_disk(model, folder, opened(model)), "inputs": inputs, "optimize": optimize, "folder": folder}


def _at_work(folder: str, names: tuple[str, str]) -> str | None:
    """The model that was alone at work when the process ended."""
    try:
        with open(os.path.join(folder, _STAGE), encoding="ascii") as file:
            return names[int(file.read())]
    except (OSError, ValueError):
        return None
