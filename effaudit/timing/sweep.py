"""A model timed at several sizes: what its bytes and operations say beside what was measured.

Intensity and regime are those of the roofline (`effaudit.estimate.roofline`): as a batch grows, weights are read once
for more samples, and at some batch operations take longer than bytes. What is measured shows it as throughput that no
longer grows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from math import log2
from typing import Final

import msgspec

from effaudit.assume import batch_dims
from effaudit.audited import Audited
from effaudit.device.types import Device
from effaudit.errors import UsageError
from effaudit.estimate.roofline import roofline
from effaudit.fit.asked import FitAsked
from effaudit.fit.batches import batches as batches_on
from effaudit.fit.subject import subject_of
from effaudit.graph import Graph
from effaudit.load import Given
from effaudit.report.model import totals_of
from effaudit.search.sweep.axes import listed, named, whole
from effaudit.search.sweep.points import every, given_at
from effaudit.search.sweep.types import Axis
from effaudit.timing.types import ModelTime, SweepPoint, SweepTurn
from effaudit.units import parse_count

BATCH: Final = "batch"
GAIN: Final = 0.10  # of throughput per doubling of the batch: less is not worth the latency
MOST_POINTS: Final = 1000  # of one model

UNASKED: Final = FitAsked()

Measured = tuple[Mapping[str, str], ModelTime]
Search = Callable[[str, Mapping[str, str]], int | None]


class Static(msgspec.Struct, frozen=True):
    """What a model costs at a size, without running it: FLOP per byte read and written (`intensity`) and per byte of
    weights, and the regime of the whole model at the peaks of a device (None without one)."""

    macs: int | None
    intensity: float | None
    weight_intensity: float | None
    regime: str | None


def static(audited: Audited, device: Device | None = None, asked: FitAsked = UNASKED) -> Static:
    """A model at its sizes, as it is written; the regime is that of the graph as the device's runtime executes it.
    Raises UsageError for what the device does not have."""
    totals, regime = totals_of(audited), None
    if device is not None:
        subject = subject_of(audited, device, asked)
        regime = roofline(subject.latency, subject.where).regime
    return Static(totals.macs, totals.intensity, totals.weight_intensity, regime)


def compute_from(raw: Graph, given: Given, device: Device, asked: FitAsked = UNASKED) -> int | None:
    """The smallest batch at which operations take longer than bytes at the peaks of a device, measured or not; None
    where none up to 65,536 does, or the profile does not tell. Raises UsageError where the batch is fixed."""
    return batches_on(raw, given, device, msgspec.structs.replace(asked, batches=()))[1]


def axes(dims: Iterable[str], shapes: Sequence[str] = (), batches: Sequence[str] = ()) -> tuple[Axis, ...]:
    """What varies: `dims` are words of --dim ("seq=128:8192:x2"), `shapes` of --shape (alternatives by semicolons),
    `batches` of --batch ("1,4,16" or "1:64:x2"). Raises UsageError."""
    items = [item.strip() for text in batches for item in text.split(",") if item.strip()]
    sizes = tuple(dict.fromkeys(size for item in items for size in listed(item, "--batch")))
    return (*named(dims, "dim"), *whole(shapes, "shape", ";"), *((Axis(BATCH, sizes),) if sizes else ()))


def grid(raw: Graph, given: Given, varied: Sequence[Axis]) -> tuple[tuple[dict[str, str], Given], ...]:
    """Every combination of what varies, the last axis fastest: its values, and the sizes to give to the model. An axis
    "batch" sets all dims that stand for one. Raises UsageError."""
    count = 1
    for axis in varied:
        count *= len(axis.values)
    if count > MOST_POINTS:
        raise UsageError(f"{raw.source.path}: {count:,} sizes to run; at most {MOST_POINTS:,}: take larger steps")
    names = batch_dims(raw)
    if not names and any(axis.name == BATCH for axis in varied):
        raise UsageError(f"--batch: {raw.source.path} leaves no batch dim open; it is fixed in the file")
    return tuple((chosen, _sized(given, chosen, names)) for chosen in every(varied))


def _sized(given: Given, chosen: Mapping[str, str], names: Iterable[str]) -> Given:
    found = given_at(given, {name: text for name, text in chosen.items() if name != BATCH})
    if BATCH not in chosen:
        return found
    size = parse_count(chosen[BATCH], "--batch")
    return msgspec.structs.replace(found, dims={**found.dims, **dict.fromkeys(names, size)})


def batch_axes(raw: Graph) -> frozenset[str]:
    """The axes along which only the batch varies."""
    return frozenset((BATCH, *(f"dim {name}" for name in batch_dims(raw))))


def points(measured: Iterable[Measured], along: frozenset[str] = frozenset((BATCH,))) -> tuple[SweepPoint, ...]:
    """A row for each size that was run, in their order; `along` are the axes of the batch."""
    rows = [_point(values, model) for values, model in measured]
    growth: dict[int, float] = {}
    for group in _groups(rows, along):
        for before, after in pairwise(sorted(group, key=lambda i: rows[i].batch)):
            if rows[after].batch > rows[before].batch:
                growth[after] = _growth(rows[before], rows[after])
    return tuple(msgspec.structs.replace(row, growth_ratio=growth.get(i)) for i, row in enumerate(rows))


def turns(
    rows: Sequence[SweepPoint], along: frozenset[str] = frozenset((BATCH,)), search: Search | None = None
) -> tuple[SweepTurn, ...]:
    """Where throughput is best, where it stops growing, and from which batch on the model is compute-bound, for each
    model and each value of what varies beside the batch. `search` finds that batch exactly (path, values -> batch);
    without it, it is the smallest of those measured."""
    found = (_turn([rows[i] for i in group], along, search) for group in _groups(rows, along))
    return tuple(turn for turn in found if turn is not None)


def _point(values: Mapping[str, str], model: ModelTime) -> SweepPoint:
    runs = model.runs
    return SweepPoint(
        path=model.path,
        values=dict(values),
        batch=runs.batch,
        macs=model.macs,
        intensity=model.intensity,
        weight_intensity=model.weight_intensity,
        regime=model.regime,
        p50_s=runs.p50_s,
        noise_ratio=runs.noise_ratio,
        throughput_per_s=runs.throughput_per_s,
        mac_per_s=None if model.macs is None else model.macs / runs.p50_s,
        growth_ratio=None,
    )


def _beside(row: SweepPoint, along: frozenset[str]) -> dict[str, str]:
    return {name: value for name, value in row.values.items() if name not in along}


def _groups(rows: Sequence[SweepPoint], along: frozenset[str]) -> list[list[int]]:
    """Numbers of the rows that differ in their batch alone."""
    found: dict[tuple[str, ...], list[int]] = {}
    for i, row in enumerate(rows):
        beside = (f"{name}={value}" for name, value in sorted(_beside(row, along).items()))
        found.setdefault((row.path, *beside), []).append(i)
    return list(found.values())


def _growth(before: SweepPoint, after: SweepPoint) -> float:
    """How much the throughput grew per doubling of the batch, minus one; over less than a doubling, how much in
    all: carried further, noise would be made much of."""
    doublings = max(1.0, log2(after.batch / before.batch))
    return float((after.throughput_per_s / before.throughput_per_s) ** (1 / doublings)) - 1.0


def _turn(group: Sequence[SweepPoint], along: frozenset[str], search: Search | None) -> SweepTurn | None:
    ordered = sorted(group, key=lambda row: row.batch)
    if ordered[0].batch == ordered[-1].batch:
        return None
    best = max(ordered, key=lambda row: row.throughput_per_s)
    path, values = ordered[0].path, _beside(ordered[0], along)
    bound = next((row.batch for row in ordered if row.regime == "compute"), None)
    return SweepTurn(
        path=path,
        values=values,
        compute_from=bound if search is None else search(path, values),
        best_batch=best.batch,
        best_throughput_per_s=best.throughput_per_s,
        knee_batch=_knee(ordered),
    )


def _knee(ordered: Sequence[SweepPoint]) -> int | None:
    """The smallest batch, but the largest of all, that no larger one beats by 10 % per doubling: all larger ones
    count, so that one slow point in between neither makes nor hides a knee."""
    for row in ordered:
        larger = [other for other in ordered if other.batch > row.batch]
        if larger and all(_growth(row, other) < GAIN for other in larger):
            return row.batch
    return None
