"""Floor division and exact division of dims."""

from __future__ import annotations

from fractions import Fraction
from math import gcd

import effaudit.dims.bounds as bounds
import effaudit.dims.expr as expr
from effaudit.errors import Undecided


def floordiv(a: expr.Dim, b: expr.Dim) -> expr.Dim:
    """`a // b` with floor semantics for positive `b`.

    Uses floor((b*q + r)/b) = q + floor(r/b), floor((g*e + c)/b) = floor((e + floor(c/g))/(b/g)) for g dividing b, and
    floor(floor(x/k)/b) = floor(x/(k*b)), so that the forms exporters write come out equal.
    """
    if isinstance(a, int) and isinstance(b, int):
        return a // b
    if isinstance(b, int):
        if b <= 0:
            raise Undecided(f"{a} // {b}")
        return _div_int(a, b) if isinstance(a, expr.Expr) else a // b
    if a == b:
        return 1
    if a == 0:
        return 0
    quotient = divide(a, b)
    return expr.call("//", (a, b)) if quotient is None else quotient


def modulo(a: expr.Dim, b: expr.Dim) -> expr.Dim:
    """`a % b` with the divisor's sign, for positive `b`."""
    if isinstance(b, int) or (isinstance(a, expr.Expr) and divide(a, b) is not None):
        return a - floordiv(a, b) * b
    return expr.call("%", (a, b))


def _div_int(a: expr.Expr, b: int) -> expr.Dim:
    denominator = 1
    for coef in a.terms.values():
        if isinstance(coef, Fraction):
            denominator = denominator * coef.denominator // gcd(denominator, coef.denominator)
    if denominator > 1:
        scaled = a * denominator
        a, b = scaled if isinstance(scaled, expr.Expr) else expr.Expr(expr.terms_of(scaled)), b * denominator
    if b == 1:
        return a
    whole: dict[expr.Monomial, expr.Number] = {}
    rest: dict[expr.Monomial, expr.Number] = {}
    for mono, coef in a.terms.items():
        quotient, remainder = divmod(coef, b) if not mono else (coef // b, coef % b)
        if quotient:
            whole[mono] = quotient
        if remainder:
            rest[mono] = remainder
    constant = int(rest.pop((), 0))
    if not rest:
        return expr.make(whole)
    shared = b
    for coef in rest.values():
        shared = gcd(shared, int(coef))
    if shared > 1:
        rest = {m: c // shared for m, c in rest.items()}
        constant, b = constant // shared, b // shared
    if b == 1:
        return expr.make(whole) + (expr.make(rest) + constant)
    inner = expr.make(rest) + constant
    nested = _nested(rest, constant, b)
    if nested is not None:
        return expr.make(whole) + nested
    low, high = bounds.lower(inner), bounds.upper(inner)
    if low > -bounds.INFINITY and high < bounds.INFINITY and low // b == high // b:
        return expr.make(whole) + int(low // b)
    return expr.make(whole) + expr.call("//", (inner, b))


def _nested(rest: dict[expr.Monomial, expr.Number], constant: expr.Number, b: int) -> expr.Dim | None:
    """floor((floor(x/k) + c)/b) as floor((x + c*k)/(k*b)), or None where `rest` is not a single such call."""
    if len(rest) != 1:
        return None
    (mono, coef), *_ = rest.items()
    if coef != 1 or len(mono) != 1 or mono[0][1] != 1:
        return None
    atom = mono[0][0]
    if not isinstance(atom, expr.Call) or atom.op != "//" or not isinstance(atom.args[1], int):
        return None
    k = atom.args[1]
    return floordiv(atom.args[0] + int(constant) * k, k * b)


def divide(a: expr.Dim, b: expr.Dim) -> expr.Dim | None:
    """The exact quotient `a / b` where `b` divides `a` as a polynomial, else None."""
    if isinstance(b, int):
        if not b:
            return None
        if isinstance(a, int):
            return a // b if a % b == 0 else None
        if all(isinstance(c, int) and c % b == 0 for c in a.terms.values()):
            return expr.make({m: c // b for m, c in a.terms.items()})
        return None
    remainder = dict(expr.terms_of(a))
    quotient: dict[expr.Monomial, expr.Number] = {}
    lead, lead_coef = max(b.terms.items(), key=expr.order)
    for _ in range(expr.MAX_TERMS):
        if not remainder:
            return expr.make(quotient)
        mono, coef = max(remainder.items(), key=expr.order)
        ratio = expr.over(mono, lead)
        if ratio is None or coef % lead_coef:
            return None
        step = coef // lead_coef
        quotient[ratio] = step
        for m, c in b.terms.items():
            target = expr.times(m, ratio)
            total = remainder.get(target, 0) - c * step
            if total:
                remainder[target] = total
            else:
                remainder.pop(target, None)
    return None


def ceildiv(a: expr.Dim, b: expr.Dim) -> expr.Dim:
    """`ceil(a / b)` for positive `b`."""
    return floordiv(a + b - 1, b)
