"""Latency of networks on a phone's, board's or accelerator's engine, as the device profiles estimate it, for many
networks at once, and the fit of its parameters to measurements.

seconds = slowness x (per inference + sum over kernels of max(work / (rate x compute), bytes / (bandwidth fraction x
bandwidth)) + per kernel), the model of `effaudit.estimate.latency`. `compute` and `bandwidth` are what a board states
of itself; where it states nothing that tells how fast it is, they are 1 and `slowness` is fitted to its measurements.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec
import numpy as np

from benchmarks.zoo import build
from effaudit.audited import examine
from effaudit.device.types import OpClass
from effaudit.estimate.rates import LIKE_CLASS
from effaudit.estimate.work import kernels
from effaudit.lower.as_if import as_if
from effaudit.runtimes import find

# Classes with a rate of their own, in the order of the parameters; every other class runs like one of these.
CLASSES: Final[tuple[OpClass, ...]] = (
    "conv",
    "pointwise",
    "depthwise",
    "fully_connected",
    "matmul",
    "elementwise",
    "movement",
)
NAMES: Final = (*CLASSES, "bandwidth", "per_kernel", "per_inference")
WIDTH: Final = len(NAMES)
AS_IF: Final = {"float16": "fp16", "int8": "int8"}  # element type -> what `as_if` calls it
RULES: Final = "ideal"  # activations fused, QDQ folded

# The search goes along the logarithms of the parameters, that of conv relative to pointwise: both are one product of
# matrices, and few networks tell them apart. At most so many rounds over the parameters, steps halved down to the last;
# errors beyond LARGE (of the logarithm) count little, and leaving the starting point by a factor e costs PULL.
ROUNDS: Final = 80
LAST_STEP: Final = 0.01
LARGE: Final = 0.6
BEYOND: Final = 0.1
PULL: Final = 0.03

Costs = tuple[float, ...]  # by NAMES: rates and bandwidth as parts of the board's, seconds
Work = Any  # kernels x (class, MACs or operations, bytes of weights, bytes of activations), float64


class Board(msgspec.Struct, frozen=True):
    """What a board states of itself: multiply-accumulates per second at the peak that its kernels scale with, bytes per
    second, the bytes of weights that it keeps on chip, the part of activations that crosses its memory's interface."""

    compute: float = 1.0
    bandwidth: float = 1.0
    resident_bytes: float = 0.0
    crossing: float = 1.0


class Sample(msgspec.Struct, frozen=True):
    """A measurement of a network on `boards[board]`."""

    network: str
    dtype: str
    board: int
    seconds: float


class Fitted(msgspec.Struct, frozen=True):
    """The parameters, and by what each board is slower than they say (1 where that is not fitted, or no sample is of
    it)."""

    costs: Costs
    slowness: tuple[float, ...]


@cache
def work(network: str, dtype: str) -> Work:
    """The kernels of a network of the zoo in an element type. Raises KeyError of a network that is not built."""
    with TemporaryDirectory() as folder:
        graph = examine(build(network, Path(folder))).graph
    graph = as_if(graph, AS_IF[dtype]) if dtype in AS_IF else graph
    rows = []
    for kernel in kernels(find(RULES).lower(graph)):
        macs, busy = kernel.macs.high or 0, max(kernel.ops.high or 0, kernel.outputs.high or 0)
        moved = (kernel.read_bytes.high or 0) + (kernel.write_bytes.high or 0)
        place = CLASSES.index(class_of(kernel.op_class))
        rows.append((place, macs or busy, kernel.weight_bytes.high or 0, moved))
    made = np.array(rows, dtype=float)
    made.setflags(write=False)
    return made


def class_of(op_class: OpClass) -> OpClass:
    """The class whose rate a profile written by us gives a kernel."""
    if op_class in CLASSES:
        return op_class
    return next((one for one in LIKE_CLASS.get(op_class, ()) if one in CLASSES), "movement")


def seconds(costs: Costs, board: Board, kernels_: Work) -> float:
    """How long one inference takes, slowness apart."""
    return float(_Many([kernels_], board)(np.asarray(costs)).item())


