"""What is sure about an expression: its range, the extremes of several, and the broadcast of two."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Final, TypeAlias

import effaudit.dims.division as division
import effaudit.dims.expr as expr
import effaudit.dims.text as text

INFINITY: Final = float("inf")
MAX_FACTORS: Final = 6
Bound: TypeAlias = int | Fraction | float


def lower(dim: expr.Dim | Fraction) -> Bound:
    """A number that `dim` is never below (-inf where nothing bounds it)."""
    if not isinstance(dim, expr.Expr):
        return dim
    if dim.low is None:
        direct = _interval(dim)[0]
        others = (_shifted(dim) if direct == -INFINITY else None, _relax(dim, 0))
        dim.low = max([direct, *(bound for bound in others if bound is not None)])
    return dim.low


def upper(dim: expr.Dim | Fraction) -> Bound:
    """A number that `dim` is never above (inf where nothing bounds it)."""
    if not isinstance(dim, expr.Expr):
        return dim
    if dim.high is None:
        dim.high = -lower(-dim)
    return dim.high


def span(dim: expr.Dim) -> tuple[int | None, int | None]:
    """The integer range of `dim`, None on a side that nothing bounds."""
    if isinstance(dim, int):
        return dim, dim
    low, high = lower(dim), upper(dim)
    return (None if low == -INFINITY else -int(-low // 1), None if high == INFINITY else int(high // 1))


def _interval(dim: expr.Dim) -> tuple[Bound, Bound]:
    if isinstance(dim, int):
        return dim, dim
    low: Bound = 0
    high: Bound = 0
    for mono, coef in dim.terms.items():
        a: Bound = 1
        b: Bound = 1
        for atom, power in mono:
            bottom, top = _atom_interval(atom)
            for _ in range(power):
                corners = [_product(x, y) for x in (a, b) for y in (bottom, top)]
                a, b = min(corners), max(corners)
        a, b = (_product(a, coef), _product(b, coef)) if coef > 0 else (_product(b, coef), _product(a, coef))
        low, high = _plus(low, a), _plus(high, b)
    return low, high


# Arithmetic with an infinity would turn the other operand into a float, which an integer past 10^308 does not fit.
_INFINITE: Final = (INFINITY, -INFINITY)


def _plus(a: Bound, b: Bound) -> Bound:
    return a if a in _INFINITE else b if b in _INFINITE else a + b


def _product(a: Bound, b: Bound) -> Bound:
    if a == 0 or b == 0:
        return 0
    if a in _INFINITE or b in _INFINITE:
        return INFINITY if (a > 0) == (b > 0) else -INFINITY
    return a * b


def _atom_interval(atom: expr.Atom) -> tuple[Bound, Bound]:
    if atom.interval is None:
        atom.interval = _range_of(atom)
    return atom.interval


def _range_of(atom: expr.Atom) -> tuple[Bound, Bound]:
    if isinstance(atom, expr.Symbol):
        high: Bound = INFINITY if atom.hi is None else _interval(atom.hi)[1]
        return atom.lo, high
    ranges = [_interval(arg) for arg in atom.args]
    if atom.op == "min":
        return min(r[0] for r in ranges), min(r[1] for r in ranges)
    if atom.op == "max":
        return max(r[0] for r in ranges), max(r[1] for r in ranges)
    if atom.op == "bcast":
        return min(r[0] for r in ranges), max(r[1] for r in ranges)
    (low, high), (b_low, b_high) = ranges
    if b_low <= 0:
        return -INFINITY, INFINITY
    if atom.op == "%":
        return 0, b_high - 1
    corners = [_floor(x, y) for x in (low, high) for y in (b_low, b_high)]
    return min(corners), max(corners)


def _floor(a: Bound, b: Bound) -> Bound:
    if b == INFINITY:
        return 0 if a >= 0 else -1
    return a if a in _INFINITE else a // b


def _relax(dim: expr.Expr, level: int) -> Bound | None:
    """A lower bound with each `x // k` replaced by x/k or (x-k+1)/k, so that a symbol on both sides cancels."""
    if level > 6:
        return None
    total: expr.Dim | Fraction = 0
    changed = False
    for mono, coef in dim.terms.items():
        term: expr.Dim | Fraction = expr.Expr({mono: coef}) if mono else coef
        if len(mono) == 1 and mono[0][1] == 1 and isinstance(mono[0][0], expr.Call):
            call = mono[0][0]
            replaced = _linear(call, coef)
            if replaced is not None:
                term, changed = replaced * coef, True
        total = total + term
    if not changed:
        return None
    if not isinstance(total, expr.Expr):
        return total
    direct = _interval(total)[0]
    if direct > -INFINITY:
        return direct
    found = [bound for bound in (_shifted(total), _relax(total, level + 1)) if bound is not None]
    return max(found, default=None)


def _shifted(dim: expr.Expr) -> Bound | None:
    """A lower bound with every atom x written as its own least value + x': where no coefficient of the expanded
    polynomial is negative, its constant is one. It settles a*b*s >= c*b, which ranges alone do not."""
    expanded: dict[tuple[expr.Atom, ...], Bound] = {}
    for mono, coef in dim.terms.items():
        factors = [atom for atom, power in mono for _ in range(power)]
        least = [_atom_interval(atom)[0] for atom in factors]
        if len(factors) > MAX_FACTORS or -INFINITY in least:
            return None
        products: dict[tuple[expr.Atom, ...], Bound] = {(): coef}
        for atom, low in zip(factors, least, strict=True):
            grown: dict[tuple[expr.Atom, ...], Bound] = {}
            for rest, value in products.items():
                grown[rest] = grown.get(rest, 0) + value * low
                more = (*rest, atom)
                grown[more] = grown.get(more, 0) + value
            products = grown
        for rest, value in products.items():
            expanded[rest] = expanded.get(rest, 0) + value
    constant = expanded.pop((), 0)
    return constant if all(value >= 0 for value in expanded.values()) else None


def _linear(call: expr.Call, coef: expr.Number) -> expr.Dim | Fraction | None:
    """An expression not above (coef > 0) or not below (coef < 0) the call's value."""
    if call.op == "//" and isinstance(call.args[1], int):
        x, k = call.args[0], call.args[1]
        return (x if coef < 0 else x - (k - 1)) * Fraction(1, k)
    if call.op == "%":
        return call.args[1] - 1 if coef < 0 else 0
    if (call.op == "max" and coef > 0) or (call.op == "min" and coef < 0):
        symbolic = [a for a in call.args if isinstance(a, expr.Expr)]
        return symbolic[0] if symbolic else None
    return None


