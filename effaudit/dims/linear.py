"""Expressions as linear functions of some of their symbols."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from effaudit.dims.evaluate import symbols
from effaudit.dims.expr import Dim, Expr, Monomial, Number, Symbol, make


class Linear(NamedTuple):
    """rest + sum(factor * symbol)."""

    rest: Dim
    factors: dict[Symbol, int]


def linear(dim: Dim, of: Collection[Symbol]) -> Linear | None:
    """`dim` as a linear function of the symbols `of` with whole constant factors, or None where it is none."""
    if not isinstance(dim, Expr):
        return Linear(dim, {})
    rest: dict[Monomial, Number] = {}
    factors: dict[Symbol, int] = {}
    for mono, coef in dim.terms.items():
        if symbols(Expr({mono: coef})).isdisjoint(of) if mono else True:
            rest[mono] = coef
            continue
        ((atom, power), *others) = mono
        if others or power != 1 or not isinstance(atom, Symbol) or not isinstance(coef, int):
            return None
        factors[atom] = coef
    return Linear(make(rest), factors)
