"""Running a model on given inputs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from effaudit.graph import Graph
from effaudit.run.process import Job, Limits, memory_limit, named, on_disk, start, workplace, write_feeds

if TYPE_CHECKING:
    import numpy as np

Optimize: TypeAlias = Literal["none", "all"]
DEFAULT_LIMITS: Final = Limits()


def execute(
    model: Graph | str | os.PathLike[str],
    feeds: Iterable[Mapping[str, np.ndarray]],
    *,
    outputs: Sequence[str] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    optimize: Optimize = "none",
) -> list[dict[str, np.ndarray]]:
    """What ONNX Runtime computes: for each of `feeds` (arrays by input name) the graph outputs by name, or those of
    `outputs`. A `Graph`, as it was read or rewritten, is saved to a temporary file first; a path is run as it is.

    One process runs all of them, on the CPU, within `limits`. Raises RunError where the model does not run, UsageError
    for feeds that are none and a graph that cannot be saved, LoadError.
    """
    import numpy as np

    name = named(model)
    with workplace() as folder:
        path = on_disk(model, folder)
        count, inputs = write_feeds(feeds, folder, name)
        job = Job(
            task="execute",
            model=path,
            feeds=count,
            inputs=inputs,
            outputs=None if outputs is None else tuple(outputs),
            optimize=optimize,
            seconds=limits.seconds,
            memory_bytes=memory_limit(limits),
            threads=limits.threads,
        )
        names = start(job, folder, name)
        found = []
        for i in range(count):
            with np.load(os.path.join(folder, f"result-{i}.npz"), allow_pickle=False) as arrays:
                found.append({output: arrays[str(j)] for j, output in enumerate(names)})
        return found
