"""Least squares whose answers are not below zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np

SWEEPS: Final = 400
ROUNDS: Final = 6  # of reweighting
_SETTLED: Final = 1e-7  # of the largest answer
_SMALL: Final = 0.04  # errors below it are weighted as if they were it


def bounded(matrix: np.ndarray, wanted: np.ndarray, most: np.ndarray) -> np.ndarray:
    """x with 0 <= x <= most for which |matrix x - wanted| is smallest, by cyclic coordinate descent.

    matrix: rows x unknowns. https://doi.org/10.1007/s10107-015-0892-3
    """
    import numpy as np

    gram, right = matrix.T @ matrix, matrix.T @ wanted
    diagonal = np.diag(gram).copy()
    active = [int(j) for j in np.flatnonzero(diagonal > 0)]
    x: np.ndarray = np.zeros(matrix.shape[1])
    for _ in range(SWEEPS):
        moved = 0.0
        for j in active:
            new = min(max(x[j] - (gram[j] @ x - right[j]) / diagonal[j], 0.0), most[j])
            moved = max(moved, abs(new - x[j]) * diagonal[j] ** 0.5)
            x[j] = new
        if moved < _SETTLED:
            break
    return x


def robust(matrix: np.ndarray, wanted: np.ndarray, weights: np.ndarray, most: np.ndarray) -> np.ndarray:
    """The same for the sum of |errors| x weights, by reweighting: few far outliers do not bend the answer.

    https://doi.org/10.1080/03610927708827533
    """
    import numpy as np

    scales = np.ones(len(wanted))
    x = np.zeros(matrix.shape[1])
    for _ in range(ROUNDS):
        by = weights * scales
        x = bounded(matrix * by[:, None], wanted * by, most)
        errors = np.abs(matrix @ x - wanted) * weights
        scales = 1.0 / np.sqrt(np.maximum(errors, _SMALL))
    return x