class _Many:
    """Networks on one board, as arrays."""

    def __init__(self, works: Sequence[Work], board: Board) -> None:
        self.board = board
        self.count = np.array([len(one) for one in works])
        self.network = np.repeat(np.arange(len(works)), self.count)
        rows = np.concatenate(works) if works else np.zeros((0, 4))
        self.place = rows[:, 0].astype(int)
        self.work = rows[:, 1]
        total = np.bincount(self.network, rows[:, 2], minlength=len(works))
        streamed = np.maximum(0.0, 1.0 - board.resident_bytes / np.maximum(total, 1.0))
        self.bytes = rows[:, 2] * streamed[self.network] + rows[:, 3] * board.crossing

    def __call__(self, costs: Any) -> Any:
        compute = self.work / (costs[self.place] * self.board.compute)
        memory = self.bytes / (costs[len(CLASSES)] * self.board.bandwidth)
        kernels_ = np.bincount(self.network, np.maximum(compute, memory), minlength=len(self.count))
        return kernels_ + costs[-2] * self.count + costs[-1]


def fit(
    samples: Sequence[Sample],
    boards: Sequence[Board],
    start: Costs,
    *,
    most: Costs | None = None,
    scaled: bool = False,
) -> Fitted:
    """The parameters that bring estimates closest to measurements, by logarithm, each board counting the same; found by
    a search along one parameter at a time, from `start` and no higher than `most`. `scaled`: each board is slower than
    the model by a factor of its own. Deterministic. Raises ValueError of an empty list."""
    if not samples:
        raise ValueError("expected at least one measurement to fit")
    loss = _Loss(samples, boards, start, most, scaled=scaled)
    found = loss.start
    ways = np.concatenate((np.eye(WIDTH), [[-1.0, 1.0, *(0.0,) * (WIDTH - 2)]]))  # the last: pointwise without conv
    best, steps = loss(found), np.ones(len(ways))
    for _ in range(ROUNDS):
        for i, way in enumerate(ways):
            for step in (steps[i], -steps[i]):
                tried = found + step * way
                value = loss(tried)
                if value < best - 1e-6:
                    found, best = tried, value
                    steps[i] *= 1.5
                    break
            else:
                steps[i] /= 2
        if steps.max() < LAST_STEP:
            break
    slowness = loss.slowness(found) if scaled else {}
    return Fitted(tuple(loss.costs(found).tolist()), tuple(slowness.get(i, 1.0) for i in range(len(boards))))


class _Loss:
    """How far estimates are from measurements."""

    def __init__(
        self, samples: Sequence[Sample], boards: Sequence[Board], start: Costs, most: Costs | None, *, scaled: bool
    ) -> None:
        self.scaled = scaled
        self.start = np.log(np.array(start))
        self.start[0] -= self.start[1]
        self.most = np.full(WIDTH, np.inf) if most is None else np.array(most)
        self.parts: list[tuple[int, _Many, Any]] = []
        for i, board in enumerate(boards):
            own = [sample for sample in samples if sample.board == i]
            if own:
                many = _Many([work(sample.network, sample.dtype) for sample in own], board)
                self.parts.append((i, many, np.log([sample.seconds for sample in own])))

    def costs(self, place: Any) -> Any:
        """The parameters at a place of the search."""
        logs = place.copy()
        logs[0] += logs[1]
        return np.minimum(np.exp(logs), self.most)

    def __call__(self, place: Any) -> float:
        costs, parts = self.costs(place), []
        for _, many, measured in self.parts:
            error = measured - np.log(many(costs))
            size = np.abs(error - np.median(error) if self.scaled else error)
            parts.append(np.mean(np.minimum(size, LARGE + BEYOND * size)))
        return float(np.mean(parts) + PULL * np.mean(np.abs(place - self.start)))

    def slowness(self, place: Any) -> dict[int, float]:
        """Of each board that was measured."""
        costs = self.costs(place)
        return {i: float(np.exp(np.median(measured - np.log(many(costs))))) for i, many, measured in self.parts}
