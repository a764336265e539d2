"""TensorFlow Lite Micro's GreedyMemoryPlanner, exactly.

Sizes descending, first fit. Buffers enter its list from the tail and the sort is stable, so of equal sizes the later
one is placed first.
https://github.com/tensorflow/tflite-micro/blob/main/tensorflow/lite/micro/memory_planner/greedy_memory_planner.cc
"""

from __future__ import annotations

from effaudit.plan.offsets._greedy import FIRST, sort
from effaudit.plan.offsets._instance import Instance

FITS = (FIRST,)


def order(compiled: Instance) -> list[int]:
    """By size; of equals the later one first."""
    return sort(compiled, compiled.sizes, range(compiled.count))
