"""A matrix as the product of two thinner ones, by the singular values that it has."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    import numpy as np

ROUNDING: Final = 1e-12  # of the sum of all squares: what is less is no energy that could be missing


class Spectrum(msgspec.Struct, frozen=True):
    """A float64 matrix with the squares of its singular values, descending, and the directions of its shorter side that
    they belong to, one per column."""

    matrix: np.ndarray
    squares: np.ndarray
    directions: np.ndarray

    def kept(self, rank: int) -> float:
        """The share of the squared singular values that the first `rank` hold."""
        total = float(self.squares.sum())
        return float(self.squares[:rank].sum()) / total if total else 1.0

    def rank(self, energy: Fraction) -> int:
        """The least rank that keeps a share of the squared singular values."""
        import numpy as np

        sums = np.cumsum(self.squares)
        enough = sums >= (float(energy) - ROUNDING) * sums[-1]
        return int(np.argmax(enough)) + 1

    def factors(self, rank: int) -> tuple[np.ndarray, np.ndarray]:
        """(left m x rank, right rank x n), whose product is the nearest matrix of that rank. Each holds the square root
        of the singular values, so that neither needs a wider range than the other."""
        import numpy as np

        across = self.directions[:, :rank]
        tall = self.matrix.shape[0] <= self.matrix.shape[1]
        other = across.T @ self.matrix if tall else self.matrix @ across  # its rows or columns hold the singular values
        root = np.sqrt(np.sqrt(self.squares[:rank]))
        inverse = np.divide(1.0, root, out=np.zeros_like(root), where=root > 0)
        if tall:
            return across * root, inverse[:, None] * other
        return other * inverse, root[:, None] * across.T


def spectrum(matrix: np.ndarray) -> Spectrum:
    """The singular values of a float64 matrix, from the eigenvectors of its smaller Gram matrix: what a projection on
    them loses is measured afterwards, so that their rounding is in no figure."""
    import numpy as np

    gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    found, directions = np.linalg.eigh(gram)
    squares, directions = np.maximum(found[::-1], 0.0), directions[:, ::-1]
    largest = np.abs(directions).argmax(axis=0)  # the sign of an eigenvector is free: the same on every machine
    return Spectrum(matrix, squares, directions * np.where(directions[largest, range(len(largest))] < 0, -1.0, 1.0))
