"""Expressions as text, for programs (Python syntax) and for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import effaudit.dims.expr as expr


def plain(dim: expr.Dim) -> str:
    """`dim` in Python syntax: `18432*B*S**2 + (H + 1)//2`."""
    return str(dim)


def pretty(dim: expr.Dim) -> str:
    """`dim` for people: `18,432·B·S² + ⌊(H + 1)/2⌋`."""
    if isinstance(dim, int):
        return f"{dim:,}"
    return _join(dim, _pretty_term)


_SUPERSCRIPT: Final = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def _pretty_term(mono: expr.Monomial, coef: expr.Number) -> str:
    parts = [_pretty_atom(a) + (str(p).translate(_SUPERSCRIPT) if p > 1 else "") for a, p in mono]
    if coef != 1 or not parts:
        parts.insert(0, f"{coef:,}" if isinstance(coef, int) else str(coef))
    return "·".join(parts)


def _pretty_atom(atom: expr.Atom) -> str:
    if isinstance(atom, expr.Symbol):
        return atom.name
    if atom.op == "//":
        a, b = (pretty(arg) if isinstance(arg, int) else f"({pretty(arg)})" for arg in atom.args)
        return f"⌊{a}/{b}⌋"
    if atom.op == "%":
        return f"({pretty(atom.args[0])} mod {pretty(atom.args[1])})"
    return f"{atom.op}({', '.join(pretty(arg) for arg in atom.args)})"


def of_call(op: str, args: tuple[expr.Dim, ...]) -> str:
    """A call in Python syntax."""
    if op in ("//", "%"):
        a, b = (plain(arg) if isinstance(arg, int) else f"({plain(arg)})" for arg in args)
        return f"({a}{op}{b})"
    return f"{op}({', '.join(map(plain, args))})"


def _plain_term(mono: expr.Monomial, coef: expr.Number) -> str:
    parts = [a.key + (f"**{p}" if p > 1 else "") for a, p in mono]
    if coef != 1 or not parts:
        parts.insert(0, str(coef))
    return "*".join(parts)


def of_expr(value: expr.Expr) -> str:
    """An expression in Python syntax."""
    return _join(value, _plain_term)


def _join(value: expr.Expr, term: Callable[[expr.Monomial, expr.Number], str]) -> str:
    pieces: list[str] = []
    for mono, coef in sorted(value.terms.items(), key=expr.order, reverse=True):
        sign = "-" if coef < 0 else "+"
        body = term(mono, -coef if coef < 0 else coef)
        if pieces:
            pieces.append(f" {sign} {body}")
        else:
            pieces.append(f"-{body}" if sign == "-" else body)
    return "".join(pieces)
