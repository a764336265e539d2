"""What the target of a Reshape becomes when the tensor it reads has other sizes than it was written for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from math import prod
from typing import Final

import msgspec

MAX_WAYS: Final = 4096  # combinations that are tried


class Sizes(msgspec.Struct, frozen=True):
    """Sizes that became others: `became` by the old one; `batch` is the leading one of the inputs, (old, new)."""

    became: Mapping[int, set[int]]
    batch: tuple[int, int] | None = None


class Ambiguous(Exception):
    """The new sizes of what a Reshape makes can be told in more than one way, or in none."""


def resolved(target: Sequence[int], source: Sequence[int], *, zeros: bool = False) -> tuple[int, ...] | None:
    """The shape that a target gives; None where it does not fit. `zeros`: a 0 is a size of 0, not a copy.

    https://onnx.ai/onnx/operators/onnx__Reshape.html
    """
    if any(t == 0 and not zeros and i >= len(source) for i, t in enumerate(target)):
        return None
    shape = [source[i] if t == 0 and not zeros else t for i, t in enumerate(target)]
    rest = prod(t for t in shape if t != -1)
    if -1 in shape:
        if rest == 0 or prod(source) % rest:
            return None
        shape[shape.index(-1)] = prod(source) // rest
    return tuple(shape) if prod(shape) == prod(source) else None


def blocks(source: Sequence[int], made: Sequence[int]) -> list[tuple[slice, slice]]:
    """The finest pairs of runs of dims with equal products, in order. Both shapes have the same product, not 0."""
    found, i, j = [], 0, 0
    while i < len(source) or j < len(made):
        first, other, a, b = i, j, 1, 1
        if i < len(source):
            a, i = source[i], i + 1
        if j < len(made):
            b, j = made[j], j + 1
        while a != b:
            if a < b:
                a, i = a * source[i], i + 1
            else:
                b, j = b * made[j], j + 1
        found.append((slice(first, i), slice(other, j)))
    return found


def wanted(
    source: Sequence[int], made: Sequence[int], now: Sequence[int], target: Sequence[int], sizes: Sizes
) -> tuple[int, ...]:
    """What a Reshape that made `made` of `source` makes of `now`. Raises Ambiguous."""
    shape: list[int] = []
    for before, after in blocks(source, made):
        if source[before] == now[before]:
            shape += made[after]
        else:
            leads = before.start == 0 and after.start == 0
            open_ = [place for place, t in enumerate(target[after]) if t == -1]
            shape += _block(prod(source[before]), made[after], prod(now[before]), leads, open_, sizes)
    return tuple(shape)


def _block(was: int, made: Sequence[int], total: int, leads: bool, open_: Sequence[int], sizes: Sizes) -> Sequence[int]:
    """The dims `made`, whose product was `was`, where it is `total` now."""
    if len(made) == 1:
        return (total,)
    first = 0  # what the leading dim becomes if it is, or holds, that of the batch
    if leads and made and sizes.batch is not None and made[0] % sizes.batch[0] == 0:
        old, new = sizes.batch
        first = made[0] // old * new
        if total * old == was * new:
            return (first, *made[1:])
    ways = [sorted({dim, *sizes.became.get(dim, ())}) for dim in made]
    if prod(map(len, ways)) <= MAX_WAYS:
        fits = [way for way in product(*ways) if prod(way) == total]
        fits = [way for way in fits if way[0] == first] or fits
        if len(fits) == 1:
            return fits[0]
        if fits:
            raise Ambiguous
    long = [place for place, dim in enumerate(made) if dim != 1]
    for places in (open_, long):
        if len(places) == 1:
            rest = prod(dim for place, dim in enumerate(made) if place != places[0])
            if total % rest == 0:
                return tuple(total // rest if place == places[0] else dim for place, dim in enumerate(made))
    raise Ambiguous


def retargeted(target: Sequence[int], now: Sequence[int], goal: Sequence[int], *, zeros: bool) -> tuple[int, ...]:
    """The target that makes `goal` of `now`, what it leaves open as it is where that does."""
    kept = tuple(t if t == -1 or (t == 0 and not zeros) else size for t, size in zip(target, goal, strict=True))
    return kept if resolved(kept, now, zeros=zeros) == tuple(goal) else tuple(goal)