def minimum(*dims: expr.Dim) -> expr.Dim:
    """The least of `dims`; those that are surely not the least are dropped."""
    return _extreme("min", dims)


def maximum(*dims: expr.Dim) -> expr.Dim:
    """The greatest of `dims`; those that are surely not the greatest are dropped."""
    return _extreme("max", dims)


def _extreme(op: str, dims: Iterable[expr.Dim]) -> expr.Dim:
    kept: list[expr.Dim] = []
    for dim in _flat(op, dims):
        if any(_wins(op, other, dim) for other in kept):
            continue
        kept = [other for other in kept if not _wins(op, dim, other)]
        kept.append(dim)
    if len(kept) == 1:
        return kept[0]
    return expr.call(op, tuple(sorted(kept, key=text.plain)))


def _flat(op: str, dims: Iterable[expr.Dim]) -> Iterator[expr.Dim]:
    """The arguments, those of a nested call of the same function in its place."""
    for dim in dims:
        inner = _as_call(op, dim)
        if inner is None:
            yield dim
        else:
            yield from inner


def _as_call(op: str, dim: expr.Dim) -> tuple[expr.Dim, ...] | None:
    """The arguments where `dim` is just a call of `op`."""
    if isinstance(dim, expr.Expr) and len(dim.terms) == 1:
        ((mono, coef),) = dim.terms.items()
        if coef == 1 and len(mono) == 1 and mono[0][1] == 1:
            atom = mono[0][0]
            if isinstance(atom, expr.Call) and atom.op == op:
                return atom.args
    return None


def _wins(op: str, a: expr.Dim, b: expr.Dim) -> bool:
    """True where `a` is surely at least as extreme as `b`."""
    if isinstance(a, int) and isinstance(b, int):
        return a <= b if op == "min" else a >= b
    gap = b - a if op == "min" else a - b
    return lower(gap) >= 0


def truncdiv(a: expr.Dim, b: expr.Dim) -> expr.Dim:
    """`a / b` rounded towards zero, as C does, for positive `b`."""
    quotient = division.divide(a, b)
    if quotient is not None:
        return quotient
    return division.floordiv(maximum(a, 0), b) - division.floordiv(maximum(-a, 0), b)


def broadcast(a: expr.Dim, b: expr.Dim) -> expr.Dim:
    """The broadcast of two dims of a valid model: `b` where `a` is 1, else `a`."""
    if isinstance(a, int):
        if a == 1:
            return b
        if isinstance(b, int):
            if b in (1, a):
                return a
            raise ValueError(f"dims {a} and {b} do not broadcast")
        return a
    if isinstance(b, int):
        return a if b == 1 else b
    if a == b:
        return a
    if lower(a) >= 2:
        return a
    if lower(b) >= 2:
        return b
    # Valid dims are equal or one is 1, so where one is surely the larger, the result is that one.
    if lower(a) >= 1 and lower(b - a) >= 0:
        return b
    if lower(b) >= 1 and lower(a - b) >= 0:
        return a
    for one, other in ((a, b), (b, a)):
        inner = _as_call("bcast", one)
        if inner is not None and other in inner:
            return one
    return expr.call("bcast", tuple(sorted((a, b), key=text.plain)))
