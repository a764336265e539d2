"""Tensors that the file stores more than once: as they are, or transposed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from effaudit.graph import STRING, Constant
from effaudit.views.weights.measure import Measured, Wanted
from effaudit.views.weights.types import Duplicate

Kind = tuple[str, tuple[int, ...]]  # element type, shape


def wanted(constants: Sequence[Constant]) -> tuple[Wanted, ...]:
    """Which digests are worth taking: those that another tensor of the model could share.

    A tensor of one element is never a duplicate: scalars of equal value are no waste.
    """
    kinds = Counter(_kind(c) for c in constants if _counts(c))

    def of(constant: Constant) -> Wanted:
        if not _counts(constant):
            return Wanted(False, False)
        kind = _kind(constant)
        return Wanted(kinds[kind] > 1, _is_matrix(constant) and kinds[_turned(kind)] > (kind == _turned(kind)))

    return tuple(of(c) for c in constants)


def duplicates(constants: Sequence[Constant], measured: Sequence[Measured]) -> tuple[Duplicate, ...]:
    """The groups of equal tensors, then the matrices that are the transpose of another, in the order of the file."""
    groups: dict[tuple[Kind, bytes], list[Constant]] = defaultdict(list)
    for constant, found in zip(constants, measured, strict=True):
        if found.content:
            groups[(_kind(constant), found.content)].append(constant)
    equal = [_duplicate("same", group) for group in groups.values() if len(group) > 1]
    return (*equal, *_transposes(constants, measured))


def _transposes(constants: Sequence[Constant], measured: Sequence[Measured]) -> list[Duplicate]:
    """The first matrix of each content with the first of its transpose; a symmetric matrix is none of its own."""
    first: dict[tuple[Kind, tuple[int, ...]], Constant] = {}
    pairs = []
    for constant, found in zip(constants, measured, strict=True):
        if not found.straight:
            continue
        kind = _kind(constant)
        if (kind, found.straight) in first:
            continue
        first[(kind, found.straight)] = constant
        other = first.get((_turned(kind), found.turned))
        if other is not None and other is not constant:
            pairs.append(_duplicate("transposed", [other, constant]))
    return pairs


def _duplicate(kind: str, group: Sequence[Constant]) -> Duplicate:
    places = {_place(c) for c in group}
    one = group[0]
    return Duplicate(
        kind=kind,
        names=tuple(c.name for c in group),
        dtype=one.encoding.dtype,
        shape=one.shape,
        bytes=one.nbytes,
        wasted_bytes=(len(places) - 1) * one.nbytes,
    )


def _place(constant: Constant) -> object:
    """Where the bytes lie: tensors at the same place of a file are stored once."""
    return id(constant) if constant.payload is None else (constant.payload.path, constant.payload.offset)


def _counts(constant: Constant) -> bool:
    return constant.numel > 1 and constant.encoding is not STRING and not constant.missing


def _is_matrix(constant: Constant) -> bool:
    """True for a matrix of numbers with two axes to exchange: a transposed vector is only another shape."""
    return len(constant.shape) == 2 and 1 not in constant.shape and not constant.encoding.dtype.startswith("complex")


def _kind(constant: Constant) -> Kind:
    return constant.encoding.dtype, constant.shape


def _turned(kind: Kind) -> Kind:
    return kind[0], tuple(reversed(kind[1]))
