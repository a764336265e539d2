"""A weight as the matrix that a kernel multiplies by: one row per output, the sum runs along a row."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import numpy as np


class Matrix(msgspec.Struct, frozen=True):
    """How a tensor is seen as a matrix: split into `split` (the shape, a grouped axis apart), axes transposed by
    `order`, the first `outer` of them its rows.

    Elements next to each other in a row belong to neighbouring input channels: of a convolution, kernel positions come
    before channels, as implicit matrix products read them. `run` is how many lie between two jumps: groups of N:M do
    not reach across. 0 where no sum runs along the rows.
    """

    split: tuple[int, ...]
    order: tuple[int, ...]
    outer: int
    run: int

    @property
    def rows(self) -> int:
        return prod(self.split[axis] for axis in self.order[: self.outer])

    @property
    def columns(self) -> int:
        return prod(self.split[axis] for axis in self.order[self.outer :])

    def of(self, array: np.ndarray) -> np.ndarray:
        """The matrix of a tensor."""
        seen: np.ndarray = array.reshape(self.split).transpose(self.order).reshape(self.rows, self.columns)
        return seen

    def back(self, matrix: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The tensor of a matrix: the inverse of `of`."""
        turned = matrix.reshape([self.split[axis] for axis in self.order])
        inverse = sorted(range(len(self.order)), key=self.order.__getitem__)
        found: np.ndarray = turned.transpose(inverse).reshape(shape)
        return found


def matrix_of(op: str, place: int, attrs: Mapping[str, Any], shape: tuple[int, ...]) -> Matrix:
    """The matrix of a weight at input `place` of an operator. Of one that no product is known of: the first axis over
    the others, along which no sum runs."""
    axes = tuple(range(len(shape)))
    if op in ("Conv", "FusedConv", "DeformConv") and len(shape) >= 3:  # [O, I / groups, kernel...]
        return Matrix(shape, (0, *axes[2:], 1), 1, shape[1])
    if op == "ConvTranspose" and len(shape) >= 3:  # [I, O / groups, kernel...]
        groups = attrs.get("group", 1)
        if not isinstance(groups, int) or groups < 1 or shape[0] % groups:
            return Matrix(shape, axes, 1, 0)
        split = (groups, shape[0] // groups, *shape[1:])
        return Matrix(split, (0, 2, *range(3, len(split)), 1), 2, split[1])
    if op in ("Gemm", "MatMul", "FusedMatMul", "FusedGemm") and len(shape) >= 1:
        turned = bool(attrs.get("transB" if place else "transA", 0)) and op != "MatMul"
        summed = len(shape) - (1 if (place == 1) == turned or len(shape) == 1 else 2)
        rest = tuple(axis for axis in axes if axis != summed)
        return Matrix(shape, (*rest, summed), len(rest), shape[summed])
    return Matrix(shape, axes, min(1, len(shape)), 0)
