"""Many small models, timed one after the other in one process: starting a process for each would take longer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from effaudit.errors import RunError
from effaudit.graph import Graph
from effaudit.run.execute import DEFAULT_LIMITS
from effaudit.run.process import Limits, memory_limit, start, write_feeds
from effaudit.run.providers import runtime_name
from effaudit.run.timed import TimedJob, known, poll, timed_in
from effaudit.run.timed_types import Provider, Schedule, Timed
from effaudit.save import save_model

if TYPE_CHECKING:
    import numpy as np


class BatteryJob(TimedJob, frozen=True, kw_only=True):
    """A job of many models: of each its folder, and what a `TimedJob` says of it; the seconds that may go to measuring
    again what was disturbed."""

    parts: tuple[dict[str, object], ...]
    again_s: float


def battery(
    models: Iterable[tuple[Graph, Mapping[str, np.ndarray]]],
    schedule: Schedule,
    threads: Iterable[int],
    *,
    folder: str,
    again_s: float = 0.0,
    limits: Limits = DEFAULT_LIMITS,
    provider: Provider = "CPU",
    each: Callable[[int], None] | None = None,
) -> Iterator[list[Timed | None]]:
    """The times of models on one input each, as `effaudit.run.timed` gives them, for each number of `threads` in turn;
    None of one that does not run.

    The sessions are those of `timed`, with all optimizations. Models and what becomes of them lie in `folder`, a
    `workplace()`; what one number of threads left is read before the next begins. Models that ran while
    the machine gave fewer processors than threads run again, for `again_s` seconds at the most. `each` is told how many
    models are done. Raises RunError where the process ends badly.
    """
    parts = [_written(graph, feed, os.path.join(folder, f"model-{i}")) for i, (graph, feed) in enumerate(models)]
    for number, count in enumerate(threads):
        job = BatteryJob(
            task="battery",
            model="",
            feeds=0,
            inputs=(),
            outputs=None,
            optimize="all",
            seconds=limits.seconds,
            memory_bytes=memory_limit(limits),
            threads=count,
            provider=runtime_name(provider),
            parts=tuple(parts),
            again_s=again_s,
            **msgspec.structs.asdict(schedule),
        )
        for part in parts:
            _cleared(str(part["folder"]))
        tell = None if each is None else poll(folder, _from(each, number * len(parts)))
        start(job, folder, "the networks of a calibration", tell)
        yield [_found(str(part["folder"])) for part in parts]


def _from(each: Callable[[int], None], done: int) -> Callable[[int], None]:
    return lambda more: each(done + more)


def _written(graph: Graph, feed: Mapping[str, np.ndarray], place: str) -> dict[str, object]:
    os.mkdir(place)
    path = os.path.join(place, "model.onnx")
    save_model(graph, path)
    count, inputs = write_feeds([feed], place, graph.name)
    return {"folder": place, "model": path, "feeds": count, "inputs": inputs, **known(graph)}


def _cleared(place: str) -> None:
    """Without what was found before."""
    for name in ("timed.json", "profile.json"):
        path = os.path.join(place, name)
        if os.path.exists(path):
            os.remove(path)


def _found(place: str) -> Timed | None:
    try:
        return timed_in(place, "", "")
    except RunError:
        return None
