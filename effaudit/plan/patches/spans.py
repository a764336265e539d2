"""Intervals of positions along one axis: which ones an operator reads to make others.

Spans are half open, [low, high). With the size of the input they are clipped: positions in the padding are not read,
and both ends are positions that are. Without it they run on into the padding, as if there were data.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from math import gcd
from typing import Final, NamedTuple, Protocol

Span = tuple[int, int]

MAX_STEPS: Final = 4096  # output positions looked at for one end of a dilated window at a border


class Blocked(Exception):
    """A stage cannot hold this; the message says why."""


class OtherAxes(Blocked):
    """A stage tiled over other axes might."""


class Reads(Protocol):
    """How an operator reads one axis of one input."""

    def span(self, low: int, high: int, size: int | None) -> Span:
        """The least span with all that outputs [low, high) read of an axis of `size` (None: not clipped).

        Raises Blocked where they read nothing, or it takes too long to tell.
        """


class Window(NamedTuple):
    """Output o reads o * stride - pad + j * dilation, for j = 0..kernel-1 (https://onnx.ai/onnx/operators/onnx__Conv.html)."""

    kernel: int
    stride: int
    dilation: int
    pad: int

    @property
    def extent(self) -> int:
        """Positions from the first to the last one read."""
        return (self.kernel - 1) * self.dilation + 1

    def span(self, low: int, high: int, size: int | None) -> Span:
        first = low * self.stride - self.pad
        end = (high - 1) * self.stride - self.pad + self.extent
        if size is None or (first >= 0 and end <= size):
            return first, end
        # From the far end the same positions look alike: x becomes size - 1 - x.
        start = self._least(first, high - low)
        if start is None or start >= size:
            raise Blocked("a window lies wholly in the padding")
        behind = self._least(size - end, high - low)
        assert behind is not None  # it reads `start`
        return start, size - behind

    def _least(self, first: int, count: int) -> int | None:
        """The least position >= 0 that `count` outputs read, of which the first begins at `first`."""
        _, stride, dilation, _ = self
        skipped = max(0, -((first + self.extent - 1) // stride))
        if skipped >= count:
            return None
        if first + skipped * stride >= 0 or dilation == 1:
            return max(first + skipped * stride, 0)
        best: int | None = None
        turns = dilation // gcd(dilation, stride)  # after as many outputs the remainders repeat
        for turn in range(min(turns, count - skipped)):
            start = first + (skipped + turn) * stride
            if turn == MAX_STEPS:
                raise Blocked(f"a dilation of {dilation:,} is too large to follow")
            here = start if start >= 0 else start % dilation
            best = here if best is None else min(best, here)
            if start >= 0 or best == 0:
                break
        return best


class Spread(NamedTuple):
    """A transposed window without dilation: input i adds to outputs i * stride - pad + j, for j = 0..kernel-1
    (https://onnx.ai/onnx/operators/onnx__ConvTranspose.html)."""

    kernel: int
    stride: int
    pad: int

    def span(self, low: int, high: int, size: int | None) -> Span:
        start = -((self.kernel - 1 - self.pad - low) // self.stride)
        end = (high - 1 + self.pad) // self.stride + 1
        if size is not None:
            start, end = max(start, 0), min(end, size)
        if start >= end:
            raise Blocked("output positions that no input reaches")
        return start, end


class Enlarged(NamedTuple):
    """Output o reads o // factor."""

    factor: int

    def span(self, low: int, high: int, size: int | None) -> Span:
        return low // self.factor, (high - 1) // self.factor + 1


class Edged(NamedTuple):
    """Output o reads o - pad, held inside the input."""

    pad: int

    def span(self, low: int, high: int, size: int | None) -> Span:
        if size is None:
            return low - self.pad, high - self.pad
        return min(max(low - self.pad, 0), size - 1), min(max(high - 1 - self.pad, 0), size - 1) + 1


class Once(NamedTuple):
    """Every output reads the only position there is (broadcast)."""

    def span(self, low: int, high: int, size: int | None) -> Span:
        return 0, 1


class Same(NamedTuple):
    """Output o reads o."""

    def span(self, low: int, high: int, size: int | None) -> Span:
        return low, high


SAME: Final = Same()
ONCE: Final = Once()


def hull(a: Span | None, b: Span) -> Span:
    """The least span that holds both."""
    return b if a is None else (min(a[0], b[0]), max(a[1], b[1]))


def split(size: int, parts: int) -> list[Span]:
    """`parts` spans that make up [0, size), whose lengths differ by at most one."""
    ends = [i * size // parts for i in range(parts + 1)]
    return list(pairwise(ends))


def total(spans: Iterable[Span]) -> int:
    """The sum of the lengths."""
    return sum(high - low for low, high in spans)
