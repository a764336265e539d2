"""Weights together with what they are multiplied by: the squares of the activations of each input channel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from effaudit.audited import Audited
from effaudit.graph import Node
from effaudit.whatif.prune.targets import Weight
from effaudit.whatif.types import Blocked

if TYPE_CHECKING:
    import numpy as np

_CONVOLUTIONS: Final = frozenset("Conv FusedConv ConvTranspose".split())
_PRODUCTS: Final = frozenset("MatMul Gemm FusedGemm".split())


class Weighed(msgspec.Struct, frozen=True):
    """A weight, and the sum of the squares of all that each of its input channels was seen to hold."""

    weight: Weight
    channels: np.ndarray

    def squares(self, array: np.ndarray) -> np.ndarray:
        """w^2 ||X_j||^2 of each element, in float64: the square of its saliency after Wanda; and with the Hessian
        H = 2 X X^T of the output's squared error, w^2 H_jj / 2, as optimal brain damage has it."""
        import numpy as np

        matrix = self.weight.matrix
        found = np.square(matrix.of(array), dtype=np.float64) * self._scale()
        return matrix.back(found, array.shape)

    def _scale(self) -> np.ndarray:
        """The squares by row and column of the matrix, as far as they differ."""
        import numpy as np

        node, matrix = self.weight.node, self.weight.matrix
        assert node is not None
        if node.op in _CONVOLUTIONS:  # the rows of a group read its channels, at each position of the kernel
            groups = self.channels.reshape(-1, matrix.run)
            return np.tile(np.repeat(groups, matrix.rows // len(groups), axis=0), matrix.columns // matrix.run)
        return self.channels[None, :]


Weigh: TypeAlias = Callable[[Sequence[Weight]], tuple[Sequence[Weighed], Sequence[Blocked]]]


def weighed(
    audited: Audited, weights: Sequence[Weight], feeds: Iterable[Mapping[str, np.ndarray]]
) -> tuple[list[Weighed], list[Blocked]]:
    """The weights with the squares of what they are multiplied by over all inputs, and those of which that is not
    measured. Of a convolution they are those of the channel, at all its positions alike. Raises RunError, UsageError.
    """
    from effaudit.run import ranges

    read: list[tuple[Weight, str]] = []
    axes: dict[str, int] = {}
    blocked = []
    for weight in weights:
        found = _activations(audited, weight)
        name, axis = found if isinstance(found, tuple) else ("", 0)
        if isinstance(found, str) or axes.setdefault(name, axis) != axis:
            why = found if isinstance(found, str) else "its activations are summed along another axis elsewhere"
            blocked.append(Blocked(weight.name, why))
        else:
            read.append((weight, name))
    seen = ranges(audited.raw, feeds, tuple(dict.fromkeys(name for _, name in read)), axes=axes, bins=0)
    made = []
    for weight, name in read:
        squares = seen[name].channel_squares
        assert squares is not None
        made.append(Weighed(weight, squares))
    return made, blocked


def _activations(audited: Audited, weight: Weight) -> tuple[str, int] | str:
    """The tensor that a weight is multiplied with, and the axis it is summed along; or why that is not measured."""
    node = weight.node
    if node is None or node.op not in _CONVOLUTIONS | _PRODUCTS:
        return f"what it is multiplied with is not measured: {weight.reader} is no Conv, Gemm or MatMul"
    name = node.inputs[1 - weight.place] if node.op in _PRODUCTS else node.inputs[0]
    shape = audited.graph.values[name].shape if name in audited.graph.values else None
    if name not in audited.flow.varying:
        return f"what {weight.reader} multiplies it with does not depend on the inputs"
    if not shape:
        return f"the shape of {name!r}, which it is multiplied with, is not known"
    if node.op in _CONVOLUTIONS:
        return name, 1
    axis = _summed(node, weight.place, len(shape))
    if len(weight.matrix.order) != 2 or weight.matrix.columns != shape[axis]:
        return "it is more than one matrix, each with activations of its own"
    return name, axis


def _summed(node: Node, place: int, rank: int) -> int:
    """The axis of the other operand that a product sums along."""
    turned = node.op != "MatMul" and bool(node.attrs.get("transA" if place else "transB", 0))
    if rank == 1:
        return 0
    return rank - 2 if (place == 1) == turned else rank - 1
