"""By how much the fastest known algorithm for a convolution needs fewer products than its multiply-accumulates.

Of windows that move by one step alone. Winograd (https://arxiv.org/abs/1509.09308) needs m + r - 1 products for m
outputs of a window of r along each axis; runtimes use tiles of m + r - 1 = 8 at the most (F(6x6, 3x3):
https://github.com/Maratyszcza/NNPACK). With Fourier transforms (https://arxiv.org/abs/1312.5851) it is one complex
product for every two outputs and pair of channels, however large the window: two real ones per output with tiles
without end. Transforms are counted as nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from math import inf, prod
from typing import Final

from effaudit.graph import Graph, Node

TILE: Final = 8
REAL_PRODUCTS: Final = 2
_KINDS: Final = frozenset(("conv", "grouped", "depthwise", "pointwise", "transposed"))


def saving(window: Iterable[int], steps: Iterable[int]) -> float:
    """The factor for a window of so many taps along each axis, 1 where it takes larger steps."""
    taps = tuple(window)
    if any(step != 1 for step in steps):
        return 1.0
    winograd = prod(max((TILE + 1 - r) * r / TILE, 1.0) for r in taps)
    return max(winograd, prod(taps) / REAL_PRODUCTS, 1.0)


def saving_of(graph: Graph, node: Node, kind: str) -> float:
    """The factor for a node of a kind (`effaudit.table`); of one with bodies the largest of what may be in them,
    without end where the window is not known: then its products bound nothing."""
    if node.bodies:
        return _inside(node)
    if kind not in _KINDS:
        return 1.0
    return _of(graph, node)


def _of(graph: Graph, node: Node) -> float:
    steps = _sizes(node.attrs.get("strides", ()))
    window = _window(graph, node)
    if steps is None or window is None:
        return inf
    return saving(window, steps)


def _window(graph: Graph, node: Node) -> tuple[int, ...] | None:
    stated = node.attrs.get("kernel_shape")
    if stated is not None:
        return _sizes(stated)
    weights = graph.values.get(node.inputs[1]) if len(node.inputs) > 1 else None
    return None if weights is None or weights.shape is None else _sizes(weights.shape[2:])


def _sizes(found: object) -> tuple[int, ...] | None:
    if not isinstance(found, list | tuple):
        return None
    sizes = tuple(size for size in found if type(size) is int)
    return sizes if len(sizes) == len(found) else None


def _inside(node: Node) -> float:
    """The largest factor of all convolutions in bodies, which are priced as a whole."""
    left, seen, most = list(node.bodies.values()), set(), 1.0
    while left:
        body = left.pop()
        if id(body) in seen:
            continue
        seen.add(id(body))
        most = max((most, *(_of(body, inner) for inner in body.nodes if "Conv" in inner.op)))
        left.extend(chain.from_iterable(inner.bodies.values() for inner in body.nodes))
    return most
