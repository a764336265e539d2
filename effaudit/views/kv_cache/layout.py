"""The axes of a cache tensor: which is the sequence, how many elements one token of one sequence has."""

from __future__ import annotations

import re
from math import prod
from typing import Final

import msgspec

from effaudit import dims
from effaudit.audited import Audited
from effaudit.dims import Dim
from effaudit.graph import Graph, Value
from effaudit.views.kv_cache.types import BOTH, CacheTensor

_LENGTHS: Final = re.compile(r"past|seq|len|total|cache|context|token", re.IGNORECASE)


class Hints(msgspec.Struct, frozen=True):
    """What is known of a cache tensor beside its shape: the axis of its sequence, the key heads and their size, in how
    many roles (keys or values of a layer) it serves, whether it lies in pages, and the bits of an element where several
    are packed into one."""

    axis: int | None = None
    kv_heads: int | None = None
    head: int | None = None
    roles: int | None = 1
    paged: bool = False
    packed: int | None = None


class Axes(msgspec.Struct, frozen=True):
    """The sizes of a cache tensor. `parts`: the tensors stacked in front (keys and values, layers);
    `batch` is None of pages, which all sequences share."""

    parts: int
    batch: int | None
    heads: int | None
    tokens: int
    width: int

    @property
    def elements(self) -> int:
        """Of one token of one sequence."""
        return self.parts * (self.heads or 1) * self.width


def described(audited: Audited, past: str, present: str, role: str, hints: Hints) -> tuple[CacheTensor, Axes | None]:
    """A cache tensor from the input and output that hold it ("" for either), and its axes where they can be told."""
    graph = audited.graph
    value = graph.values[past or present]
    shape = _numbers(value)
    bits = hints.packed or value.encoding.bits
    dtype = value.encoding.dtype
    if shape is None:
        why = f"the shape of {past or present} is not known"
        return CacheTensor(past, present, role, dtype, bits, None, None, None, why), None
    axis = _sequence(audited.symbolic, past, present) if hints.axis is None else hints.axis
    found = _axes(shape, axis, hints)
    if isinstance(found, str):
        return CacheTensor(past, present, role, dtype, bits, None, None, None, f"{past or present}: {found}"), None
    grown = _numbers(graph.values[present]) if present else None
    same = grown is not None and axis is not None and len(grown) == len(shape) and not hints.paged
    tokens = grown[axis] if same and grown is not None and axis is not None else found.tokens
    elements = found.elements * (value.encoding.bits // bits if hints.packed else 1)
    return CacheTensor(past, present, role, dtype, bits, elements, tokens, found.batch), found


def _sequence(symbolic: Graph, past: str, present: str) -> int | None:
    """The axis along which a cache grows, or else the only one whose size is a dim named like a length."""
    names = [name for name in (past, present) if name]
    shapes = [symbolic.values[name].shape for name in names]
    first = shapes[0]
    if first is None:
        return None
    if len(shapes) == 2 and shapes[1] is not None and len(shapes[1]) == len(first):
        grown = [i for i, (a, b) in enumerate(zip(first, shapes[1], strict=True)) if a != b]
        if len(grown) == 1:
            return grown[0]
    named = [i for i, dim in enumerate(first) if not isinstance(dim, int) and _is_length(dim)]
    return named[0] if len(named) == 1 else None


def _is_length(dim: Dim) -> bool:
    return any(_LENGTHS.search(symbol.name) for symbol in dims.symbols(dim))


def _axes(shape: tuple[int, ...], axis: int | None, hints: Hints) -> Axes | str:
    """The axes of a shape, or why they cannot be told."""
    if hints.paged:
        return Axes(1, None, shape[2], shape[0] * shape[1], shape[3]) if len(shape) == 4 else "pages of 4 axes expected"
    axis = _guessed(shape, hints) if axis is None else axis
    if axis is None:
        return "which of its axes is the length cannot be told"
    others = [size for i, size in enumerate(shape) if i != axis]
    if len(shape) == 3:
        return _flat(others, shape[axis], hints)
    if len(shape) < 4:
        return f"a cache of {len(shape)} axes is not understood"
    parts = prod(others[:-3])
    if hints.roles is not None and parts not in (1, hints.roles):
        return f"it stacks {parts} tensors, and serves as {hints.roles}"
    return Axes(parts, others[-3], others[-2], shape[axis], others[-1])


def _guessed(shape: tuple[int, ...], hints: Hints) -> int | None:
    """The axis of the length by the sizes of the others: batch x heads x length x size, or with keys transposed, or
    batch x length x heads x size."""
    if len(shape) == 4 and hints.kv_heads and hints.head:
        fits = [
            axis
            for axis, heads, width in ((2, 1, 3), (3, 1, 2), (1, 2, 3))
            if shape[heads] == hints.kv_heads and shape[width] == hints.head
        ]
        return fits[0] if fits else None
    return None


def _flat(others: list[int], tokens: int, hints: Hints) -> Axes:
    """Three axes: batch x length x width, or the heads beside the batch."""
    first, width = others
    heads = hints.kv_heads
    if heads and heads > 1 and width == hints.head and not first % heads:
        return Axes(1, first // heads, heads, tokens, width)
    split = heads if heads and hints.head and width == heads * hints.head else None
    return Axes(1, first, split, tokens, width // split if split else width)


def _numbers(value: Value) -> tuple[int, ...] | None:
    if value.shape is None:
        return None
    shape = tuple(dim for dim in value.shape if isinstance(dim, int))
    return shape if len(shape) == len(value.shape) else None


def head_size(tensor: CacheTensor, axes: Axes | None) -> int | None:
    """The elements of one head of a tensor of keys or of values; None of one that holds both in its last axis."""
    if axes is None or (tensor.role == BOTH and axes.parts == 1):
        return None
    return axes.width * (8 // tensor.bits if tensor.bits < 8 and tensor.dtype in ("uint8", "int8") else 1)
