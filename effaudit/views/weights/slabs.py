"""A tensor in parts of bounded size, each a whole box of its axes: channels can be told while reading in order."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Final

import msgspec

from effaudit.graph import Constant
from effaudit.load.values import BLOCK, blocks

if TYPE_CHECKING:
    import numpy as np

GROUP: Final = 4  # parts end at multiples of it where an axis is cut, so that groups of 4 stay whole


class Cut(msgspec.Struct, frozen=True):
    """How a tensor is cut: dims before `axis` one index at a time, `axis` into `step`s, those after it whole."""

    axis: int
    step: int


def cut(dims: tuple[int, ...], most: int = BLOCK) -> Cut:
    """The largest parts of about `most` elements, 4 `most` at worst."""
    rest = 1
    for axis in range(len(dims) - 1, -1, -1):
        wider = rest * dims[axis]
        if wider > most or axis == 0:
            return Cut(axis, max(most // max(rest, 1) // GROUP * GROUP, GROUP))
        rest = wider
    return Cut(0, 1)


def slabs(constant: Constant, dims: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """(origin, part) of a tensor under the shape `dims`, in the order it is stored. Raises LoadError as `blocks`."""
    reader = _Reader(constant)
    if not constant.numel:
        for _ in blocks(constant):  # an empty tensor may still be damaged
            pass
        return
    how = cut(dims)
    lead, tail = dims[: how.axis], dims[how.axis + 1 :]
    size = prod(tail)
    for number in range(prod(lead)):
        head = _index(number, lead)
        for first in range(0, dims[how.axis], how.step):
            length = min(how.step, dims[how.axis] - first)
            part = reader.take(length * size).reshape((*(1 for _ in lead), length, *tail))
            yield (*head, first, *(0 for _ in tail)), part
    reader.finish()


def _index(number: int, dims: tuple[int, ...]) -> tuple[int, ...]:
    """The position in row-major order as an index per axis."""
    index = []
    for dim in reversed(dims):
        number, place = divmod(number, dim)
        index.append(place)
    return tuple(reversed(index))


class _Reader:
    """A constant's blocks, re-cut."""

    def __init__(self, constant: Constant) -> None:
        self.blocks = blocks(constant)
        self.held: list[np.ndarray] = []
        self.count = 0

    def take(self, wanted: int) -> np.ndarray:
        """The next `wanted` elements."""
        import numpy as np

        while self.count < wanted:
            block = next(self.blocks)
            self.held.append(block)
            self.count += block.size
        whole = self.held[0] if len(self.held) == 1 else np.concatenate(self.held)
        self.held, self.count = [whole[wanted:]] if whole.size > wanted else [], self.count - wanted
        return whole[:wanted]

    def finish(self) -> None:
        """Reads to the end, where a count of elements that is wrong shows."""
        for _ in self.blocks:
            pass
