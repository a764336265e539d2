"""How a vision transformer cuts its image: N = H x W / P^2 tokens and extra ones (https://arxiv.org/abs/2010.11929)."""

from __future__ import annotations

from typing import Final

from effaudit.views.transformer.signal import CONVS, Signal
from effaudit.views.transformer.types import Block, Patches

MAX_EXTRA: Final = 16
MAX_HOPS: Final = 16


def patches(s: Signal, first: Block) -> Patches | None:
    """The patch convolution of a model: the one that works on an image input and makes the first block's tokens."""
    if first.tokens is None or first.windows is None or first.over != "tokens":
        return None
    tokens = first.tokens * first.windows
    for i, node in enumerate(s.nodes):
        if node.op not in CONVS or not s.weighted[i] or not _on_input(s, i):
            continue
        x, y, w = s.shape(s.input(i)), s.shape(s.output(i)), s.kernel(i)
        if not x or not y or not w or not len(x) == len(y) == len(w) == 4 or w[2] * w[3] < 2:
            continue
        grid, extra = (y[2], y[3]), tokens - y[2] * y[3]
        stride = _pair(node.attrs.get("strides"))
        if 0 <= extra <= MAX_EXTRA and extra < tokens and stride is not None and max(stride) > 1:
            kernel = w[2], w[3]
            return Patches(node.label, (x[2], x[3]), kernel, stride, grid, extra)
    return None


def _pair(found: object) -> tuple[int, int] | None:
    if isinstance(found, tuple) and len(found) == 2 and all(isinstance(n, int) for n in found):
        return found
    return None


def _on_input(s: Signal, i: int) -> bool:
    """True where nothing but elementwise preparation lies between a graph input and a node."""
    for _ in range(MAX_HOPS):
        if not s.sources[i]:
            return any(name in s.graph.inputs for name in s.nodes[i].inputs)
        i = s.sources[i][0]
        if s.weighted[i]:
            return False
    return False
