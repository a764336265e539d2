"""k-means of numbers on a line: the same every time, without drawing anything.

Lloyd's iteration (https://doi.org/10.1109/TIT.1982.1056489) on sorted numbers: a cluster is a run of them, so a pass
looks up k - 1 bounds and adds up k runs. It begins once with entries that lie evenly between the least and the largest
number, as Deep Compression has them, once with as many as many entries would be best: in proportion to the cube root of
how dense the numbers lie (Panter and Dite, https://doi.org/10.1109/JRPROC.1951.230419). The better end is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from effaudit.load.values import BLOCK

if TYPE_CHECKING:
    import numpy as np

PASSES: Final = 300
STRETCHES: Final = 4096  # of as many numbers each, in which density is looked at
ENOUGH: Final = 1e-4  # of the noise: passes that save less than this end it


def entries(numbers: np.ndarray, k: int) -> np.ndarray:
    """At most `k` entries, ascending float64, with the least noise found. Where so many numbers are zero that they fill
    an entry (pruned weights), one is zero and stays it. There must be a number, and all finite."""
    import numpy as np

    ordered = np.sort(numbers, axis=None)
    changes = np.flatnonzero(ordered[1:] != ordered[:-1])
    if changes.size < k:
        return np.concatenate((ordered[:1], ordered[changes + 1])).astype(np.float64)
    zeros = np.searchsorted(ordered, 0, "right") - np.searchsorted(ordered, 0, "left")
    pinned = bool(zeros * k >= ordered.size)
    signal = sum(float(np.square(part, dtype=np.float64).sum()) for part in np.array_split(ordered, pieces(ordered)))
    ends = [_settled(ordered, _start(ordered, k, power), signal, pinned=pinned) for power in (1.0, 2 / 3)]
    return min(ends, key=lambda end: end[1])[0]


def pieces(numbers: np.ndarray) -> int:
    """In how many parts numbers are squared, so that these take little beside them."""
    return 1 + numbers.size // BLOCK


def _start(ordered: np.ndarray, k: int, power: float) -> np.ndarray:
    """`k` entries; of two stretches that hold as many numbers, each has entries as its length to a power. 1 lays them
    evenly over the whole range, 2/3 by the cube root of the density, as density x length^3 is noise."""
    import numpy as np

    at = np.linspace(0, ordered.size - 1, min(ordered.size, STRETCHES + 1)).astype(np.int64)
    ends = ordered[at].astype(np.float64)
    along = np.concatenate(([0.0], np.cumsum((ends[1:] - ends[:-1]) ** power)))
    found: np.ndarray = np.interp((np.arange(k) + 0.5) / k * along[-1], along, ends)
    return found


def bounds(book: np.ndarray, dtype: np.dtype[np.generic]) -> np.ndarray:
    """The k - 1 numbers half way between entries, in the type of the weights."""
    import numpy as np

    book = book.astype(np.float64)
    return (book[:-1] / 2 + book[1:] / 2).astype(dtype)


def nearest(book: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """The place of the entry nearest to each number; of two as near the lower."""
    import numpy as np

    found: np.ndarray = np.searchsorted(bounds(book, numbers.dtype), numbers, "left")
    return found


def _settled(ordered: np.ndarray, book: np.ndarray, signal: float, *, pinned: bool) -> tuple[np.ndarray, float]:
    """(the entries that the iteration ends with, their noise)."""
    import numpy as np

    before = np.inf
    for _ in range(PASSES):
        if pinned:
            book[np.abs(book).argmin()] = 0.0
        cuts = np.searchsorted(ordered, bounds(book, ordered.dtype), "right")
        starts, ends = np.concatenate(([0], cuts)), np.concatenate((cuts, [ordered.size]))
        filled = ends > starts
        counts = (ends - starts)[filled]
        sums = np.add.reduceat(ordered, starts[filled], dtype=np.float64)
        held = book[filled]
        noise = signal + float((counts * held * held - 2 * held * sums).sum())
        if not before - noise > ENOUGH * noise:
            break
        before, last = noise, book
        book = book.copy()
        book[filled] = sums / counts
    return last, before
