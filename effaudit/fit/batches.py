"""A model at several batch sizes on one device, and where it turns compute-bound."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from effaudit.assume import batch_dims
from effaudit.audited import examined
from effaudit.checks.subject import Subject
from effaudit.device.types import Device
from effaudit.errors import UsageError
from effaudit.estimate.roofline import roofline
from effaudit.fit.asked import FitAsked
from effaudit.fit.described import bound_of, seconds_of
from effaudit.fit.subject import subject_of
from effaudit.fit.types import BatchRow
from effaudit.graph import Graph
from effaudit.load import Given

MOST: Final = 2**16  # the largest batch that is looked at for the turn


def batches(raw: Graph, given: Given, device: Device, asked: FitAsked) -> tuple[tuple[BatchRow, ...], int | None]:
    """(a row for every batch asked for, the smallest batch at which operations take longer than bytes at the peaks).

    The latter is None where none up to 65,536 does, or the profile does not tell. Raises UsageError where the model has
    no batch to set."""
    names = batch_dims(raw)
    if not names:
        raise UsageError(f"--batch: {raw.source.path} leaves no batch dim open; it is fixed in the file")
    rows = tuple(_row(raw, given, names, device, asked, size) for size in asked.batches)
    return rows, _turn(raw, given, names, device, asked)


def _row(raw: Graph, given: Given, names: Iterable[str], device: Device, asked: FitAsked, size: int) -> BatchRow:
    subject = _at(raw, given, names, device, asked, size)
    found, total = roofline(subject.latency, subject.where), subject.latency.total
    return BatchRow(
        batch=size,
        intensity=found.intensity,
        latency_s=seconds_of(total),
        throughput_per_s=size / total.value if total.value else None,
        memory_share=found.memory_share,
        regime=found.regime,
        bound=bound_of(found),
    )


def _at(raw: Graph, given: Given, names: Iterable[str], device: Device, asked: FitAsked, size: int) -> Subject:
    dims = {**given.dims, **dict.fromkeys(names, size)}
    return subject_of(examined(raw, msgspec.structs.replace(given, dims=dims)), device, asked)


def _turn(raw: Graph, given: Given, names: Iterable[str], device: Device, asked: FitAsked) -> int | None:
    """The smallest batch that is compute-bound: bytes grow more slowly than operations, so it is searched by halves."""

    def bound(size: int) -> bool | None:
        subject = _at(raw, given, names, device, asked, size)
        said = roofline(subject.latency, subject.where).regime
        return None if said is None else said == "compute"

    if bound(1) is None or not bound(MOST):
        return None
    low, high = 0, 1
    while not bound(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if bound(middle) else (middle, high)
    return high
