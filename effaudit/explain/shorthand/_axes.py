"""How many spatial axes a short form is about: as many as its lists have, two where it gives single numbers only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from effaudit.dims import Dim
from effaudit.errors import UsageError
from effaudit.explain.lookup import Operator
from effaudit.explain.shorthand._arguments import Given
from effaudit.graph import Shape

RANK: Final = "rank"
DEFAULT: Final = 2  # as in the named formulas
MAX_RANK: Final = 3
MEANING: Final = "spatial axes, where sizes are single numbers (2)"
_IN_FULL: Final = ("kernel_shape", "strides", "dilations")  # attributes that have one number per axis


def axes(found: Operator, given: Given, names: Sequence[str]) -> tuple[int, tuple[str, ...]]:
    """The number of axes of the sizes `names`, and a note where nothing says it.

    Lists, attributes in full, `rank` and a name such as conv1d say it. Raises UsageError where they disagree.
    """
    told = {f"{name}={given.text(name)}": len(given.sizes(name) or ()) for name in names if given.has(name)}
    told = {text: count for text, count in told.items() if count > 1}
    told |= {name: len(given.attrs[name]) for name in _IN_FULL if isinstance(given.attrs.get(name), tuple)}
    if found.axes:
        told[found.asked] = found.axes
    if given.has(RANK):
        told[f"{RANK}={given.text(RANK)}"] = given.number(RANK)
    counts = set(told.values())
    if len(counts) > 1:
        listed = ", ".join(f"{text} has {count}" for text, count in told.items())
        raise UsageError(f"{found.op}: the number of axes differs: {listed}")
    rank = counts.pop() if counts else DEFAULT
    if rank > MAX_RANK:
        raise UsageError(f"{found.op}: {rank} axes, where there are at most {MAX_RANK}")
    if told or not any(given.has(name) for name in names):
        return rank, ()
    return rank, (f"single numbers count for each of {DEFAULT} axes; {RANK}=1 for one axis",)


def spread(sizes: Sequence[Dim], rank: int) -> Shape:
    """One size for every axis, or a size per axis."""
    return tuple(sizes) * (rank if len(sizes) == 1 else 1)


def numbers(sizes: Shape, rank: int, default: int, what: str) -> list[int]:
    """A whole number per axis. Raises UsageError."""
    found = spread(sizes or (default,), rank)
    if not all(isinstance(size, int) for size in found) or any(size < default and size < 1 for size in found):
        raise UsageError(f"{what}: expected whole numbers of {default} or more")
    return [size for size in found if isinstance(size, int)]
