"""The ranges of the tensors of a model over calibration inputs, reduced in the process that runs it: activations are
never held beyond those of one input, and never leave that process."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import replace

from effaudit.errors import UsageError
from effaudit.graph import Graph
from effaudit.load import read
from effaudit.run.execute import DEFAULT_LIMITS
from effaudit.run.process import Job, Limits, memory_limit, named, on_disk, start, workplace, write_feeds

if TYPE_CHECKING:
    import numpy as np

BINS: Final = 2048


class TensorRange(msgspec.Struct, frozen=True):
    """What was seen of one tensor over all inputs.

    `minimum` and `maximum` are those of its `count` finite elements (0 where it has none), `nonfinite` counts the NaNs
    and infinities left out. `counts` is a histogram of equal bins from `minimum` to `maximum` (to `minimum` + 1 where
    the two are equal), None where none was asked for. `channel_absmax` and `channel_squares` hold the largest absolute
    value and the sum of squares for each index of the axis that was asked for.
    """

    minimum: float
    maximum: float
    count: int
    nonfinite: int
    total: float
    squares: float
    counts: np.ndarray | None = None
    channel_absmax: np.ndarray | None = None
    channel_squares: np.ndarray | None = None

    @property
    def absmax(self) -> float:
        return max(-self.minimum, self.maximum, 0.0)

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else 0.0

    @property
    def rms(self) -> float:
        """The root of the mean square."""
        return sqrt(self.squares / self.count) if self.count else 0.0

    @property
    def edges(self) -> np.ndarray | None:
        """The edges of the bins of `counts`, one more than there are bins."""
        import numpy as np

        if self.counts is None:
            return None
        high = self.maximum if self.maximum > self.minimum else self.minimum + 1.0
        return np.linspace(self.minimum, high, len(self.counts) + 1)


def ranges(
    model: Graph | str | os.PathLike[str],
    feeds: Iterable[Mapping[str, np.ndarray]],
    tensors: Sequence[str],
    *,
    axes: Mapping[str, int] | None = None,
    bins: int = BINS,
    limits: Limits = DEFAULT_LIMITS,
) -> dict[str, TensorRange]:
    """The range of each of `tensors` (graph inputs, or what nodes of the main graph make) over all of `feeds`, without
    any optimization of the graph. `axes` names the axis along which a tensor's channels are told apart; `bins` is the
    size of the histograms, which take a second pass over the inputs (0: neither).

    Raises RunError where the model does not run, UsageError for a tensor that the graph does not compute, for feeds
    that are none and for a graph that cannot be saved, LoadError.
    """
    import numpy as np

    graph = model if isinstance(model, Graph) else read(model)
    name = named(graph)
    wanted = tuple(dict.fromkeys(tensors))
    made = {output for node in graph.nodes for output in node.outputs if output}
    for tensor in wanted:
        if tensor not in made and tensor not in graph.inputs:
            raise UsageError(f"{name}: {tensor!r} is no tensor that its main graph computes")
    if not wanted:
        return {}
    extra = [tensor for tensor in wanted if tensor in made and tensor not in graph.outputs]
    with workplace() as folder:
        path = on_disk(replace(graph, outputs=(*graph.outputs, *extra)), folder)
        count, inputs = write_feeds(feeds, folder, name)
        job = Job(
            task="ranges",
            model=path,
            feeds=count,
            inputs=inputs,
            outputs=wanted,
            optimize="none",
            seconds=limits.seconds,
            memory_bytes=memory_limit(limits),
            threads=limits.threads,
            bins=bins,
            axes=dict(axes or {}),
        )
        start(job, folder, name)
        with np.load(os.path.join(folder, "ranges.npz"), allow_pickle=False) as arrays:
            return {tensor: _range(arrays, i) for i, tensor in enumerate(wanted)}


def _range(arrays: Mapping[str, Any], i: int) -> TensorRange:
    low, high, count, infinite, total, squares = arrays[f"stats-{i}"].tolist()
    channels = arrays.get(f"channels-{i}")
    return TensorRange(
        minimum=low,
        maximum=high,
        count=int(count),
        nonfinite=int(infinite),
        total=total,
        squares=squares,
        counts=arrays.get(f"counts-{i}"),
        channel_absmax=None if channels is None else channels[0],
        channel_squares=None if channels is None else channels[1],
    )
