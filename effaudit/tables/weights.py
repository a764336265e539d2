"""What is in the weights: each tensor, what is stored twice, what a quantized model keeps as floats, and the sums."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.report import ModelReport
from effaudit.tables.table import BYTES, COUNT, RATIO, SHARE, TEXT, Cell, Column, Table
from effaudit.views.weights import TensorWeights, WeightsReport
from effaudit.weights import BUFFER, PARAM

_TENSORS = (
    Column("tensor", "tensor", width=14),
    Column("shape", "shape", width=9),
    Column("dtype", "dtype", width=7),
    Column("zero_share", "zeros", SHARE, 7),
    Column("dead_outputs", "dead", COUNT, 5),
    Column("min", "min", RATIO, 8),
    Column("max", "max", RATIO, 8),
    Column("peak_to_rms", "peak", RATIO, 6),
    Column("outliers", "out", COUNT, 5),
)
_TOTALS = (Column("what", "of the model", width=24), Column("value", "value", TEXT, 20))
_TWICE = (
    Column("kind", "stored twice", width=12),
    Column("tensors", "tensors", width=30),
    Column("bytes", "each", BYTES, 9),
    Column("wasted_bytes", "wasted", BYTES, 9),
)
_TIED = (Column("tensor", "tied", width=20), Column("bytes", "bytes", BYTES, 9), Column("readers", "read by", width=30))
_FLOAT = (
    Column("tensor", "float in a quantized model", width=30),
    Column("op", "op", width=10),
    Column("dtype", "dtype", width=8),
    Column("bytes", "bytes", BYTES, 9),
)
_UNREAD = (
    Column("reason", "not told", width=30),
    Column("tensors", "tensors", COUNT, 7),
    Column("bytes", "bytes", BYTES, 9),
)


def weights(model: ModelReport) -> tuple[Table, ...]:
    """The tensors first; tables that would be empty are left out."""
    found = model.weights
    if found is None:
        return ()
    made = [
        Table("weights", "weights", _TENSORS, lambda: _tensors(found), _LEGEND),
        Table("weights", "", _TOTALS, lambda: _totals(found), f"{found.totals.coverage}."),
        Table("weights", "", _TWICE, lambda: _twice(found)),
        Table("weights", "", _TIED, lambda: ((t.name, t.bytes, ", ".join(t.readers)) for t in found.tied)),
        Table("weights", "", _FLOAT, lambda: _floats(found)),
        Table("weights", "", _UNREAD, lambda: ((u.reason, u.tensors, u.bytes) for u in found.unread)),
    ]
    return (made[0], *(table for table in made[1:] if next(table.rows(), None) is not None))


_LEGEND = (
    "dead: output channels that are all zero; peak: max |x| over the root of the mean square; out: elements further "
    "than 6 standard deviations from the mean."
)


def _tensors(found: WeightsReport) -> Iterator[tuple[Cell, ...]]:
    """Parameters and buffers; scales and zero points stand in the JSON document."""
    return (_tensor(tensor) for tensor in found.tensors if tensor.role in (PARAM, BUFFER))


def _tensor(found: TensorWeights) -> tuple[Cell, ...]:
    shape, values, channels = "x".join(map(str, found.shape)) or "scalar", found.values, found.channels
    if values is None:
        return found.name, shape, found.dtype, None, *["-"] * 5
    dead = "-" if channels is None else channels.dead_outputs
    return (
        found.name,
        shape,
        found.dtype,
        values.zero_share,
        dead,
        values.min,
        values.max,
        values.peak_to_rms,
        values.outliers,
    )


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
        ("bytes that 16 bits hold exactly", t.lossless_16_bytes),
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
