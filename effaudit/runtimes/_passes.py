"""Lowerings of several passes, and what most runtimes have in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Final, TypeAlias

from effaudit.graph import Graph
from effaudit.lower import boundary, constants, norms, qdq, qoperator

Pass: TypeAlias = Callable[[Graph], Graph]

# Converters and runtimes agree on these, in this order: norms first, while their input is floating.
INTEGER: Final[tuple[Pass, ...]] = (
    constants.without_copies,
    qoperator.plain,
    norms.fold,
    qdq.fold,
    boundary.integers,
    constants.computed_ahead,
)


def in_order(*passes: Pass) -> Pass:
    """The passes one after the other."""
    return lambda graph: reduce(lambda made, step: step(made), passes, graph)
