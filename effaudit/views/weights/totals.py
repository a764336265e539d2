"""Sums over the tensors of a model, with what they cover."""

from __future__ import annotations

from collections.abc import Sequence

from effaudit.views.weights.types import Duplicate, FloatLeft, TensorWeights, Unread, WeightTotals
from effaudit.weights import PARAM, Tensor

HALF: tuple[str, ...] = ("float16", "bfloat16")


def totals(
    told: Sequence[TensorWeights],
    unused: Sequence[Tensor],
    twice: Sequence[Duplicate],
    left: FloatLeft | None,
    unread: Sequence[Unread],
) -> WeightTotals:
    """The totals; figures of values are None where no parameter could be read."""
    params = [t for t in told if t.role == PARAM]
    values = [t.values for t in params if t.values is not None]
    channels = [t.channels for t in params if t.channels is not None]
    known = [(v.zeros, t.elements) for t in params if (v := t.values) is not None and v.zeros is not None]
    zeros = sum(count for count, _ in known) if known else None
    zeros_of = sum(elements for _, elements in known)
    read = sum(t.values is not None for t in told)

    def summed(counts: Sequence[int | None]) -> int | None:
        """The sum of what is known, None where nothing is."""
        there = [count for count in counts if count is not None]
        return sum(there) if there else None

    return WeightTotals(
        tensors=len(told),
        read=read,
        coverage=_coverage(len(told), unread),
        elements=sum(t.elements for t in params),
        bytes=sum(t.bytes for t in told),
        zeros=zeros,
        zeros_of=zeros_of,
        zero_share=None if zeros is None or not zeros_of else zeros / zeros_of,
        nan=summed([v.nan for v in values]),
        infinite=summed([v.infinite for v in values]),
        denormals=summed([v.denormals for v in values]),
        dead_outputs=summed([c.dead_outputs for c in channels]),
        dead_inputs=summed([c.dead_inputs for c in channels]),
        two_four_bytes=summed([t.bytes if t.channels.two_four else 0 for t in params if t.channels is not None]),
        duplicate_bytes=sum(d.wasted_bytes for d in twice) if read else None,
        lossless_16_bytes=sum(map(lossless_16, params)) if values else None,
        float_left_bytes=None if left is None else left.bytes,
        unused=len(unused),
        unused_bytes=sum(t.constant.nbytes for t in unused),
    )


def lossless_16(tensor: TensorWeights) -> int:
    """Bytes that 16-bit floats would save of a tensor whose numbers all are 16-bit floats."""
    if tensor.values is None or not set(HALF).intersection(tensor.values.exact_in):
        return 0
    return tensor.bytes - 2 * tensor.elements


def _coverage(tensors: int, unread: Sequence[Unread]) -> str:
    missing = sum(group.tensors for group in unread)
    if not tensors:
        return "the model has no weights"
    if not missing:
        return "the only tensor was read" if tensors == 1 else f"all {tensors:,} tensors were read"
    others = len(unread) - 1
    more = f" (and {others} other reason{'s' if others > 1 else ''})" if others else ""
    return f"{missing:,} of {tensors:,} tensor{'s' if tensors > 1 else ''} could not be read: {unread[0].reason}{more}"
