"""A small safe evaluator: arithmetic over named values, exact on integers and fractions, axis by axis on vectors."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

from effaudit.errors import UsageError
from effaudit.explain.formulas._numbers import MAX_BITS, Number, Quantity, bounded

_COMPARE: Final[Mapping[type, Callable[[Any, Any], bool]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


@lru_cache(maxsize=1024)
def parsed(expression: str) -> ast.expr:
    """The syntax tree of an expression. Raises UsageError for what is none."""
    try:
        return ast.parse(expression, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UsageError("not an arithmetic expression") from None


def names(expression: str) -> tuple[str, ...]:
    """The values an expression uses, in order of appearance."""
    tree = parsed(expression)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called]
    return tuple(dict.fromkeys(found))


def evaluate(expression: str, values: Mapping[str, Quantity]) -> Quantity:
    """The value of an expression. Raises UsageError for what has none, such as a division by zero."""
    return value_of(parsed(expression), values)


def value_of(node: ast.expr, values: Mapping[str, Quantity]) -> Quantity:
    """The value of a syntax tree; `values` holds every name in it."""
    try:
        return bounded(_value(node, values))
    except ZeroDivisionError:
        raise UsageError("division by zero") from None
    except OverflowError:
        raise UsageError("the result is too large to calculate") from None


def _value(node: ast.expr, values: Mapping[str, Quantity]) -> Quantity:
    match node:
        case ast.Constant(value=bool() | str() | int() as value):
            return value
        case ast.Constant(value=float() as value):
            return bounded(Fraction(repr(value)))
        case ast.Name(id=name) if name in values:
            return values[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _each(operator.sub, 0, value_of(operand, values))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not value_of(operand, values)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            return _each(_ARITHMETIC[type(op)], value_of(left, values), value_of(right, values))
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
            return _COMPARE[type(op)](value_of(left, values), value_of(right, values))
        case ast.BoolOp(op=op, values=parts):
            return (all if isinstance(op, ast.And) else any)(value_of(part, values) for part in parts)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return value_of(body if value_of(test, values) else orelse, values)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS:
            return FUNCTIONS[name](*(value_of(argument, values) for argument in arguments))
    raise UsageError("not an arithmetic expression")


def _each(function: Callable[[Number, Number], Number], left: Any, right: Any) -> Quantity:
    """A function of two numbers, over vectors axis by axis."""
    if not isinstance(left, tuple) and not isinstance(right, tuple):
        return function(left, right)
    size = max(len(side) for side in (left, right) if isinstance(side, tuple))
    return tuple(function(a, b) for a, b in zip(_axes(left, size), _axes(right, size), strict=True))


def _axes(value: Any, size: int) -> tuple[Number, ...]:
    axes = value if isinstance(value, tuple) else (value,)
    if len(axes) not in (1, size):
        raise UsageError(f"{len(axes)} numbers where {size} are needed")
    return axes if len(axes) == size else axes * size


def _divide(left: Number, right: Number) -> Number:
    if isinstance(left, float) or isinstance(right, float):
        return left / right
    return Fraction(left) / Fraction(right)


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(exponent, int) and not isinstance(base, float):
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if abs(exponent) * bits > MAX_BITS + bits:
            raise UsageError("a power too large to calculate")
        return Fraction(base) ** exponent
    if base < 0 and float(exponent) != int(exponent):
        raise UsageError("a root of a negative number")
    return float(float(base) ** float(exponent))


_ARITHMETIC: Final[Mapping[type, Callable[[Any, Any], Number]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: _divide,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}


def _numbers(value: Any) -> tuple[Number, ...]:
    return value if isinstance(value, tuple) else (value,)


def _product(value: Any) -> Quantity:
    total: Number = 1
    for item in _numbers(value):
        total *= item
        bounded(total)
    return total


def _jumps(strides: Any) -> Quantity:
    """The product of the strides before each layer."""
    found: list[Number] = [1]
    for stride in _numbers(strides)[:-1]:
        found.append(found[-1] * stride)
        bounded(found[-1])
    return tuple(found)


def _item(value: Any, index: Any) -> Quantity:
    items = _numbers(value)
    if not isinstance(index, int) or not 0 <= index < len(items):
        raise UsageError(f"no number at index {index}: there are {len(items)}, counted from 0")
    return items[index]


def _logarithm(function: Callable[[Any], float]) -> Callable[[Any], Quantity]:
    def logarithm(value: Any) -> Quantity:
        if value <= 0:
            raise UsageError("a logarithm of a number that is not above 0")
        whole = function(value.numerator) - function(value.denominator) if isinstance(value, Fraction) else None
        return float(function(value) if whole is None else whole)

    return logarithm


def _root(value: Any) -> Quantity:
    if value < 0:
        raise UsageError("a root of a negative number")
    return math.sqrt(value)


def _mapped(function: Callable[[Any], Number]) -> Callable[[Any], Quantity]:
    return lambda value: tuple(function(v) for v in value) if isinstance(value, tuple) else function(value)


FUNCTIONS: Final[Mapping[str, Callable[..., Quantity]]] = {
    "prod": _product,
    "sum": lambda *values: sum(values[0] if isinstance(values[0], tuple) else values),
    "max": lambda *values: max(values[0] if isinstance(values[0], tuple) else values),
    "min": lambda *values: min(values[0] if isinstance(values[0], tuple) else values),
    "clip": lambda value, low, high: min(max(value, low), high),
    "floor": _mapped(math.floor),
    "ceil": _mapped(math.ceil),
    "round": _mapped(round),
    "abs": _mapped(abs),
    "exp": _mapped(math.exp),
    "sqrt": _root,
    "log2": _logarithm(math.log2),
    "log10": _logarithm(math.log10),
    "item": _item,
    "jumps": _jumps,
}
