"""Audited -> WeightsReport: every tensor measured, then what the tensors are to each other."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from effaudit.audited import Audited
from effaudit.graph import Constant
from effaudit.views.weights.duplicates import duplicates, wanted
from effaudit.views.weights.findings import Material, findings
from effaudit.views.weights.float_left import float_left
from effaudit.views.weights.layout import Layout, layout
from effaudit.views.weights.measure import DAMAGED, REFUSED, Measured, Wanted, measure
from effaudit.views.weights.quantization import BadQuantization, bad_scale, bad_zero_point, coded_input
from effaudit.views.weights.totals import totals
from effaudit.views.weights.types import TensorWeights, Tied, Unread, WeightsReport
from effaudit.views.weights.uses import Use, uses
from effaudit.weights import BUFFER, PARAM, QUANTIZATION, UNUSED, Tensor

NAMES: Final = 5  # examples given of unread tensors
# Tensors may share bytes of a file, but not so many that reading them is far more work than reading the file.
MAX_TIMES_READ: Final = 4
FREE_BYTES: Final = 64 * 1024 * 1024
MAX_TENSORS: Final = 50_000  # that are read: each takes its time, however small it is


def inspect(audited: Audited) -> WeightsReport:
    """The values of every parameter, buffer and piece of quantization data, read in bounded memory.

    Never raises for a tensor that cannot be read: it has no figures then, and the reason.
    """
    tensors = audited.weights.of(PARAM, BUFFER, QUANTIZATION)
    constants = tuple(t.constant for t in tensors)
    used = uses(audited.graph, audited.flow)
    refused = {**_overlapping(constants), **_too_many(constants)}
    measured = tuple(
        _measured(t, _primary(used.get(id(t.constant), ())), want, refused.get(id(t.constant), ""))
        for t, want in zip(tensors, wanted(constants), strict=True)
    )
    told = tuple(_told(t, m, used.get(id(t.constant), ())) for t, m in zip(tensors, measured, strict=True))
    twice = duplicates(constants, measured)
    left = float_left(audited.graph, tensors, used)
    unread = _unread(told)
    material = Material(
        tensors=told,
        duplicates=twice,
        float_left=left,
        quantization=_bad_quantization(told, constants, used),
        unreadable=tuple(t for t, m in zip(told, measured, strict=True) if m.state == DAMAGED),
    )
    return WeightsReport(
        tensors=told,
        totals=totals(told, audited.weights.of(UNUSED), twice, left, unread),
        duplicates=twice,
        tied=_tied(tensors, used),
        float_left=left,
        findings=findings(material),
        unread=unread,
    )


def _measured(tensor: Tensor, use: Use | None, want: Wanted, refused: str) -> Measured:
    reason = tensor.constant.missing or refused
    if reason:
        return Measured(REFUSED, None, reason, None, reason)
    return measure(tensor.constant, use, tensor.logical // max(tensor.constant.numel, 1), want)


def _primary(found: Sequence[Use]) -> Use | None:
    """The use that says most of a constant: one with channels, else one with a zero point, else the first."""
    for use in found:
        if isinstance(layout(use), Layout):
            return use
    last = [use for use in found if not use.passes_on]
    coded = (use for use in (*last, *found) if use.view.dequantized is not None or use.zero_point is not None)
    return next(coded, (*last, *found, None)[0])


def _told(tensor: Tensor, measured: Measured, found: Sequence[Use]) -> TensorWeights:
    constant, reader = tensor.constant, tensor.reader
    name = next((use.input for use in found if use.node is reader), "")
    return TensorWeights(
        name=constant.name,
        role=tensor.role,
        reader=None if reader is None else reader.label,
        input=name or None,
        dtype=constant.encoding.dtype,
        shape=constant.shape,
        bytes=constant.nbytes,
        elements=constant.numel,
        values=measured.values,
        missing=measured.missing or None,
        channels=measured.channels,
        channels_why=measured.channels_why or None,
    )


def _overlapping(constants: Sequence[Constant]) -> Mapping[int, str]:
    """The tensors of files whose tensors lie over each other so often that reading them all would take too long."""
    asked: dict[str, int] = defaultdict(int)
    sizes: dict[str, int] = {}
    refused = {}
    for constant in constants:
        payload = constant.payload
        if payload is None:
            continue
        if payload.path not in sizes:
            sizes[payload.path] = _size(payload.path)
        asked[payload.path] += payload.length
        if asked[payload.path] > MAX_TIMES_READ * sizes[payload.path] + FREE_BYTES:
            refused[id(constant)] = f"the tensors of its file lie over each other, more than {MAX_TIMES_READ} deep"
    return refused


def _too_many(constants: Sequence[Constant]) -> Mapping[int, str]:
    """The tensors past the first `MAX_TENSORS`."""
    return {id(constant): f"the model has more than {MAX_TENSORS:,} tensors" for constant in constants[MAX_TENSORS:]}


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):
        return 0


def _tied(tensors: Sequence[Tensor], used: Mapping[int, Sequence[Use]]) -> tuple[Tied, ...]:
    """The parameters that more than one node reads; looked-through nodes are no readers."""
    found = []
    for tensor in tensors:
        constant = tensor.constant
        last = {id(use.node): use.node.label for use in used.get(id(constant), ()) if not use.passes_on}
        if tensor.role == PARAM and len(last) > 1:
            found.append(
                Tied(constant.name, constant.encoding.dtype, constant.shape, constant.nbytes, tuple(last.values()))
            )
    return tuple(found)


def _unread(told: Sequence[TensorWeights]) -> tuple[Unread, ...]:
    groups: dict[str, list[TensorWeights]] = defaultdict(list)
    for tensor in told:
        if tensor.missing:
            groups[tensor.missing].append(tensor)
    return tuple(
        Unread(reason, len(found), sum(t.bytes for t in found), tuple(t.name for t in found[:NAMES]))
        for reason, found in groups.items()
    )


def _bad_quantization(
    told: Sequence[TensorWeights], constants: Sequence[Constant], used: Mapping[int, Sequence[Use]]
) -> tuple[BadQuantization, ...]:
    held = {(id(use.node), use.place): use.view.constant for found in used.values() for use in found}
    bad: list[BadQuantization] = []
    for tensor, constant in zip(told, constants, strict=True):
        found = used.get(id(constant), ())
        places = ((use, coded_input(use)) for use in found)
        coded = [None if place is None else held.get((id(use.node), place)) for use, place in places]
        bad.extend(b for b in (bad_scale(tensor), bad_zero_point(tensor, found, coded)) if b is not None)
    return tuple(bad)
