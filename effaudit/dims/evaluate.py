"""Expressions at given sizes."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from effaudit.dims.expr import Call, Dim, Expr, Number, Symbol, whole


def evaluate(dim: Dim, at: Mapping[str, int]) -> int | Fraction | None:
    """The value of `dim` with symbols set by name, or None where a symbol has no value."""
    if not isinstance(dim, Expr):
        return dim
    total: Number = 0
    for mono, coef in dim.terms.items():
        product: Number = coef
        for atom, power in mono:
            value = at.get(atom.name) if isinstance(atom, Symbol) else _evaluate_call(atom, at)
            if value is None:
                return None
            product = product * value**power
        total += product
    return whole(total)


def _evaluate_call(call: Call, at: Mapping[str, int]) -> Number | None:
    values = [evaluate(arg, at) for arg in call.args]
    numbers = [v for v in values if v is not None]
    if len(numbers) < len(values):
        return None
    if call.op == "min":
        return min(numbers)
    if call.op == "max":
        return max(numbers)
    a, b = numbers
    if call.op == "bcast":
        return b if a == 1 else a
    if b == 0:
        return None
    return a % b if call.op == "%" else a // b


def symbols(dim: Dim) -> set[Symbol]:
    """Every symbol in `dim`."""
    found: set[Symbol] = set()
    if isinstance(dim, Expr):
        for mono in dim.terms:
            for atom, _ in mono:
                if isinstance(atom, Symbol):
                    found.add(atom)
                else:
                    for arg in atom.args:
                        found |= symbols(arg)
    return found
