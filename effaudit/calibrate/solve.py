"""Least squares whose answers lie within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np

ROUNDS: Final = 6  # of reweighting
_EXCHANGES: Final = 200  # of unknowns between free and bound
_PATIENCE: Final = 3  # exchanges that may make things no better, before they are made one by one
_RIDGE: Final = 1e-9  # of the diagonal: columns may depend on each other
_SMALL: Final = 0.04  # errors below it are weighted as if they were it
_ZERO: Final = 1e-9


def bounded(matrix: np.ndarray, wanted: np.ndarray, most: np.ndarray, near: np.ndarray | None = None) -> np.ndarray:
    """x with 0 <= x <= most for which |matrix x - wanted| is smallest, by block principal pivoting; `near` is an answer
    to begin at.

    matrix: rows x unknowns. Whole blocks of unknowns are exchanged between free and bound; where that does not get
    nearer, the last one alone, which always ends: https://doi.org/10.1090/S0025-5718-1994-1250776-4
    """
    import numpy as np

    gram, right = matrix.T @ matrix, matrix.T @ wanted
    diagonal = np.diag(gram)
    gram = gram + np.diag(np.where(diagonal > 0, _RIDGE * diagonal, 1.0))
    size = len(right)
    free = np.zeros(size, bool) if near is None else (near > 0) & (near < most)
    upper = np.zeros(size, bool) if near is None else near >= most
    x, fewest, patience = np.zeros(size), size + 1, _PATIENCE
    for _ in range(_EXCHANGES):
        x = np.where(upper, most, 0.0)
        if free.any():
            x[free] = np.linalg.solve(gram[np.ix_(free, free)], right[free] - gram[np.ix_(free, upper)] @ most[upper])
        slope = gram @ x - right
        low, high = free & (x < -_ZERO), free & (x > most * (1 + _ZERO))
        wrong = low | high | (~free & ~upper & (slope < -_ZERO)) | (upper & (slope > _ZERO))
        count = int(wrong.sum())
        if not count:
            break
        if count < fewest:
            fewest, patience = count, _PATIENCE
        else:
            patience -= 1
        if patience < 0:
            last = int(np.flatnonzero(wrong)[-1])
            wrong = np.arange(size) == last
        upper = np.where(wrong, high, upper)
        free = np.where(wrong, ~free, free)
    return np.asarray(np.clip(x, 0.0, most))


def robust(
    matrix: np.ndarray, wanted: np.ndarray, weights: np.ndarray, most: np.ndarray, rounds: int = ROUNDS
) -> np.ndarray:
    """The same for the sum of |errors| x weights, by reweighting: few far outliers do not bend the answer.

    https://doi.org/10.1080/03610927708827533
    """
    import numpy as np

    scales = np.ones(len(wanted))
    x: np.ndarray | None = None
    for _ in range(rounds):
        by = weights * scales
        x = bounded(matrix * by[:, None], wanted * by, most, x)
        errors = np.abs(matrix @ x - wanted) * weights
        scales = 1.0 / np.sqrt(np.maximum(errors, _SMALL))
    return np.zeros(matrix.shape[1]) if x is None else x
