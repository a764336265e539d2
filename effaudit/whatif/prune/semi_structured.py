"""N:M sparsity: of every M neighbouring weights that one sum runs over, the N largest stay.

Groups lie along the input channels, at each kernel position of its own and inside one group of channels, as sparse
tensor cores read them: Mishra et al., https://arxiv.org/abs/2104.08378
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.whatif.prune.applied import Way, Zeroing, applied
from effaudit.whatif.prune.arguments import OPTION
from effaudit.whatif.prune.targets import Weight, weights_of
from effaudit.whatif.prune.weighed import Weigh
from effaudit.whatif.types import Blocked, Change

if TYPE_CHECKING:
    import numpy as np


def rewrite(
    audited: Audited,
    n: int,
    m: int,
    *,
    only: str = "",
    skip: str = "",
    storage: str = "",
    written: str = "",
    weigh: Weigh | None = None,
) -> Change:
    """N of every M weights kept, those of largest magnitude (of equal ones the first go). A last group of fewer than M
    counts as filled with zeros: it keeps N too. Weights with N input channels or fewer stay whole and are listed.
    `weigh` gives what stands for the magnitudes.

    Raises UsageError.
    """
    weights, blocked = weights_of(audited, only, skip)
    fit = tuple(weight for weight in weights if weight.matrix.run > n)
    whole = [Blocked(weight.name, _why(weight, n)) for weight in weights if weight.matrix.run <= n]
    if not fit:
        raise UsageError(
            f"{audited.name}: {OPTION} {n}:{m}: no weight has more than {n} input channels to choose from; "
            f"{whole[0].group}: {whole[0].reason}"
        )
    if weigh is None:
        zeroings = [Zeroing(weight, _Masker(weight, n, m), zeros(weight, n, m)) for weight in fit]
    else:
        weighed, refused = weigh(fit)
        whole += refused
        zeroings = [
            Zeroing(one.weight, _Masker(one.weight, n, m, one.squares), zeros(one.weight, n, m), squares=one.squares)
            for one in weighed
        ]
    reason = f"{n}:{m} takes {m - n} of every {m} weights whatever their size; it is made to be trained again"
    way = Way(written or f"{n}:{m}", Fraction(m - n, m), pattern=(n, m), retrain=reason)
    change = applied(audited, zeroings, (*blocked, *whole), way, storage)
    return _with_tails(change, [zeroing.weight for zeroing in zeroings], m)


def zeros(weight: Weight, n: int, m: int) -> int:
    """How many elements go."""
    run, columns = weight.matrix.run, weight.matrix.columns
    each = run // m * (m - n) + max(run % m - n, 0)
    return weight.matrix.rows * (columns // run) * each


class _Masker:
    """Which elements of a weight go."""

    def __init__(self, weight: Weight, n: int, m: int, size: Callable[[np.ndarray], np.ndarray] | None = None) -> None:
        self._matrix, self._n, self._m, self._size = weight.matrix, n, m, size

    def __call__(self, array: np.ndarray) -> np.ndarray:
        import numpy as np

        sizes = np.abs(array) if self._size is None else self._size(array)
        runs = self._matrix.of(sizes).reshape(-1, self._matrix.run)
        gone = np.zeros(runs.shape, np.bool_)
        full = runs.shape[1] // self._m * self._m
        if full:
            groups = runs[:, :full].reshape(-1, self._m)
            gone[:, :full] = _smallest(groups, self._m - self._n).reshape(-1, full)
        if runs.shape[1] - full > self._n:
            gone[:, full:] = _smallest(runs[:, full:], runs.shape[1] - full - self._n)
        return self._matrix.back(gone.reshape(self._matrix.rows, -1), array.shape)


def _smallest(groups: np.ndarray, count: int) -> np.ndarray:
    """True for the `count` smallest of each row; of equal ones the first."""
    import numpy as np

    found = np.zeros(groups.shape, np.bool_)
    np.put_along_axis(found, np.argsort(groups, axis=1, kind="stable")[:, :count], values=True, axis=1)
    return found


def _why(weight: Weight, n: int) -> str:
    if not weight.matrix.run:
        return "no axis that a sum runs along is known of it"
    return f"{weight.matrix.run} input channels per output, no more than the {n} kept of a group"


def _with_tails(change: Change, weights: Sequence[Weight], m: int) -> Change:
    """With a note of the weights whose last group has fewer than M."""
    short = [weight for weight in weights if weight.matrix.run % m]
    if not short:
        return change
    named = ", ".join(f"{weight.name} ({weight.matrix.run % m} of {m})" for weight in short[:8])
    more = f" and {len(short) - 8} others" if len(short) > 8 else ""
    return replace(change, notes=(*change.notes, f"a last group of fewer than {m}, filled with zeros: {named}{more}"))
