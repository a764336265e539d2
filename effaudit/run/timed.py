"""Running a model for its time: once, in a process of its own, as a script with the same session options would."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from effaudit.errors import RunError
from effaudit.graph import Graph, nested
from effaudit.run.execute import DEFAULT_LIMITS, Optimize
from effaudit.run.process import Job, Limits, memory_limit, named, on_disk, opened, start, write_feeds
from effaudit.run.providers import runtime_name
from effaudit.run.timed_types import Provider, Schedule, Timed

if TYPE_CHECKING:
    import numpy as np

# operators whose bodies run as often as their inputs say
_LOOPS: Final = frozenset("Loop Scan SequenceMap BeamSearch GreedySearch Sampling WhisperBeamSearch".split())


class TimedJob(Job, frozen=True, kw_only=True):
    """A job of timing: the `Schedule`, and what the process should know of the model ahead."""

    provider: str
    runs: int
    warmup: int | None
    profiled: int
    budget_s: float
    least: int
    profiled_s: float
    nodes: int = 0
    loops: bool = False
    weight_bytes: int = 0


def timed(
    model: Graph | str | os.PathLike[str],
    feed: Mapping[str, np.ndarray],
    schedule: Schedule,
    *,
    folder: str,
    limits: Limits = DEFAULT_LIMITS,
    provider: Provider = "CPU",
    optimize: Optimize = "all",
    each: Callable[[int], None] | None = None,
) -> Timed:
    """The times of a model on one input, and the profile of a second session.

    The sessions are those of an ordinary script: `limits.threads` threads, ONNX Runtime's defaults otherwise. `folder`
    is a `workplace()` that the caller holds open for as long as it reads the optimized graph. `each` is told a few
    times a second how many runs are done, of `schedule.runs` and the profiled ones.

    Raises RunError where the model does not run or the provider is not there, UsageError for a graph that cannot be
    saved, LoadError. A profiled session that fails, crashes or runs out of time costs the profile alone.
    """
    name = named(model)
    graph = opened(model)
    count, inputs = write_feeds([feed], folder, name)
    job = TimedJob(
        task="timed",
        model=on_disk(model, folder, graph),
        feeds=count,
        inputs=inputs,
        outputs=None,
        optimize=optimize,
        seconds=limits.seconds,
        memory_bytes=memory_limit(limits),
        threads=limits.threads,
        provider=runtime_name(provider),
        **msgspec.structs.asdict(schedule),
        **known(graph),
    )
    why = ""
    try:
        start(job, folder, name, each and poll(folder, each))
    except RunError as error:
        why = str(error).removeprefix(f"{name}: ")
    return timed_in(folder, name, why)


def timed_in(folder: str, name: str, why: str) -> Timed:
    """What the process left in its folder; `why` it ended badly. Raises RunError where it left no times."""
    found = _read(folder, "timed.json")
    if found is None:
        raise RunError(f"{name}: {why or 'ONNX Runtime left no times'}")
    profile = _read(folder, "profile.json") or {
        "profile": None,
        "optimized": "",
        "optimized_why": why or "the model was not profiled",
    }
    if profile["optimized"]:
        profile["optimized"] = os.path.join(folder, profile["optimized"])
    return msgspec.convert({**found, **profile, "profile_why": why}, Timed)


def known(graph: Graph) -> dict[str, Any]:
    """What the process should know of a model ahead: how many nodes a run calls, whether some are called many times,
    and the bytes of its weights."""
    parts = list(nested((graph,)))
    return {
        "nodes": sum(len(part.nodes) for part in parts),
        "loops": any(node.op in _LOOPS for part in parts for node in part.nodes),
        "weight_bytes": sum(constant.nbytes for part in parts for constant in part.constants.values()),
    }


def poll(folder: str, each: Callable[[int], None]) -> Callable[[], None]:
    """Tells `each` what the process wrote of its progress."""

    def look() -> None:
        try:
            with open(os.path.join(folder, "progress"), encoding="ascii") as file:
                each(int(file.read() or 0))
        except (OSError, ValueError):
            pass

    return look


def _read(folder: str, name: str) -> dict[str, Any] | None:
    try:
        with open(os.path.join(folder, name), "rb") as file:
            found: dict[str, Any] = msgspec.json.decode(file.read())
            return found
    except FileNotFoundError:
        return None
