"""Cycles of a network on a core under a runtime, fitted to measurements.

cycles = sum over the counts of `mcu_work` of count x cost, one cost per count. The logarithm of each cost is a sum of
effects: of all cores, of the core, the runtime, its version, the element type, and of their combinations; each effect
is drawn to 0 as strongly as its `SPREAD` is small (ridge regression; Gauss-Newton on relative errors). So what was
measured decides, and what was not is borrowed: a runtime never run on a core costs there what it costs elsewhere times
what that core costs, a version never seen what the newest one before it costs (each version adds an effect to those
before). The effect of a board is fitted but not used: a new board is predicted at the mean of the boards of its core.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from benchmarks.latency.mcu_work import WIDTH, Work

ALL: Final = -1  # an effect on every cost alike
NOISE: Final = 0.05  # of one measurement, relative: what a fit need not follow
ROUNDS: Final = 30
STEP: Final = 0.8  # of a full one: full steps overshoot, and take turns
CLOSE: Final = 1e-5  # a step that moves no cost by more ends the fit
# Cycles per MAC of conv, depthwise, pointwise, fully connected, and per element written, before any measurement: round
# numbers of the size that Cortex-M kernels have; `all` lets measurements move them.
START: Final = (2.0, 4.0, 1.5, 2.0, 20.0)
HALF_RATE: Final = 1.25  # what a cost is multiplied by where memories run at half of the clock, before any measurement
# By how much an effect may be expected to change a cost (standard deviation of its logarithm).
SPREAD: Final[dict[str, float]] = {
    "all": 2.0,
    "core": 1.0,
    "core/class": 0.3,
    "runtime": 1.0,
    "runtime/class": 0.5,
    "version": 0.3,
    "version/class": 0.2,
    "option": 0.3,
    "option/class": 0.2,
    "dtype": 1.0,
    "dtype/class": 0.3,
    "core+runtime": 0.2,
    "core+runtime/class": 0.15,
    "entry": 0.1,
    "entry/class": 0.1,
    "half rate": 0.2,
    "board": 0.15,
    "odd/class": 1.0,
}

Effect = tuple[Any, ...]  # what it is of, ending with the index of the cost it changes, or ALL


class Case(msgspec.Struct, frozen=True):
    """What a cost depends on. `peak` is the core's int8 MACs per cycle: cores are expected to differ by it.
    `half_rate`: its buses and memories run at half of its clock."""

    core: str
    half_rate: bool
    peak: float
    runtime: str
    version: str
    dtype: str


class Sample(msgspec.Struct, frozen=True):
    """A measurement: `cycles` of so much work, on a board. `odd` are the costs that this board's measurements cannot
    tell about others (see `mcu.ODD`)."""

    case: Case
    board: str
    work: Work
    cycles: float
    odd: tuple[int, ...] = ()


class Model(msgspec.Struct, frozen=True):
    """The fitted effects, and the versions of each runtime that were measured, oldest first."""

    effects: dict[Effect, float]
    versions: dict[str, tuple[str, ...]]


def fit(samples: Sequence[Sample]) -> Model:
    """The model of these measurements. Deterministic. Raises ValueError of an empty list."""
    if not samples:
        raise ValueError("expected at least one measurement to fit")
    versions = _versions(samples)
    lists = [list(_of_sample(sample, versions)) for sample in samples]
    places: dict[Effect, int] = {}
    for effect in (effect for effects in lists for effect in effects):
        places.setdefault(effect, len(places))
    design = _design(lists, places)
    start = np.array([np.log(_start(sample.case)) for sample in samples])
    counts = np.array([sample.work for sample in samples])
    measured = np.log([sample.cycles for sample in samples])
    variance = np.array([SPREAD[effect[0]] ** 2 for effect in places])
    found = np.zeros(len(places))
    for _ in range(ROUNDS):
        parts = counts * np.exp(start + design @ found)
        total = parts.sum(axis=1)
        slope = np.einsum("sc,sce->se", parts / total[:, None], design)
        missing = measured - np.log(total) + slope @ found
        # as many unknowns as measurements, not as effects
        system = (slope * variance) @ slope.T + np.eye(len(samples)) * NOISE**2
        moved = variance * (slope.T @ np.linalg.solve(system, missing))
        step = STEP * (moved - found)
        found = found + step
        if float(np.abs(step).max()) < CLOSE:
            break
    return Model({effect: float(found[place]) for effect, place in places.items()}, versions)


def costs(model: Model, case: Case) -> Work:
    """Cycles per MAC of each class, and per element written, on a board that was not measured."""
    found = [0.0] * WIDTH
    for effect in _effects(case, model.versions):
        for i in range(WIDTH):
            if effect[-1] in (ALL, i):
                found[i] += model.effects.get(effect, 0.0)
    return tuple(float(start * np.exp(one)) for start, one in zip(_start(case), found, strict=True))


def cycles(model: Model, case: Case, work: Work) -> float:
    """Cycles of so much work on a board that was not measured."""
    return sum(count * cost for count, cost in zip(work, costs(model, case), strict=True))


def _start(case: Case) -> Work:
    return tuple(cost * 2.0 / case.peak * (HALF_RATE if case.half_rate else 1.0) for cost in START)


def _effects(case: Case, versions: Mapping[str, Sequence[str]]) -> Iterable[Effect]:
    pair, entry = (case.core, case.runtime), (case.core, case.runtime, case.version, case.dtype)
    keys: list[tuple[str, Effect]] = [("all", ()), ("core", (case.core,)), ("runtime", (case.runtime,))]
    keys += [("core+runtime", pair), ("entry", entry)]
    if case.half_rate:
        keys.append(("half rate", ()))
    plain, _, option = case.version.partition("-")
    steps = versions.get(case.runtime, ())
    keys += [("version", (case.runtime, step)) for step in steps if parts(step) <= parts(plain)]
    if option:
        keys.append(("option", (case.runtime, option)))
    if case.dtype != "int8":
        keys.append(("dtype", (case.dtype,)))
    for name, key in keys:
        if name != "all":
            yield (name, *key, ALL)
        if name != "half rate":
            spread = name if name == "all" else f"{name}/class"
            yield from ((spread, *key, i) for i in range(WIDTH))


def _of_sample(sample: Sample, versions: Mapping[str, Sequence[str]]) -> Iterable[Effect]:
    yield from _effects(sample.case, versions)
    yield ("board", sample.board, ALL)
    for i in sample.odd:
        yield ("odd/class", sample.board, sample.case.runtime, i)


def _design(lists: Sequence[Sequence[Effect]], places: Mapping[Effect, int]) -> Any:
    """1 where an effect changes a cost of a sample: samples x costs x effects."""
    made = np.zeros((len(lists), WIDTH, len(places)))
    for s, effects in enumerate(lists):
        for effect in effects:
            made[s, slice(None) if effect[-1] == ALL else effect[-1], places[effect]] = 1.0
    return made


def _versions(samples: Sequence[Sample]) -> dict[str, tuple[str, ...]]:
    """Of each runtime the versions that have an order, oldest first: not those that name a commit."""
    found: dict[str, set[str]] = {}
    for sample in samples:
        plain = sample.case.version.partition("-")[0]
        if parts(plain):
            found.setdefault(sample.case.runtime, set()).add(plain)
    return {runtime: tuple(sorted(plain, key=parts)) for runtime, plain in sorted(found.items())}


def parts(version: str) -> tuple[int, ...]:
    """A version as numbers that can be ordered; () of one that has no order."""
    return tuple(int(part) for part in version.split(".")) if re.fullmatch(r"\d+(\.\d+)+", version) else ()
