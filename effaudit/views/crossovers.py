"""Where one cost overtakes another as a dim grows: the sizes at which a model's character changes."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise

import msgspec

from effaudit import dims
from effaudit.dims import Dim, Expr, Symbol


class Crossover(msgspec.Struct, frozen=True):
    """From `dim` > `at` on, `greater` exceeds `less`; `formula` is `at` as an expression where other dims matter.

    `at` is None where it depends on dims that have no number.
    """

    dim: str
    figure: str
    greater: str
    less: str
    at: float | None
    formula: str


def by_degree(formula: Dim, figure: str, at: Mapping[str, int]) -> tuple[Crossover, ...]:
    """Where the terms of the higher degree in a dim overtake those of the next lower one, for each open dim."""
    found = []
    for symbol in sorted(dims.symbols(formula), key=lambda s: s.name):
        terms = _degrees(formula, symbol)
        if terms is None:
            continue
        degrees = sorted((d for d in terms if d > 0), reverse=True)
        for high, low in pairwise(degrees):
            made = _cross(symbol, figure, _power(symbol, high), _power(symbol, low), terms[high], terms[low], at)
            if made is not None and high - low == 1:
                found.append(made)
    return tuple(found)


def between(greater: Dim, less: Dim, names: tuple[str, str], at: Mapping[str, int]) -> tuple[Crossover, ...]:
    """Where one cost of a higher degree in a dim overtakes another that has one term less in it."""
    found = []
    for symbol in sorted(dims.symbols(greater) | dims.symbols(less), key=lambda s: s.name):
        a, b = _degrees(greater, symbol), _degrees(less, symbol)
        if a is None or b is None or len(a) != 1 or len(b) != 1:
            continue
        ((p, x),), ((q, y),) = a.items(), b.items()
        if p - q == 1:
            made = _cross(symbol, "macs", *names, x, y, at)
            if made is not None:
                found.append(made)
    return tuple(found)


def _cross(
    symbol: Symbol, figure: str, greater: str, less: str, a: Dim, b: Dim, at: Mapping[str, int]
) -> Crossover | None:
    """a * s**(n + 1) = b * s**n at s = b / a."""
    exact = _ratio(b, a)
    if exact is not None:
        return Crossover(symbol.name, figure, greater, less, float(exact), str(exact)) if exact > 0 else None
    x, y = dims.evaluate(a, at), dims.evaluate(b, at)
    number = float(Fraction(y) / Fraction(x)) if x and y is not None and y > 0 and x > 0 else None
    return Crossover(symbol.name, figure, greater, less, number, f"({dims.text(b)}) / ({dims.text(a)})")


def _ratio(b: Dim, a: Dim) -> Fraction | None:
    """b / a where it is one number whatever the other dims are."""
    if isinstance(a, int) and isinstance(b, int):
        return Fraction(b, a) if a else None
    if not isinstance(a, Expr) or not isinstance(b, Expr) or a.terms.keys() != b.terms.keys():
        return None
    ratios = {Fraction(b.terms[mono]) / Fraction(a.terms[mono]) for mono in a.terms}
    return ratios.pop() if len(ratios) == 1 else None


def _power(symbol: Symbol, degree: int) -> str:
    return f"{symbol.name} terms" if degree == 1 else f"{symbol.name}**{degree} terms"


def _degrees(formula: Dim, symbol: Symbol) -> dict[int, Dim] | None:
    """The coefficient (in the other dims) of each power of a symbol; None where it stands inside // or max."""
    if not isinstance(formula, Expr):
        return {0: formula}
    found: dict[int, Dim] = {}
    for mono, coef in formula.terms.items():
        degree, rest = 0, []
        for atom, power in mono:
            if atom is symbol:
                degree = power
            elif isinstance(atom, Symbol) or symbol not in dims.symbols(Expr({((atom, 1),): 1})):
                rest.append((atom, power))
            else:
                return None
        if isinstance(coef, Fraction) and not rest and coef.denominator != 1:
            return None
        term: Dim = Expr({tuple(rest): coef}) if rest else int(coef)
        found[degree] = found.get(degree, 0) + term
    return found
