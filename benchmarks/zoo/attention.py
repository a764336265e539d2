"""Multi-head self-attention and the feed-forward layer of an encoder, spelled with MatMul and Softmax."""

from __future__ import annotations

import math

from benchmarks.sketch import Sketch
from benchmarks.zoo.layers import activated, linear


def attention(g: Sketch, x: str, width: int, heads: int, tokens: int, at: str, mask: str = "") -> str:
    """Of [batch, tokens, width]; `mask` is added to the scores."""
    size = width // heads
    split = g.integers(0, tokens, heads, size)
    parts = {
        part: g.node("Reshape", [linear(g, x, width, width, f"{at}.{part}"), split], f"/{at}/{part}")
        for part in ("query", "key", "value")
    }
    query = g.node("Transpose", [parts["query"]], f"/{at}/query", perm=[0, 2, 1, 3])
    key = g.node("Transpose", [parts["key"]], f"/{at}/key", perm=[0, 2, 3, 1])
    value = g.node("Transpose", [parts["value"]], f"/{at}/value", perm=[0, 2, 1, 3])
    scores = g.node("Div", [g.node("MatMul", [query, key], f"/{at}/scores"), g.scalar(math.sqrt(size))], f"/{at}")
    if mask:
        scores = g.node("Add", [scores, mask], f"/{at}")
    mixed = g.node("MatMul", [g.node("Softmax", [scores], f"/{at}", axis=-1), value], f"/{at}/mixed")
    mixed = g.node("Transpose", [mixed], f"/{at}/mixed", perm=[0, 2, 1, 3])
    joined = g.node("Reshape", [mixed, g.integers(0, tokens, width)], f"/{at}/mixed")
    return linear(g, joined, width, width, f"{at}.out")


def feed_forward(g: Sketch, x: str, width: int, hidden: int, at: str) -> str:
    y = activated(g, linear(g, x, width, hidden, f"{at}.fc1"), "gelu", f"{at}.fc1")
    return linear(g, y, hidden, width, f"{at}.fc2")
