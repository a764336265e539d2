"""Block sparsity: whole blocks of a weight's matrix become zero, those of the smallest L2 norm.

Narang et al., https://arxiv.org/abs/1711.02782
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from effaudit.audited import Audited
from effaudit.whatif.constants import elements
from effaudit.whatif.prune.applied import Way, Zeroing, applied, chosen, tiled
from effaudit.whatif.prune.arguments import OPTION, percent
from effaudit.whatif.prune.sparsity import bound, counted
from effaudit.whatif.prune.targets import Weight, weights_of
from effaudit.whatif.types import Change

if TYPE_CHECKING:
    import numpy as np


def rewrite(
    audited: Audited,
    tile: tuple[int, int],
    share: Fraction,
    *,
    per_layer: bool = False,
    only: str = "",
    skip: str = "",
    storage: str = "",
    written: str = "",
) -> Change:
    """The blocks of `tile` (rows, columns) with the smallest L2 norm made zero: round(share x blocks), halves to even,
    of all weights together or of each. Rows are outputs, columns what is summed over; a block at an edge has fewer
    elements. Blocks that are zero already count; of equal norms the first goes first.

    Raises UsageError.
    """
    weights, blocked = weights_of(audited, only, skip)

    def smallest(some: Sequence[Weight]) -> list[Zeroing]:
        return _smallest(some, tile, share)

    def unread(weight: Weight) -> Zeroing:
        return _unread(weight, tile, share)

    zeroings = chosen(weights, smallest, unread, per_layer=per_layer)
    reason = (
        f"whole blocks of {tile[0]}x{tile[1]} are gone, {percent(share)} of them; they are chosen to be trained again"
    )
    totals = [blocks_in(weight, tile) for weight in weights]
    most = bound(share, totals if per_layer else [sum(totals)])
    return applied(audited, zeroings, blocked, Way(written, most, tile=tile, retrain=reason if share else ""), storage)


def blocks_in(weight: Weight, tile: tuple[int, int]) -> int:
    """How many blocks a weight has, those at an edge included."""
    return -(-weight.matrix.rows // tile[0]) * -(-weight.matrix.columns // tile[1])


def _unread(weight: Weight, tile: tuple[int, int], share: Fraction) -> Zeroing:
    """A weight without elements: the blocks that stay are known, and the zeros where every block is whole."""
    total = blocks_in(weight, tile)
    gone = counted(share, total)
    whole = weight.matrix.rows % tile[0] == 0 == weight.matrix.columns % tile[1]
    zeros = gone * tile[0] * tile[1] if whole or not gone else weight.constant.numel if gone == total else None
    return Zeroing(weight, None, zeros, total - gone)


def _smallest(weights: Sequence[Weight], tile: tuple[int, int], share: Fraction) -> list[Zeroing]:
    import numpy as np

    norms = [_norms(weight, tile) for weight in weights]
    flat = np.concatenate([one.ravel() for one in norms])
    gone = np.zeros(flat.size, np.bool_)
    gone[np.argsort(flat, kind="stable")[: counted(share, flat.size)]] = True
    found, at = [], 0
    for weight, one in zip(weights, norms, strict=True):
        here = gone[at : at + one.size].reshape(one.shape)
        at += one.size
        found.append(Zeroing(weight, _Masker(weight, tile, here), None))
    return found


def _norms(weight: Weight, tile: tuple[int, int]) -> np.ndarray:
    """The L2 norm of each block, [R, C]."""
    import numpy as np

    array = elements(weight.constant, f"{OPTION} block={tile[0]}x{tile[1]}")
    squares = np.square(weight.matrix.of(array), dtype=np.float64)
    norms: np.ndarray = np.sqrt(tiled(squares, tile).sum(axis=(1, 3)))
    return norms


class _Masker:
    """The elements of the blocks that go."""

    def __init__(self, weight: Weight, tile: tuple[int, int], gone: np.ndarray) -> None:
        self._matrix, self._tile, self._gone = weight.matrix, tile, gone

    def __call__(self, array: np.ndarray) -> np.ndarray:
        import numpy as np

        whole = np.kron(self._gone, np.ones(self._tile, np.bool_))
        return self._matrix.back(whole[: self._matrix.rows, : self._matrix.columns], array.shape)
