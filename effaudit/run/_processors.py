"""How many processors a machine really gives at a moment: the same work alone and on all threads together.

What a virtual machine calls two processors may be two threads of one core, or wait for others: no counter of the
system tells. Where work on n threads takes as long as on one, there are n; where it takes twice as long, half of them.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Final

SIZE: Final = 160  # of a matrix: three fit in a core's own cache
PRODUCTS: Final = 6  # half a millisecond
ROUNDS: Final = 3
ENOUGH: Final = 0.75  # of the threads that are wanted: below it a measurement is of another machine


class Processors:
    """Work to measure by, on so many threads. NumPy's products have to run on one thread each."""

    def __init__(self, threads: int) -> None:
        import numpy as np

        draw = np.random.default_rng(0)
        self._matrices = [draw.random((SIZE, SIZE), np.float32) for _ in range(threads)]
        self._together(threads)  # the first use of a library is not like the others

    def now(self) -> float:
        """Processors that so many threads have, at most their number; takes some milliseconds."""
        threads = len(self._matrices)
        if threads == 1:
            return 1.0
        alone = min(self._together(1) for _ in range(ROUNDS))
        together = sorted(self._together(threads) for _ in range(ROUNDS))[ROUNDS // 2]
        return min(threads * alone / together, float(threads))

    def _together(self, threads: int) -> float:
        """Seconds of the slowest of the threads, all beginning at once."""
        barrier, taken = threading.Barrier(threads), [0.0] * threads
        workers = [threading.Thread(target=self._work, args=(i, barrier, taken)) for i in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return max(taken)

    def _work(self, number: int, barrier: Any, taken: list[float]) -> None:
        matrix = self._matrices[number]
        barrier.wait()
        start = time.perf_counter()
        for _ in range(PRODUCTS):
            matrix @ matrix
        taken[number] = time.perf_counter() - start
