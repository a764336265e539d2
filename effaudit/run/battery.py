"""Many small models, timed one after the other in one process: starting a process for each would take longer."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
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


class Prepared(msgspec.Struct, frozen=True):
    """A model on disk, ready to run: its folder, and what the process should know of it."""

    folder: str
    part: dict[str, object]


def prepared(graph: Graph, feed: Mapping[str, np.ndarray], folder: str) -> Prepared:
    """A model and its input, written to a new `folder` in a `workplace()`."""
    os.mkdir(folder)
    path = os.path.join(folder, "model.onnx")
    save_model(graph, path)
    count, inputs = write_feeds([feed], folder, graph.name)
    return Prepared(folder, {"folder": folder, "model": path, "feeds": count, "inputs": inputs, **known(graph)})


def battery(
    models: Sequence[Prepared],
    schedule: Schedule,
    *,
    folder: str,
    limits: Limits = DEFAULT_LIMITS,
    provider: Provider = "CPU",
    each: Callable[[int], None] | None = None,
) -> list[Timed | None]:
    """The times of models, as `effaudit.run.timed` gives them; None of one that does not run.

    The sessions are those of `timed`, with all optimizations. What a battery leaves in the folders of its models is
    overwritten by the next. `each` is told how many models are done. Raises RunError where the process ends badly.
    """
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
        parts=tuple(model.part for model in models),
        **msgspec.structs.asdict(schedule),
    )
    for model in models:
        _cleared(model.folder)
    start(job, folder, "the networks of a calibration", None if each is None else poll(folder, each))
    return [_found(model.folder) for model in models]


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
