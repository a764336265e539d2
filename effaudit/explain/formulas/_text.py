"""Expressions as people write them, in symbols or with their numbers put in."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Set
from typing import Final, NamedTuple

from effaudit.explain.formulas._expression import parsed, value_of
from effaudit.explain.formulas._numbers import SHOWN_AXES, Listed, Quantity, shown

_OPERATORS: Final[Mapping[type, tuple[str, int]]] = {
    ast.Add: (" + ", 1),
    ast.Sub: (" - ", 1),
    ast.Mult: (" x ", 2),
    ast.Div: (" / ", 2),
    ast.Mod: (" mod ", 2),
    ast.Pow: ("^", 4),
}
_COMPARE: Final[Mapping[type, tuple[str, str]]] = {  # the sign, and the sign of its contrary
    ast.Lt: ("<", ">="),
    ast.LtE: ("<=", ">"),
    ast.Gt: (">", "<="),
    ast.GtE: (">=", "<"),
    ast.Eq: ("=", "!="),
    ast.NotEq: ("!=", "="),
}
_NEGATION, _ATOM, _LOOSE = 3, 5, 0


class Piece(NamedTuple):
    """A text and how tightly its outermost operator binds."""

    text: str
    tightness: int

    def inside(self, tightness: int) -> str:
        """The text, in parentheses where it binds less tightly than its surroundings."""
        return self.text if self.tightness >= tightness else f"({self.text})"


def symbols(expression: str) -> str:
    """The expression with its names: `cout x (cin / g) x prod(k)`."""
    return _Writer(None, frozenset()).piece(parsed(expression)).text


def substituted(expression: str, values: Mapping[str, Quantity], silent: Set[str] = frozenset()) -> str:
    """The expression with its numbers put in; `silent` values, defaults, are left out where they change nothing."""
    return _Writer(values, silent).whole(parsed(expression))


class _Writer:
    def __init__(self, values: Mapping[str, Quantity] | None, silent: Set[str]) -> None:
        self.values = values
        self.silent = silent

    def whole(self, node: ast.expr) -> str:
        """A whole expression; a choice between words says why."""
        if isinstance(node, ast.IfExp) and self.values is not None:
            taken = bool(value_of(node.test, self.values))
            branch = self.whole(node.body if taken else node.orelse)
            settled = not isinstance(node.test, (ast.Compare, ast.BoolOp)) or self._words(node.test)
            return branch if settled else f"{branch}, as {self.condition(node.test, taken)}"
        return self.piece(node).text

    def condition(self, node: ast.expr, holds: bool) -> str:
        """A comparison with its numbers, or its contrary where it does not hold."""
        if isinstance(node, ast.Compare):
            sign = _COMPARE[type(node.ops[0])][0 if holds else 1]
            return f"{self.piece(node.left).inside(1)} {sign} {self.piece(node.comparators[0]).inside(1)}"
        if isinstance(node, ast.BoolOp) and self.values is not None:
            deciding = [part for part in node.values if bool(value_of(part, self.values)) == holds]
            return " and ".join(self.condition(part, holds) for part in deciding)
        return self.piece(node).text

    def piece(self, node: ast.expr) -> Piece:
        match node:
            case ast.Constant(value=str() as word):
                return Piece(f'"{word}"' if self.values is None else word, _ATOM)
            case ast.Constant(value=int() as number):
                return Piece(str(number), _ATOM)
            case ast.Name(id=name):
                return self._name(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return Piece(f"-{self.piece(operand).inside(_NEGATION)}", _NEGATION)
            case ast.UnaryOp(operand=operand):
                return Piece(f"not {self.piece(operand).inside(_ATOM)}", _LOOSE)
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(left, op, right)
            case ast.Compare():
                return Piece(self.condition(node, True), _LOOSE)
            case ast.BoolOp(op=op, values=parts):
                word = " and " if isinstance(op, ast.And) else " or "
                return Piece(word.join(self.piece(part).inside(_LOOSE) for part in parts), _LOOSE)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                if self.values is not None:
                    return self.piece(body if value_of(test, self.values) else orelse)
                text = f"{self.piece(body).text} if {self.piece(test).text} else {self.piece(orelse).text}"
                return Piece(text, _LOOSE)
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self._call(name, arguments)
        raise TypeError(f"no text for {ast.dump(node)}")

    def _name(self, name: str) -> Piece:
        if self.values is None:
            return Piece(name.removesuffix("_"), _ATOM)
        value = self.values[name]
        value = _alike(value)
        negative = not isinstance(value, (str, tuple)) and value < 0
        return Piece(shown(value), _NEGATION if negative else _ATOM)

    def _binary(self, left: ast.expr, op: ast.operator, right: ast.expr) -> Piece:
        if isinstance(op, (ast.Mult, ast.Div)) and self._is(right, 1):
            return self.piece(left)
        if isinstance(op, ast.Mult) and self._is(left, 1):
            return self.piece(right)
        if isinstance(op, (ast.Add, ast.Sub)) and self._is(right, 0):
            return self.piece(left)
        if isinstance(op, ast.Add) and self._is(left, 0):
            return self.piece(right)
        sign, tightness = _OPERATORS[type(op)]
        # 64 / 2 x 9 is read in two ways, so a quotient inside a product gets its parentheses
        quotient = isinstance(op, ast.Mult) and isinstance(left, ast.BinOp) and isinstance(left.op, (ast.Div, ast.Mod))
        first = self.piece(left).inside(tightness + (quotient or isinstance(op, ast.Pow)))
        plain_product = isinstance(op, ast.Mult) and not _divides(right)
        second = self.piece(right).inside(tightness + (not (plain_product or isinstance(op, ast.Add))))
        return Piece(f"{first}{sign}{second}", tightness)

    def _call(self, name: str, arguments: list[ast.expr]) -> Piece:
        if self.values is not None and name in ("prod", "sum") and len(arguments) == 1:
            return _listed(name, value_of(arguments[0], self.values))
        if self.values is not None and name == "item":
            return Piece(shown(value_of(ast.Call(ast.Name(name), arguments, []), self.values)), _ATOM)
        return Piece(f"{name}({', '.join(self.piece(argument).text for argument in arguments)})", _ATOM)

    def _is(self, node: ast.expr, number: int) -> bool:
        """Whether a term is a default that changes nothing here."""
        if self.values is None:
            return False
        used = [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and n.id in self.values]
        if not used or not any(name in self.silent for name in used):
            return False
        if number == 1 and isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            return self._is(node.left, 1) and self._is(node.right, 1)
        if number == 1 and not isinstance(node, ast.Name):
            return False
        value = _alike(value_of(node, self.values))
        return not isinstance(value, (str, tuple)) and value == number

    def _words(self, node: ast.expr) -> bool:
        """Whether a comparison is of words: a choice the reader made, not a result."""
        if not isinstance(node, ast.Compare) or self.values is None:
            return False
        return isinstance(value_of(node.left, self.values), str)


def _alike(value: Quantity) -> Quantity:
    """One number where a size has the same on every axis."""
    if isinstance(value, tuple) and not isinstance(value, Listed) and len(set(value)) == 1:
        return value[0]
    return value


def _listed(name: str, values: Quantity) -> Piece:
    """A product or sum, its items one by one unless they are many."""
    items = values if isinstance(values, tuple) else (values,)
    if len(items) > SHOWN_AXES:
        return Piece(f"the {'product' if name == 'prod' else 'sum'} of {len(items)} numbers", _ATOM)
    sign, tightness = _OPERATORS[ast.Mult if name == "prod" else ast.Add]
    texts = [f"({shown(item)})" if not isinstance(item, str) and item < 0 else shown(item) for item in items]
    return Piece(sign.join(texts), tightness if len(items) > 1 else _ATOM)


def _divides(node: ast.expr) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Div, ast.Mod))
