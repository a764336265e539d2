"""The solver against every choice of free and bound unknowns; what far outliers do to it."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effaudit.calibrate.solve import bounded, robust


def enumerated(matrix: np.ndarray, wanted: np.ndarray, most: np.ndarray) -> float:
    """The least |matrix x - wanted|^2 with 0 <= x <= most: some unknowns at either end, the others anywhere between."""
    best = np.inf
    for places in product((0, 1, 2), repeat=matrix.shape[1]):
        free, upper = np.array([p == 1 for p in places]), np.array([p == 2 for p in places])
        if np.isinf(most[upper]).any():
            continue
        x = np.where(upper, np.where(np.isinf(most), 0.0, most), 0.0)
        if free.any():
            x[free] = np.linalg.lstsq(matrix[:, free], wanted - matrix[:, upper] @ x[upper], rcond=None)[0]
        if (x >= -1e-9).all() and (x <= most + 1e-9).all():
            best = min(best, float(((matrix @ x - wanted) ** 2).sum()))
    return best


@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 5), loose=st.booleans(), depends=st.booleans())
@settings(max_examples=150, deadline=None)
def test_no_choice_of_bounds_comes_nearer(seed: int, size: int, loose: bool, depends: bool) -> None:
    draw = np.random.default_rng(seed)
    matrix = draw.standard_normal((size + int(draw.integers(0, 6)), size))
    if depends and size > 1:
        matrix[:, 0] = matrix[:, 1]
    wanted = draw.standard_normal(len(matrix)) * 3
    most = np.where(draw.random(size) < 0.5, np.inf if loose else 5.0, draw.random(size) * 2)
    x = bounded(matrix, wanted, most)
    assert (x >= 0).all() and (x <= most).all()
    found, least = float(((matrix @ x - wanted) ** 2).sum()), enumerated(matrix, wanted, most)
    assert found <= least * (1 + 1e-5) + 1e-6


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_many_unknowns_are_at_a_minimum(seed: int) -> None:
    """Of a convex problem it is the minimum where no unknown can move downhill (Karush, Kuhn and Tucker)."""
    draw = np.random.default_rng(seed)
    matrix, wanted = np.abs(draw.standard_normal((90, 40))), draw.random(90) * 10
    most = np.where(draw.random(40) < 0.3, 0.2, np.inf)
    x = bounded(matrix, wanted, most)
    slope = matrix.T @ (matrix @ x - wanted)
    assert (slope[x <= 1e-9] >= -1e-5).all()
    assert (slope[x >= most * (1 - 1e-9)] <= 1e-5).all()
    assert np.abs(slope[(x > 1e-9) & (x < most * (1 - 1e-9))]).max(initial=0.0) < 1e-4


def test_unknowns_that_nothing_tells_are_zero() -> None:
    matrix = np.array([[1.0, 0.0], [2.0, 0.0]])
    assert bounded(matrix, np.array([3.0, 6.0]), np.full(2, np.inf)) == pytest.approx([3.0, 0.0])


def test_far_outliers_do_not_bend_the_answer() -> None:
    draw = np.random.default_rng(7)
    matrix, planted = draw.random((200, 3)), np.array([1.0, 0.0, 2.5])
    wanted = matrix @ planted * draw.uniform(0.98, 1.02, 200)
    wanted[::10] *= 20
    ones, open_ = np.ones(200), np.full(3, np.inf)
    assert np.abs(bounded(matrix, wanted, open_) - planted).max() > 0.5
    assert robust(matrix, wanted, ones, open_) == pytest.approx(planted, abs=0.05)


def test_weights_say_whose_word_counts() -> None:
    matrix, wanted = np.ones((5, 1)), np.array([1.0, 1.0, 1.0, 9.0, 9.0])
    most = np.array([np.inf])
    assert robust(matrix, wanted, np.ones(5), most) == pytest.approx([1.0], abs=1.0)
    assert robust(matrix, wanted, np.array([1.0, 1, 1, 9, 9]), most) == pytest.approx([9.0], abs=1.0)
