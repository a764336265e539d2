"""Which number stands for zero in each element of a tensor: 0, or the zero point of quantized weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from effaudit.errors import LoadError
from effaudit.graph import Constant
from effaudit.load.values import values
from effaudit.views.weights.layout import Layout
from effaudit.views.weights.uses import Use, is_code

if TYPE_CHECKING:
    import numpy as np

MAX_ZERO_POINTS: Final = 1 << 22  # elements; more of them are not held in memory


class Zero:
    """The zero points of a tensor: an array with one axis per dim of its layout, of length 1 or of the dim's; along dim
    `blocked` each point serves `block` elements."""

    __slots__ = ("points", "blocked", "block")

    def __init__(self, points: np.ndarray, blocked: int = 0, block: int = 1) -> None:
        self.points = points
        self.blocked = blocked
        self.block = block

    def at(self, origin: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
        """The zero points of a part of the tensor, in a shape that broadcasts to the part's."""
        import numpy as np

        picks = []
        for dim, (have, first, length) in enumerate(zip(self.points.shape, origin, shape, strict=True)):
            step = self.block if dim == self.blocked else 1
            picks.append(np.zeros(1, np.intp) if have == 1 else np.arange(first, first + length) // step)
        return self.points[np.ix_(*picks)]


def zero_of(constant: Constant, use: Use | None, layout: Layout) -> Zero | str | None:
    """What stands for zero in a constant as `use` reads it: None is 0, a string says why it is not known."""
    if not is_code(constant):
        return None
    if use is None:
        return "no zero point is known for it"
    if use.view.dequantized is not None:
        found = use.view.dequantized
        if found.why or found.zero_point is None:
            return found.why or None
        return _read(found.zero_point, constant, layout, found.axis, found.block)
    own = use.zero_point
    if own is None:
        return f"no zero point is known for input {use.input or use.place} of {use.node.op}"
    if isinstance(own, str):
        return own or None
    if own.numel == 1:
        return _read(own, constant, layout, 0, 0)
    if not layout.outputs or use.view.axes is None:
        return "its zero points follow an axis that is not known"
    return _read(own, constant, layout, layout.axes[layout.outputs[-1]], 0)


def _read(point: Constant, constant: Constant, layout: Layout, axis: int, block: int) -> Zero | str | None:
    if point.numel > MAX_ZERO_POINTS:
        return f"it has more than {MAX_ZERO_POINTS:,} zero points"
    try:
        points = values(point)
    except LoadError as error:
        return f"its zero point cannot be read: {error}"
    if points.dtype.kind not in "iu":
        return "its zero point is no integer"
    if not points.any():
        return None
    return _laid_out(points, constant.shape, layout, axis, block)


def _laid_out(points: np.ndarray, shape: tuple[int, ...], layout: Layout, axis: int, block: int) -> Zero | str:
    """The zero points with one axis per dim of the layout."""
    import numpy as np

    points = points.astype(np.int32)
    rank = len(layout.dims)
    if points.size == 1:
        return Zero(points.reshape((1,) * rank))
    if rank < len(shape):
        return "it has too many dimensions for its zero points"
    if points.ndim == 1:
        if not 0 <= axis < len(shape) or points.size != shape[axis]:
            return f"its {points.size:,} zero points fit none of its axes"
        points = points.reshape([-1 if i == axis else 1 for i in range(len(shape))])
        block = 0
    if points.ndim != len(shape):
        return "its zero points have a shape that does not fit it"
    blocked = block > 1 and points.shape[axis] == -(-shape[axis] // block)
    for i, (have, dim) in enumerate(zip(points.shape, shape, strict=True)):
        if have not in (1, dim) and not (blocked and i == axis):
            return "its zero points have a shape that does not fit it"
    if blocked:
        if layout.dims != shape:
            return "its blocks of zero points run across groups"
        return Zero(points, axis, block)
    split = [dim if points.shape[owner] > 1 else 1 for dim, owner in zip(layout.dims, layout.axes, strict=True)]
    return Zero(points.reshape(split))
