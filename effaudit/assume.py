"""Sizes for dims that nobody gave, where a table needs numbers. Always stated as assumed, never used for a verdict."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from effaudit import dims
from effaudit.graph import Graph, Shape

# Patterns are compiled where they are first needed: most models leave no dim open.
_BATCH: Final = r"(?i)batch|^bs?$"
_IMAGE: Final = r"(?i)height|width|^(h|w)$"
_LENGTH: Final = r"(?i)seq|len|past|time|token|cache|context|frames|samples"
_CHANNELS: Final = (1, 3, 4)
# Candidates for everything that is neither a batch nor an image side: a sequence, a number of samples.
LENGTHS: Final = (128, 1024, 16_000, 1)
BATCH: Final = 1
SIDE: Final = 224


def assumptions(graph: Graph) -> Iterator[dict[str, int]]:
    """Ways to fill in the open dims of a graph, the most plausible first: batch 1, image sides 224, lengths 128.

    Only dims of graph inputs that are still symbols in `graph.dims` with origin "model" are filled.
    """
    roles: dict[str, int | None] = {}
    for name in graph.inputs:
        shape = graph.declared[name].shape or ()
        for axis, dim in enumerate(shape):
            for symbol in dims.symbols(dim):
                known = graph.dims.get(symbol.name)
                if known is not None and known.value is None and symbol.name not in roles:
                    roles[symbol.name] = _role(symbol.name, axis, shape)
    for length in LENGTHS:
        yield {name: length if size is None else size for name, size in roles.items()}
        if None not in roles.values():
            return


def batch_dims(graph: Graph) -> tuple[str, ...]:
    """The dims of graph inputs that stand for a batch: named so, or the first of several."""
    found: dict[str, None] = {}
    for name in graph.inputs:
        shape = graph.declared[name].shape or ()
        for axis, dim in enumerate(shape):
            for symbol in dims.symbols(dim):
                if _role(symbol.name, axis, shape) == BATCH:
                    found[symbol.name] = None
    return tuple(found)


def _role(name: str, axis: int, shape: Shape) -> int | None:
    """The size of a batch or of an image side; None for a length."""
    if re.search(_BATCH, name):
        return BATCH
    if re.search(_LENGTH, name):
        return None
    if axis == 0 and len(shape) > 1:
        return BATCH
    return SIDE if re.search(_IMAGE, name) or _is_side(axis, shape) else None


def _is_side(axis: int, shape: Shape) -> bool:
    """True for a spatial axis of N x C x H x W or N x H x W x C with as many channels as images have."""
    if len(shape) != 4:
        return False
    return (axis in (2, 3) and shape[1] in _CHANNELS) or (axis in (1, 2) and shape[3] in _CHANNELS)
