"""Pruning by what weights are multiplied with: |w| ||X_j||, the Wanda criterion, or w^2 H_jj / 2 of second order.

Wanda compares the weights of one output (Sun et al., https://arxiv.org/abs/2306.11695, section 3). Second order is
optimal brain damage (LeCun, Denker and Solla, 1989) on the squared error of each product's own output, whose Hessian is
H = 2 X X^T (https://arxiv.org/abs/2208.11580, section 3): it compares all weights of a tensor, or of the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.whatif.constants import elements
from effaudit.whatif.prune.applied import Way, Zeroing, applied
from effaudit.whatif.prune.arguments import OPTION, Arguments, text
from effaudit.whatif.prune.sparsity import counted, retraining, threshold
from effaudit.whatif.prune.targets import Weight, weights_of
from effaudit.whatif.prune.weighed import Weighed, weighed
from effaudit.whatif.quantize.spans import feeds
from effaudit.whatif.quantize.types import RANDOM
from effaudit.whatif.types import Blocked, Change

if TYPE_CHECKING:
    import numpy as np


def rewrite(audited: Audited, arguments: Arguments) -> Change:
    """The model with a share of its weights zero, or N of every M, chosen by calibration inputs. Raises UsageError
    where there are no weights, RunError where the model does not run."""
    inputs, source = feeds(audited, arguments.calibrate, arguments.seed, OPTION)

    def weigh(weights: Sequence[Weight]) -> tuple[list[Weighed], list[Blocked]]:
        found = weighed(audited, weights, inputs)
        if not found[0]:
            raise UsageError(f"{audited.name}: {OPTION}: {found[1][0].group}: {found[1][0].reason}")
        return found

    held = {key: getattr(arguments, key) for key in ("only", "skip", "storage")}
    if arguments.way == "pattern":
        from effaudit.whatif.prune import semi_structured

        change = semi_structured.rewrite(audited, *arguments.kept, **held, written=text(arguments), weigh=weigh)
    else:
        change = _sparse(audited, arguments, weigh)
    notes = [f"weights are compared by {_SAID[arguments.criterion]}, X {source}"]
    if arguments.calibrate == RANDOM:
        notes.append("marked random: what stays is chosen by random inputs")
    return replace(change, notes=(*change.notes, *notes))


_SAID = {
    "wanda": "|w| ||X|| (Wanda), those of one output with each other",
    "second-order": "w^2 H / 2, H = 2 X X^T on its diagonal",
}


def _sparse(
    audited: Audited, arguments: Arguments, weigh: Callable[[Sequence[Weight]], tuple[list[Weighed], list[Blocked]]]
) -> Change:
    assert arguments.sparsity is not None
    share = arguments.sparsity
    weights, blocked = weights_of(audited, arguments.only, arguments.skip)
    found, refused = weigh(weights)
    if arguments.criterion == "wanda":
        zeroings = [_by_row(one, share) for one in found]
    elif arguments.scope == "global":
        zeroings = _smallest(found, share)
    else:
        zeroings = [zeroing for one in found for zeroing in _smallest((one,), share)]
    way = Way(text(arguments), Fraction(1), retrain=retraining(share))
    return applied(audited, zeroings, (*blocked, *refused), way, arguments.storage)


# ---- the weights of one output
def _by_row(one: Weighed, share: Fraction) -> Zeroing:
    matrix = one.weight.matrix
    return Zeroing(one.weight, _Rows(one, share), matrix.rows * counted(share, matrix.columns), squares=one.squares)


class _Rows:
    """The smallest of each row; of equal ones the first."""

    def __init__(self, one: Weighed, share: Fraction) -> None:
        self._one, self._count = one, counted(share, one.weight.matrix.columns)

    def __call__(self, array: np.ndarray) -> np.ndarray:
        import numpy as np

        matrix = self._one.weight.matrix
        rows = matrix.of(self._one.squares(array))
        gone = np.zeros(rows.shape, np.bool_)
        order = np.argsort(rows, axis=1, kind="stable")[:, : self._count]
        np.put_along_axis(gone, order, values=True, axis=1)
        return matrix.back(gone, array.shape)


# ---- the weights of one tensor, or of all
def _smallest(weights: Sequence[Weighed], share: Fraction) -> list[Zeroing]:
    """What goes when the smallest of these go; of equal ones the first."""

    def read() -> Iterator[np.ndarray]:
        for one in weights:
            yield _keys(one, elements(one.weight.constant, OPTION)).ravel()

    limit, ties = threshold(read, counted(share, sum(one.weight.constant.numel for one in weights)), 64)
    found = []
    for one, keys in zip(weights, read(), strict=True):
        here = min(ties, int((keys == limit).sum()))
        ties -= here
        count = int((keys < limit).sum()) + here
        found.append(Zeroing(one.weight, _Below(one, limit, here), count, squares=one.squares))
    return found


def _keys(one: Weighed, array: np.ndarray) -> np.ndarray:
    """Unsigned integers in the order of the saliencies: the bits of IEEE 754 themselves."""
    import numpy as np

    found: np.ndarray = np.ascontiguousarray(one.squares(array)).view(np.uint64)
    return found


class _Below:
    """The elements below a limit, and the first `ties` that equal it."""

    def __init__(self, one: Weighed, limit: int, ties: int) -> None:
        self._one, self._limit, self._ties = one, limit, ties

    def __call__(self, array: np.ndarray) -> np.ndarray:
        import numpy as np

        keys = _keys(self._one, array)
        gone = (keys < self._limit).ravel()
        gone[np.flatnonzero(keys.ravel() == self._limit)[: self._ties]] = True
        shaped: np.ndarray = gone.reshape(array.shape)
        return shaped
