"""A model at several batch sizes on one device, and where it turns compute-bound."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from effaudit.assume import batch_dims
from effaudit.audited import examined
from effaudit.device.types import Device
from effaudit.errors import UsageError
from effaudit.estimate.latency import main_dtype
from effaudit.estimate.roofline import Roofline, regime, roofline
from effaudit.fit.asked import FitAsked
from effaudit.fit.subject import subject_of
from effaudit.fit.types import BatchRow, SecondsReport
from effaudit.graph import Graph
from effaudit.load import Given

MOST: Final = 2**16  # the largest batch that is looked at for the turn


def batches(raw: Graph, given: Given, device: Device, asked: FitAsked) -> tuple[tuple[BatchRow, ...], int | None]:
    """(a row for every batch asked for, the smallest batch at which the model's intensity reaches the ridge; None where
    none up to 65,536 does, or the profile does not tell). Raises UsageError where the model has no batch to set."""
    names = batch_dims(raw)
    if not names:
        raise UsageError(f"--batch: {raw.source.path} leaves no batch dim open; it is fixed in the file")
    rows = tuple(_row(raw, given, names, device, asked, size) for size in asked.batches)
    return rows, _turn(raw, given, names, device, asked)


def _row(raw: Graph, given: Given, names: Iterable[str], device: Device, asked: FitAsked, size: int) -> BatchRow:
    found, total = _at(raw, given, names, device, asked, size)
    value = total.value
    return BatchRow(
        batch=size,
        intensity=found.intensity,
        latency_s=total,
        throughput_per_s=size / value if value else None,
        memory_share=found.memory_share,
        regime=whole_regime(found),
    )


def _at(
    raw: Graph, given: Given, names: Iterable[str], device: Device, asked: FitAsked, size: int
) -> tuple[Roofline, SecondsReport]:
    dims = {**given.dims, **dict.fromkeys(names, size)}
    subject = subject_of(examined(raw, msgspec.structs.replace(given, dims=dims)), device, asked)
    total = subject.latency.total
    found = roofline(device, subject.latency, subject.where.activations)
    corner = tuple(r for r in found.ridges if r.dtype == main_dtype(subject.kernels))
    return msgspec.structs.replace(found, ridges=corner), SecondsReport(total.value, total.low, total.high, total.basis)


def whole_regime(found: Roofline) -> str | None:
    """The regime of the whole model: its intensity against the ridge of the type that most of it is in."""
    if found.intensity is None or not found.ridges:
        return None
    return regime(found.intensity, found.ridges[0].flop_per_byte)


def _turn(raw: Graph, given: Given, names: Iterable[str], device: Device, asked: FitAsked) -> int | None:
    """The smallest batch that is compute-bound: intensity grows with the batch, so it is searched by halves."""

    def bound(size: int) -> bool | None:
        said = whole_regime(_at(raw, given, names, device, asked, size)[0])
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
