"""What is in the weights: each tensor, what is stored twice, what a quantized model keeps as floats, and the sums."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.report import ModelReport, size
from effaudit.tables.table import BYTES, COUNT, NONE, RATIO, SHARE, TEXT, Cell, Column, Table
from effaudit.views.weights import TensorWeights, WeightsReport
from effaudit.weights import BUFFER, PARAM

_TENSORS = (
    Column("tensor", "tensor", width=14),
    Column("role", "role", width=6),
    Column("reader", "read by", width=14),
    Column("shape", "shape", width=9),
    Column("dtype", "dtype", width=7),
    Column("elements", "elements", COUNT, 8),
    Column("bytes", "bytes", BYTES, 9),
    Column("zero_share", "zeros", SHARE, 7),
    Column("dead_outputs", "dead", COUNT, 5),
    Column("dead_inputs", "dead in", COUNT, 7),
    Column("min", "min", RATIO, 8),
    Column("max", "max", RATIO, 8),
    Column("mean", "mean", RATIO, 8),
    Column("std", "std", RATIO, 8),
    Column("peak_to_rms", "peak", RATIO, 6),
    Column("outliers", "out", COUNT, 5),
    Column("not_finite", "NaN", COUNT, 4),
    Column("denormals", "denormal", COUNT, 8),
    Column("distinct", "distinct", COUNT, 8),
    Column("spread", "spread", RATIO, 7),
    Column("two_four", "2:4", width=4),
    Column("missing", "not told", width=20),
)
_BRIEF = tuple("tensor shape dtype zero_share dead_outputs min max peak_to_rms outliers not_finite".split())
_TOTALS = (Column("what", "what", width=24), Column("value", "value", TEXT, 20))
_TWICE = (
    Column("kind", "kind", width=10),
    Column("tensors", "tensors", width=30),
    Column("bytes", "each", BYTES, 9),
    Column("wasted_bytes", "wasted", BYTES, 9),
)
_TIED = (
    Column("tensor", "tensor", width=20),
    Column("bytes", "bytes", BYTES, 9),
    Column("readers", "read by", width=30),
)
_FLOAT = (
    Column("tensor", "tensor", width=30),
    Column("op", "op", width=10),
    Column("dtype", "dtype", width=8),
    Column("bytes", "bytes", BYTES, 9),
)
_UNREAD = (
    Column("reason", "why", width=30),
    Column("tensors", "tensors", COUNT, 7),
    Column("bytes", "bytes", BYTES, 9),
)


def weights(model: ModelReport) -> tuple[Table, ...]:
    """The tensors first; tables that would be empty are left out."""
    found = model.weights
    if found is None:
        return ()
    made = [
        Table("weights", "weights", _TENSORS, lambda: _tensors(found), _LEGEND, "tensors", _BRIEF),
        Table("weights", "all weights", _TOTALS, lambda: _totals(found), f"{found.totals.coverage}.", "totals"),
        Table("weights", "stored twice", _TWICE, lambda: _twice(found), part="twice"),
        Table(
            "weights", "tied", _TIED, lambda: ((t.name, t.bytes, ", ".join(t.readers)) for t in found.tied), part="tied"
        ),
        Table("weights", "floats in a quantized model", _FLOAT, lambda: _floats(found), part="floats"),
        Table(
            "weights",
            "not told",
            _UNREAD,
            lambda: ((u.reason, u.tensors, u.bytes) for u in found.unread),
            part="unread",
        ),
    ]
    return (made[0], *(table for table in made[1:] if next(table.rows(), None) is not None))


_LEGEND = (
    "dead: output channels that are all zero; peak: max |x| over the root of the mean square; out: elements further "
    "than 6 standard deviations from the mean; NaN: elements that are NaN or infinite, left out of the others."
)


def _tensors(found: WeightsReport) -> Iterator[tuple[Cell, ...]]:
    """Parameters and buffers; scales and zero points stand in the JSON document."""
    return (_tensor(tensor) for tensor in found.tensors if tensor.role in (PARAM, BUFFER))


def _tensor(found: TensorWeights) -> tuple[Cell, ...]:
    values, channels = found.values, found.channels
    head = (found.name, found.role, found.reader or NONE, size(found.shape), found.dtype, found.elements, found.bytes)
    if values is None:
        return (*head, None, *[NONE] * 13, found.missing or "")
    dead: tuple[Cell, ...] = (NONE, NONE) if channels is None else (channels.dead_outputs, channels.dead_inputs)
    return (
        *head,
        values.zero_share,
        *dead,
        *(_known(number) for number in (values.min, values.max, values.mean, values.std, values.peak_to_rms)),
        _known(values.outliers),
        values.nan + values.infinite,
        values.denormals,
        NONE if values.distinct is None else values.distinct,
        _known(None if channels is None else channels.spread),
        NONE if channels is None or channels.two_four is None else "yes" if channels.two_four else "no",
        "",
    )


def _known(number: float | int | None) -> Cell:
    """ "-" where a figure does not apply: to codes, to tensors without finite elements."""
    return NONE if number is None else number


def _totals(found: WeightsReport) -> Iterator[tuple[Cell, ...]]:
    t = found.totals
    share = "" if t.zero_share is None else f" ({100 * t.zero_share:.2f} %)"
    yield "zeros among the parameters", "unknown" if t.zeros is None else f"{t.zeros:,} of {t.zeros_of:,}{share}"
    for what, value in (
        ("output channels that are all zero", t.dead_outputs),
        ("input channels that are all zero", t.dead_inputs),
        ("elements that are NaN or infinite", None if t.nan is None or t.infinite is None else t.nan + t.infinite),
        ("denormal elements", t.denormals),
        ("bytes in 2:4 sparse tensors", t.two_four_bytes),
        ("bytes stored twice", t.duplicate_bytes),
        ("bytes that 16 bits would save, losing nothing", t.lossless_16_bytes),
        ("float bytes in a quantized model", t.float_left_bytes if found.float_left is not None else 0),
        ("bytes of unused constants", t.unused_bytes),
    ):
        if value != 0:
            yield what, "unknown" if value is None else f"{value:,}"


def _twice(found: WeightsReport) -> Iterator[tuple[Cell, ...]]:
    for d in found.duplicates:
        yield d.kind, ", ".join(d.names), d.bytes, d.wasted_bytes


def _floats(found: WeightsReport) -> Iterator[tuple[Cell, ...]]:
    if found.float_left is not None:
        for tensor in found.float_left.tensors:
            yield tensor.name, tensor.op, tensor.dtype, tensor.bytes
        for apart in found.float_left.apart:
            yield f"{apart.tensors} tensors, usually kept", apart.what, "", apart.bytes


def _tied(found: WeightsReport) -> Iterator[tuple[Cell, ...]]:
    return ((t.name, t.bytes, ", ".join(t.readers)) for t in found.tied)


def _unread(found: WeightsReport) -> Iterator[tuple[Cell, ...]]:
    return ((u.reason, u.tensors, u.bytes) for u in found.unread)
