"""For packages that bring rules for operators of their own: what their entry point of group `effaudit.ops` imports.

A shape rule is a function of the node's input `Value`s, its keywords the attributes with their defaults; it returns one
`Value` per output. A cost rule has the same arguments plus the keyword `out` (the first output) or `outs` (all of them)
and returns a `Cost`. Both raise ValueError, with a reason for a person, on a node the operator refuses. Dims are ints
or expressions of open dims (`Dim`): `+`, `-`, `*`, `//` and `%` work on both, `/` does not.

    from effaudit.extend import Cost, Value, cost, numel, shape

    @shape("FusedDense", domain="acme")
    def fused_dense(x: Value, w: Value, b: Value | None = None) -> Value:
        return Value(x.encoding, (*x.shape[:-1], w.shape[1]))

    @cost("FusedDense", domain="acme", kind="gemm")
    def fused_dense_cost(x: Value, w: Value, b: Value | None = None, *, out: Value) -> Cost:
        return Cost(macs=out.numel * x.shape[-1], ops=out.numel if b is not None else 0)

These names are stable; everything else in `effaudit.ops` may change.
"""

from __future__ import annotations

from effaudit import dims
from effaudit.dims import Dim
from effaudit.graph import Encoding, Value
from effaudit.ops._packages import REGISTRY
from effaudit.ops._registry import Context, Cost, Unpriced, numel

shape, cost, storage, unpriced = REGISTRY.shape, REGISTRY.cost, REGISTRY.storage, REGISTRY.unpriced

__all__ = [
    "Context",
    "Cost",
    "Dim",
    "Encoding",
    "Unpriced",
    "Value",
    "cost",
    "dims",
    "numel",
    "shape",
    "storage",
    "unpriced",
]
