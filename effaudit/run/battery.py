"""Many small models, timed one after the other in one process: starting a process for each would take longer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
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
    """A job of many models: of each its folder, and what a `TimedJob` says of it."""

    parts: tuple[dict[str, object], ...]


def battery(
    models: Iterable[tuple[Graph, Mapping[str, np.ndarray]]],
    schedule: Schedule,
    *,
    folder: str,
    limits: Limits = DEFAULT_LIMITS,
    provider: Provider = "CPU",
    each: Callable[[int], None] | None = None,
) -> list[Timed | None]:
    """The times of models on one input each, as `effaudit.run.timed` gives them; None of one that does not run.

    The sessions are those of `timed`, with all optimizations. Models and what becomes of them lie in `folder`, a
    `workplace()`. `each` is told how many models are done. Raises RunError where the process ends badly.
    """
    parts: list[dict[str, object]] = []
    for number, (graph, feed) in enumerate(models):
        place = os.path.join(folder, f"model-{number}")
        os.mkdir(place)
        path = os.path.join(place, "model.onnx")
        save_model(graph, path)
        count, inputs = write_feeds([feed], place, graph.name)
        parts.append({"folder": place, "model": path, "feeds": count, "inputs": inputs, **known(graph)})
    job = BatteryJob(
        task="battery",
        model="",
        feeds=0,
        inputs=(),
        outputs=None,
        optimize="all",
        seconds=limits.seconds,
        memory_bytes=memory_limit(limits),
        threads=limits.threads,
        provider=runtime_name(provider),
        parts=tuple(parts),
        **msgspec.structs.asdict(schedule),
    )
    start(job, folder, "the networks of a calibration", each and poll(folder, each))
    found: list[Timed | None] = []
    for part in parts:
        try:
            found.append(timed_in(str(part["folder"]), "", ""))
        except RunError:
            found.append(None)
    return found
