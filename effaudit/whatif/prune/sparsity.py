"""Unstructured magnitude pruning: the smallest weights of the network, or of each tensor, become zero.

Han et al., https://arxiv.org/abs/1506.02626
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from effaudit.audited import Audited
from effaudit.load.values import blocks
from effaudit.whatif.prune.applied import Way, Zeroing, applied, chosen
from effaudit.whatif.prune.arguments import percent
from effaudit.whatif.prune.targets import Weight, weights_of
from effaudit.whatif.types import Change

if TYPE_CHECKING:
    import numpy as np

MOST_UNTRAINED: Final = Fraction(1, 2)
_DIGIT: Final = 16  # bits of a key that one pass over the weights tells apart

Keys = Callable[["np.ndarray"], "np.ndarray"]


def rewrite(
    audited: Audited,
    share: Fraction,
    *,
    per_layer: bool = False,
    only: str = "",
    skip: str = "",
    storage: str = "",
    written: str = "",
) -> Change:
    """The smallest `share` of the weights made zero: round(share x weights), halves to even, of all of them together or
    of each tensor. Those that are zero already count; of equal magnitudes the first in the graph goes first.

    Raises UsageError.
    """
    weights, blocked = weights_of(audited, only, skip)

    def smallest(some: Sequence[Weight]) -> list[Zeroing]:
        return _smallest(some, share)

    def unread(weight: Weight) -> Zeroing:
        return Zeroing(weight, None, counted(share, weight.constant.numel))

    zeroings = chosen(weights, smallest, unread, per_layer=per_layer)
    numels = [weight.constant.numel for weight in weights]
    most = bound(share, numels if per_layer else [sum(numels)])
    way = Way(written, most, zeros=counted(share, sum(numels)), retrain=retraining(share))
    return applied(audited, zeroings, blocked, way, storage)


def bound(share: Fraction, totals: Iterable[int]) -> Fraction:
    """The largest share of a sum of squares that its smallest terms can be, chosen apart from each of `totals`."""
    return max(Fraction(counted(share, total), total) for total in totals)


def counted(share: Fraction, total: int) -> int:
    """How many of `total` a share is: the nearest whole number, halves to even."""
    return round(share * total)


def _smallest(weights: Sequence[Weight], share: Fraction) -> list[Zeroing]:
    """What goes when the smallest of these weights go."""
    keys, bits = _keys_of(weights)

    def read() -> Iterator[np.ndarray]:
        for weight in weights:
            yield from (keys(block) for block in blocks(weight.constant))

    limit, ties = threshold(read, counted(share, sum(w.constant.numel for w in weights)), bits)
    found = []
    for weight in weights:
        below, equal = _counts((keys(block) for block in blocks(weight.constant)), limit)
        here = min(ties, equal)
        ties -= here
        found.append(Zeroing(weight, _mask(keys, limit, here), below + here))
    return found


def threshold(read: Callable[[], Iterable[np.ndarray]], count: int, bits: int) -> tuple[int, int]:
    """(limit, ties): the `count` smallest of unsigned keys of `bits` bits are those below `limit` and `ties` of those
    that equal it. `read` gives the keys anew each time, in pieces: they are never held together.

    The limit is found digit by digit, the highest first, by counting how many keys have each.
    """
    import numpy as np

    limit, left = 0, count
    for shift in range(bits - _DIGIT, -1, -_DIGIT):
        counts = np.zeros(1 << _DIGIT, np.int64)
        for keys in read():
            alike = keys[(keys >> keys.dtype.type(shift + _DIGIT)) == limit] if shift + _DIGIT < bits else keys
            digits = ((alike >> keys.dtype.type(shift)) & keys.dtype.type((1 << _DIGIT) - 1)).astype(np.int64)
            counts += np.bincount(digits, minlength=1 << _DIGIT)
        upto = np.cumsum(counts)
        digit = int(np.searchsorted(upto, left)) if left else 0
        left -= int(upto[digit - 1]) if digit else 0
        limit = limit << _DIGIT | digit
    return limit, left


def _keys_of(weights: Sequence[Weight]) -> tuple[Keys, int]:
    """Unsigned integers in the order of the magnitudes (of IEEE 754, the bits themselves), and their width: every float
    of up to 32 bits is a float32. NaN is the largest."""
    import numpy as np

    wide = any(weight.constant.encoding.bits > 32 for weight in weights)
    number, key = (np.float64, np.uint64) if wide else (np.float32, np.uint32)

    def keys(array: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.abs(array.astype(number)).view(key)
        return found

    return keys, 64 if wide else 32


def _counts(pieces: Iterable[np.ndarray], limit: int) -> tuple[int, int]:
    below = equal = 0
    for keys in pieces:
        below += int((keys < limit).sum())
        equal += int((keys == limit).sum())
    return below, equal


def _mask(keys: Keys, limit: int, ties: int) -> Callable[[np.ndarray], np.ndarray]:
    """True for the keys below the limit and the first `ties` that equal it."""
    import numpy as np

    def mask(array: np.ndarray) -> np.ndarray:
        found = keys(np.ascontiguousarray(array))
        gone = (found < limit).ravel()
        gone[np.flatnonzero(found.ravel() == limit)[:ties]] = True
        shaped: np.ndarray = gone.reshape(array.shape)
        return shaped

    return mask


def retraining(share: Fraction) -> str:
    """Why a network that lost this share of its weights needs training again; "" where it does not."""
    if share <= MOST_UNTRAINED:
        return ""
    return f"{percent(share)} of the weights are gone; above 50 % accuracy is not kept without training again"
