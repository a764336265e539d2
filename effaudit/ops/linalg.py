"""Linear algebra."""

from __future__ import annotations

from fractions import Fraction

from effaudit.dims import Dim, Expr
from effaudit.graph import Value
from effaudit.ops._inputs import agreed, ranked
from effaudit.ops._registry import Cost, cost, numel, shape


@shape("Det")
def det(x: Value) -> Value:
    """https://onnx.ai/onnx/operators/onnx__Det.html"""
    whole = ranked(x, "X")
    if len(whole) < 2:
        raise ValueError(f"an input of rank {len(whole)}; square matrices expected")
    agreed("the number of rows and columns", *whole[-2:])
    return Value(x.encoding, whole[:-2])


@cost("Det", kind="linalg")
def det_cost(x: Value, *, out: Value) -> Cost:
    """ops = matrices x (n (n - 1) (4 n + 1) / 6 + n - 1): the divisions, products and differences of an LU
    decomposition of n x n, and the product of its diagonal"""
    assert x.shape is not None
    n = agreed("the number of rows and columns", *x.shape[-2:])
    sixfold: Dim = n * (n - 1) * (4 * n + 1)
    eliminated = sixfold * Fraction(1, 6) if isinstance(sixfold, Expr) else sixfold // 6
    return Cost(0, numel(x.shape[:-2]) * (eliminated + (n - 1)))
