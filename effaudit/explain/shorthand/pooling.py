"""Pooling by channels, window, stride, padding and input size."""

from __future__ import annotations

from effaudit.explain.call import Call
from effaudit.explain.lookup import Operator
from effaudit.explain.shorthand._arguments import Given, Short
from effaudit.explain.shorthand._axes import MEANING, RANK, axes, numbers, spread


def _pool(found: Operator, given: Given) -> Call:
    rank, notes = axes(found, given, ("k", "s", "p", "in"))
    kernel, strides, pads, size = (given.sizes(name) or () for name in ("k", "s", "p", "in"))
    window, steps, edges = numbers(kernel, rank, 1, "k"), numbers(strides, rank, 1, "s"), numbers(pads, rank, 0, "p")
    x = given.data(given.size("batch"), given.size("c"), *spread(size, rank))
    attrs = {"kernel_shape": tuple(window), "strides": tuple(steps), "pads": (*edges, *edges), **given.attrs}
    return Call(found.domain, found.op, {"x": x}, attrs, 1, notes)


def _global(found: Operator, given: Given) -> Call:
    rank, notes = axes(found, given, ("in",))
    x = given.data(given.size("batch"), given.size("c"), *spread(given.sizes("in") or (), rank))
    return Call(found.domain, found.op, {"x": x}, given.attrs, 1, notes)


_KEYS = {
    "c": "channels",
    "k": "window: 2 or 2x2",
    "s": "stride (1)",
    "p": "padding on each side (0)",
    "in": "input size: 56x56",
    RANK: MEANING,
    "batch": "images (1)",
    "dtype": "element type (float32)",
}
_GLOBAL_KEYS = {name: _KEYS[name] for name in ("c", "in", RANK, "batch", "dtype")}
POOL = Short(
    frozenset(("MaxPool", "AveragePool", "LpPool")), _KEYS, (("c",), ("k",), ("in",)), "c=64 k=2 s=2 in=56x56", _pool
)
GLOBAL = Short(
    frozenset(("GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool")),
    _GLOBAL_KEYS,
    (("c",), ("in",)),
    "c=64 in=7x7",
    _global,
)
