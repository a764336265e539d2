"""Expressions as text, in Python syntax."""

from __future__ import annotations

from collections.abc import Callable

import effaudit.dims.expr as expr


def plain(dim: expr.Dim) -> str:
    """`dim` in Python syntax: `18432*B*S**2 + (H + 1)//2`."""
    return str(dim)


def of_call(op: str, args: tuple[expr.Dim, ...]) -> str:
    """A call in Python syntax."""
    if op in ("//", "%"):
        a, b = map(_operand, args)
        return f"({a}{op}{b})"
    return f"{op}({', '.join(map(plain, args))})"


def _operand(dim: expr.Dim) -> str:
    """An operand of `//` or `%`: in parentheses unless it is one number, name or call."""
    if isinstance(dim, expr.Expr):
        (mono, coef), *others = dim.terms.items()
        alone = not others and coef == 1 and len(mono) == 1 and mono[0][1] == 1
        return plain(dim) if alone else f"({plain(dim)})"
    return str(dim)


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
