"""Whether a kernel writes what it is said to compute: its shape against that of the tensor it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from effaudit.graph import Shape
from effaudit.ops.microsoft_nchwc import LARGE, SMALL
from effaudit.timing.attribute.families import Layout


def agree(kernel: Shape | None, tensor: Shape | None, layout: Layout) -> bool | None:
    """Whether two shapes are the same, up to what `layout` allows; None where one is not known."""
    if kernel is None or tensor is None:
        return None
    if _equal(kernel, tensor) or (layout.blocked and _blocked(kernel, tensor)):
        return True
    mine, theirs = _numbers(kernel), _numbers(tensor)
    if mine is None or theirs is None:
        return None
    if layout.permuted and sorted(mine) == sorted(theirs):
        return True
    return layout.reshaped and prod(mine) == prod(theirs)


def _equal(a: Shape, b: Shape) -> bool:
    return len(a) == len(b) and all(x is y or x == y for x, y in zip(a, b, strict=True))


def _numbers(shape: Shape) -> Sequence[int] | None:
    numbers = [dim for dim in shape if isinstance(dim, int)]
    return numbers if len(numbers) == len(shape) else None


def _blocked(kernel: Shape, tensor: Shape) -> bool:
    """Channels in whole blocks; the size of a block is the machine's, and an inferred shape leaves it open."""
    if len(kernel) != len(tensor) or len(kernel) < 2 or not _equal(kernel[2:], tensor[2:]) or kernel[0] != tensor[0]:
        return False
    mine, channels = kernel[1], tensor[1]
    if not isinstance(mine, int):
        return True
    return isinstance(channels, int) and mine in (-(-channels // block) * block for block in (SMALL, LARGE))
