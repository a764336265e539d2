"""Equal contents, told from digests that are taken while the parts of a tensor come in order."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np

_SEEDS: Final = (0x9E3779B97F4A7C15, 0xD1B54A32D192ED03)
_WORD: Final = (1 << 64) - 1


class Content:
    """A digest of the elements in the order they are stored: equal for equal elements, and for no others."""

    def __init__(self) -> None:
        self.hash = hashlib.blake2b(digest_size=32)

    def add(self, part: np.ndarray) -> None:
        import numpy as np

        self.hash.update(np.ascontiguousarray(part).data.cast("B") if part.size else b"")

    @property
    def digest(self) -> bytes:
        return self.hash.digest()


class Turned:
    """Digests of a matrix and of its transpose, both from one pass: two sums mod 2^64 of mixed elements, each times a
    pseudo-random weight of its row and one of its column. 128 bits: two matrices that differ share it by chance in less
    than one of 2^100 cases; nothing here defends against a file made to collide."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.next = 0
        self.straight = [0, 0]
        self.turned = [0, 0]

    def add(self, part: np.ndarray) -> None:
        """Elements in row-major order, a whole number of rows or less than one at a time."""
        import numpy as np

        bits = np.ascontiguousarray(part).reshape(-1)
        words = _mixed(bits.view(f"u{bits.itemsize}").astype(np.uint64))
        first = self.next
        self.next += words.size
        with np.errstate(over="ignore"):
            if first % self.columns == 0 and words.size % self.columns == 0:
                row = first // self.columns
                self._sum(
                    words.reshape(-1, self.columns),
                    np.arange(row, row + words.size // self.columns, dtype=np.uint64)[:, None],
                    np.arange(self.columns, dtype=np.uint64)[None, :],
                )
            else:
                at = np.arange(first, first + words.size, dtype=np.uint64)
                self._sum(words, at // np.uint64(self.columns), at % np.uint64(self.columns))

    def _sum(self, words: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> None:
        import numpy as np

        for i, seed in enumerate(_SEEDS):
            one, other = np.uint64(seed), np.uint64(seed ^ _WORD)
            straight = _mixed(rows + one) * _mixed(columns + other)
            turned = _mixed(columns + one) * _mixed(rows + other)
            self.straight[i] = (self.straight[i] + int((words * straight).sum(dtype=np.uint64))) & _WORD
            self.turned[i] = (self.turned[i] + int((words * turned).sum(dtype=np.uint64))) & _WORD

    @property
    def digests(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(of the matrix, of its transpose): the second equals the first of the matrix stored the other way round."""
        return tuple(self.straight), tuple(self.turned)


def _mixed(words: np.ndarray) -> np.ndarray:
    """The finalizer of splitmix64, https://doi.org/10.1145/2714064.2660195, which maps words to words one to one."""
    import numpy as np

    words = words + np.uint64(_SEEDS[0])
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = words ^ (words >> np.uint64(31))
    return mixed
