"""TensorRT on a GPU: what a sample takes, from what the board states and eleven fitted numbers.

Per kernel max(MACs / (fraction x sustained x peak), bytes / (fraction x bandwidth)) + cycles of a launch. `sustained`
is the part of the boost clock that the board's power allows: dynamic power grows with the cube of the clock, so a board
of x W per Top/s runs at (x / (x + needed)) ** (1/3) of it. That one term brings boards of 70 W and of 700 W onto the
same fractions. Of activations the part cache_mib / (cache_mib + MiB of the last cache) goes to the memory. Chips before
Ampere need more power and more cycles per launch, each by a fitted factor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from benchmarks.latency.gpu_work import CLASSES, Work, work

CUBE: Final = 1 / 3
TERA: Final = 1e12
MIB: Final = 2**20
# By name, where the search starts. Leaving it by a factor e costs as much as a measurement that is off by PULL, of the
# STIFF ones by PULL over that. Fractions are at most MOST, 1 where it names none.
START: Final = {
    **dict(zip(CLASSES, (0.7, 0.05, 0.1, 0.8), strict=True)),
    "bandwidth": 0.85,
    "launch_cycles": 9e3,
    "needed_w": 1.0,
    "older_needed": 4.0,
    "older_cycles": 1.5,
    "dla": 0.4,
    "cache_mib": 60.0,
}
NAMES: Final = tuple(START)
STIFF: Final = {"bandwidth": 0.1}
PULL: Final = 0.1
MOST: Final = {"bandwidth": 0.95}
LARGE: Final = 0.3  # errors beyond it (of the logarithm) count by their size, no more by its square
ROUNDS: Final = 40
STEP: Final = 1e-4
ENOUGH: Final = 1e-7


class Board(msgspec.Struct, frozen=True):
    """What a board states: operations and bytes per second at its peaks, cycles per second, watts (None where it states
    none: then its clock is never limited), whether its chip is older than Ampere, operations per second of its DLAs,
    bytes of its last caches."""

    op_per_s: float
    byte_per_s: float
    clock_hz: float
    watts: float | None = None
    older: bool = False
    dla_op_per_s: float = 0.0
    cache_bytes: float = 0.0


class Sample(msgspec.Struct, frozen=True):
    """A measurement: seconds per sample of a network at a batch; `every` where all engines of the board work on it."""

    network: str
    dtype: str
    batch: int
    board: Board
    every: bool
    seconds: float


class Law(msgspec.Struct, frozen=True):
    """The fitted numbers by NAMES: `launch_cycles` of one kernel, `needed_w` of a Top/s at the boost clock, `cache_mib`
    of a cache that keeps half of the activations."""

    values: dict[str, float]

    def fraction(self, name: str) -> float:
        return min(self.values[name], MOST.get(name, 1.0))

    def sustained(self, board: Board) -> float:
        """The part of the boost clock that the board's power allows in products."""
        if board.watts is None:
            return 1.0
        needed = self.values["needed_w"] * (self.values["older_needed"] if board.older else 1.0)
        offered = board.watts / (board.op_per_s / TERA)
        return float((offered / (offered + needed)) ** CUBE)

    def crossing(self, board: Board) -> float:
        """The part of the activations that goes to the memory."""
        half = self.values["cache_mib"] * MIB
        return half / (half + board.cache_bytes)

    def cycles(self, board: Board) -> float:
        """What the launch of one kernel costs."""
        return self.values["launch_cycles"] * (self.values["older_cycles"] if board.older else 1.0)


def seconds(law: Law, sample: Sample) -> float:
    """Seconds per sample."""
    board, kernels = sample.board, work(sample.network, sample.dtype, sample.batch)
    alone = _on_gpu(law, board, kernels) / sample.batch
    if not sample.every or not board.dla_op_per_s:
        return alone
    macs = float(kernels[:, 1].sum()) / sample.batch
    beside = law.fraction("dla") * board.dla_op_per_s / (2 * macs)
    return 1 / (1 / alone + beside)


def _on_gpu(law: Law, board: Board, kernels: Work) -> float:
    rates = np.array([law.fraction(name) for name in CLASSES]) * law.sustained(board) * board.op_per_s
    place = kernels[:, 0].astype(int)
    compute = 2 * kernels[:, 1] / rates[place]
    memory = (kernels[:, 2] + law.crossing(board) * kernels[:, 3]) / (law.fraction("bandwidth") * board.byte_per_s)
    launches = law.cycles(board) / board.clock_hz * kernels[:, 4]
    return float((np.maximum(compute, memory) + launches).sum())


def fit(samples: Sequence[Sample], held: Sequence[str] = (), begin: Mapping[str, float] = START) -> Law:
    """The law that comes closest: damped Gauss-Newton on the logarithms. Samples of the same network, batch and board
    count as one, at their geometric mean; `held` names what stays where it begins."""
    cases = _cases(samples)
    free = [name for name in NAMES if name not in held]
    start = np.log(np.array([begin[name] for name in free]))
    stiff = np.array([PULL / STIFF.get(name, 1.0) for name in free])

    def residual(at: Any) -> Any:
        law = Law({**begin, **dict(zip(free, map(float, np.exp(at)), strict=True))})
        errors = np.array([np.log(seconds(law, case) / case.seconds) for case in cases])
        return np.concatenate([_tempered(errors), stiff * (at - start)])

    found = _descended(residual, start)
    return Law({**begin, **dict(zip(free, map(float, np.exp(found)), strict=True))})


def _cases(samples: Sequence[Sample]) -> list[Sample]:
    groups: dict[Sample, list[float]] = {}
    for sample in samples:
        groups.setdefault(msgspec.structs.replace(sample, seconds=0.0), []).append(sample.seconds)
    means = {key: float(np.exp(np.mean(np.log(group)))) for key, group in groups.items()}
    return [msgspec.structs.replace(key, seconds=mean) for key, mean in means.items()]


def _tempered(errors: Any) -> Any:
    """So that squares of large errors grow with their size only (Huber)."""
    size = np.abs(errors)
    return np.where(size < LARGE, errors, np.sign(errors) * np.sqrt(np.maximum(2 * LARGE * size - LARGE**2, 0)))


def _descended(residual: Any, at: Any) -> Any:
    here, damping = residual(at), 1e-2
    for _ in range(ROUNDS):
        slopes = np.column_stack([(residual(at + step) - here) / STEP for step in STEP * np.eye(len(at))])
        before = float(here @ here)
        for _ in range(8):
            move = np.linalg.solve(slopes.T @ slopes + damping * np.eye(len(at)), -slopes.T @ here)
            there = residual(at + move)
            if there @ there < before:
                at, here, damping = at + move, there, damping / 3
                break
            damping *= 4
        if before - float(here @ here) <= ENOUGH * before:
            break
    return at
