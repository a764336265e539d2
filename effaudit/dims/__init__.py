"""Dimensions: integers, or exact expressions in named symbols.

A `Dim` is a plain `int` wherever it can be (the fast path) and an `Expr` otherwise. Arithmetic is exact, canonical
(equal expressions built the same way compare equal) and returns `int` as soon as no symbol is left. Comparisons
answer from the ranges of the symbols and raise `Undecided` where those do not settle it.
"""

from effaudit.dims.bounds import INFINITY, broadcast, lower, maximum, minimum, truncdiv, upper
from effaudit.dims.bounds import span as bounds
from effaudit.dims.division import ceildiv, divide, floordiv
from effaudit.dims.evaluate import evaluate, symbols
from effaudit.dims.expr import Dim, Expr, Symbol, symbol, total
from effaudit.dims.linear import linear
from effaudit.dims.text import plain as text

__all__ = [
    "INFINITY",
    "Dim",
    "Expr",
    "Symbol",
    "bounds",
    "broadcast",
    "ceildiv",
    "divide",
    "evaluate",
    "floordiv",
    "linear",
    "lower",
    "maximum",
    "minimum",
    "symbol",
    "symbols",
    "text",
    "total",
    "truncdiv",
    "upper",
]
