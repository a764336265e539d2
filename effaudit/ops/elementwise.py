"""Elementwise operators: one output element from the input elements at the same place, after broadcasting.

ops = numel(out) x a number per element: every scalar operation of the definition counts one, a transcendental
function or a division too. The numbers stand in `ACTIVATIONS`, `UNARY` and `BINARY`; every operator below is one row
of a table.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final

from effaudit import dims
from effaudit.dims import Expr
from effaudit.graph import BOOL, ENCODINGS, INTEGERS, UNKNOWN, Value
from effaudit.ops._data import fold
from effaudit.ops._registry import Cost, cost, shape, storage
from effaudit.ops._shapes import broadcast, broadcast_all

# operator -> scalar operations per element
ACTIVATIONS: Final = {
    "Relu": 1,
    "LeakyRelu": 2,
    "ThresholdedRelu": 1,
    "Sigmoid": 4,
    "HardSigmoid": 4,
    "Tanh": 1,
    "Elu": 4,
    "Selu": 5,
    "Celu": 6,
    "Softplus": 3,
    "Softsign": 3,
    "HardSwish": 5,
    "Mish": 5,
    "Gelu": 5,
    "Swish": 5,
    "Shrink": 3,
    "PRelu": 2,
    "Clip": 2,
    "SwiGLU": 6,
}
UNARY: Final = {
    **dict.fromkeys("Abs Neg Floor Ceil Round Sign Reciprocal Sqrt Exp Log Erf Not BitwiseNot IsNaN IsInf".split(), 1),
    **dict.fromkeys("Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh".split(), 1),
}
BINARY: Final = "Add Sub Mul Div Mod Pow And Or Xor BitwiseAnd BitwiseOr BitwiseXor BitShift".split()
COMPARE: Final = "Equal Greater GreaterOrEqual Less LessOrEqual".split()
VARIADIC: Final = "Sum Max Min Mean".split()


def _divide_whole(a: Any, b: Any) -> Any:
    """Integer division, rounded towards zero as C does."""
    if isinstance(a, Expr) or isinstance(b, Expr):
        return _truncated(a, b)
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def _divide(a: Any, b: Any) -> Any:
    if isinstance(a, Expr):
        return a * (1 / exact(b)) if not isinstance(b, Expr) else None
    return None if isinstance(b, Expr) else a / b


def _truncated(a: Any, b: Any) -> Any:
    """a / b of symbolic integers, rounded towards zero as C does."""
    if dims.lower(b) <= 0:
        return None
    return dims.truncdiv(a, b)


def exact(x: Any) -> Fraction:
    """A float as the fraction it stands for. Raises ValueError where it is too fine to be a designed ratio."""
    fraction = Fraction(x)
    if fraction.denominator > 2**24:
        raise ValueError("not a ratio dims are built with")
    return fraction


def _multiply(a: Any, b: Any) -> Any:
    if isinstance(a, Expr) and isinstance(b, float):
        return a * exact(b)
    if isinstance(b, Expr) and isinstance(a, float):
        return b * exact(a)
    return a * b


def _plus(a: Any, b: Any) -> Any:
    if isinstance(a, Expr) and isinstance(b, float):
        return a + exact(b)
    if isinstance(b, Expr) and isinstance(a, float):
        return b + exact(a)
    return a + b


def _floor(x: Any) -> Any:
    return dims.floordiv(x, 1) if isinstance(x, Expr) else float(math.floor(x))


def _ceil(x: Any) -> Any:
    return -dims.floordiv(-x, 1) if isinstance(x, Expr) else float(math.ceil(x))


def _equal(a: Any, b: Any) -> bool:
    if a == b:
        return True
    if isinstance(a, Expr) or isinstance(b, Expr):
        gap = a - b
        if isinstance(gap, Expr) and not (dims.lower(gap) > 0 or dims.upper(gap) < 0):
            raise ValueError("undecided")
    return False


def _power(a: Any, b: Any) -> Any:
    if isinstance(a, Expr):
        return a * a if b == 2 else a if b == 1 else None
    return a**b if not isinstance(b, Expr) and abs(b) < 64 else None


def _modulo(a: Any, b: Any) -> Any:
    """The remainder with the divisor's sign."""
    if isinstance(a, float) or isinstance(b, float) or (isinstance(b, Expr) and dims.lower(b) <= 0):
        return None
    return a % b


def _remainder(a: Any, b: Any) -> Any:
    """The remainder with the dividend's sign, as C's fmod."""
    if isinstance(a, Expr) or isinstance(b, Expr):
        return a - _truncated(a, b) * b
    return math.fmod(a, b) if isinstance(a, float) or isinstance(b, float) else abs(a) % abs(b) * _sign(a)


def _comparable(x: Any) -> Any:
    """A whole float as the int it is: expressions compare with those."""
    return int(x) if isinstance(x, float) and x.is_integer() else x


def _sign(x: Any) -> Any:
    if isinstance(x, Expr):
        return 1 if dims.lower(x) > 0 else None
    return (x > 0) - (x < 0)


_FOLDED_BINARY: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "Add": _plus,
    "Sub": lambda a, b: _plus(a, -b),
    "Mul": _multiply,
    "Pow": _power,
    "And": lambda a, b: a and b,
    "Or": lambda a, b: a or b,
    "Xor": lambda a, b: a != b,
    "Equal": _equal,
    "Greater": lambda a, b: _comparable(a) > _comparable(b),
    "GreaterOrEqual": lambda a, b: _comparable(a) >= _comparable(b),
    "Less": lambda a, b: _comparable(a) < _comparable(b),
    "LessOrEqual": lambda a, b: _comparable(a) <= _comparable(b),
}
_FOLDED_UNARY: Final[dict[str, Callable[[Any], Any]]] = {
    "Neg": lambda x: -x,
    "Abs": lambda x: x if isinstance(x, Expr) and dims.lower(x) >= 0 else None if isinstance(x, Expr) else abs(x),
    "Floor": _floor,
    "Ceil": _ceil,
    "Round": lambda x: None if isinstance(x, Expr) else float(round(x)),
    "Sqrt": lambda x: None if isinstance(x, Expr) else math.sqrt(x),
    "Reciprocal": lambda x: None if isinstance(x, Expr) else 1 / x,
    "Exp": lambda x: None if isinstance(x, Expr) else math.exp(x),
    "Log": lambda x: None if isinstance(x, Expr) else math.log(x),
    "Not": lambda x: not x,
    "Sign": _sign,
    "Relu": lambda x: dims.maximum(x, 0) if isinstance(x, (int, Expr)) else max(x, 0.0),
}
_FOLDED_VARIADIC: Final[dict[str, Callable[..., Any]]] = {
    "Max": lambda *xs: dims.maximum(*xs) if all(isinstance(x, (int, Expr)) for x in xs) else max(xs),
    "Min": lambda *xs: dims.minimum(*xs) if all(isinstance(x, (int, Expr)) for x in xs) else min(xs),
    "Sum": lambda *xs: sum(xs[1:], xs[0]),
}


def _unary(op: str) -> Callable[[Value], Value]:
    folded = _FOLDED_UNARY.get(op)

    def rule(x: Value) -> Value:
        if folded is None or x.content is None:
            return Value(x.encoding, x.shape)
        return Value(x.encoding, x.shape, fold(folded, (x,), x.shape, x.encoding.dtype))

    rule.__doc__ = f"https://onnx.ai/onnx/operators/onnx__{op}.html"
    return rule


def _predicate(x: Value) -> Value:
    """https://onnx.ai/onnx/operators/onnx__IsNaN.html"""
    return Value(BOOL, x.shape)


def _binary(op: str) -> Callable[[Value, Value], Value]:
    folded = _FOLDED_BINARY.get(op)
    result = BOOL if op in COMPARE else None

    def rule(a: Value, b: Value) -> Value:
        assert a.shape is not None and b.shape is not None
        out = a.shape if a.shape == b.shape else broadcast(a.shape, b.shape)
        encoding = result or a.encoding
        if a.content is None or b.content is None:
            return Value(encoding, out)
        function = folded
        if op == "Div":
            function = _divide_whole if a.encoding.dtype in INTEGERS else _divide
        return Value(encoding, out, fold(function, (a, b), out, encoding.dtype) if function else None)

    rule.__doc__ = f"https://onnx.ai/onnx/operators/onnx__{op}.html"
    return rule


def _variadic(op: str) -> Callable[..., Value]:
    folded = _FOLDED_VARIADIC.get(op)

    def rule(*inputs: Value) -> Value:
        shapes = [v.shape for v in inputs if v.shape is not None]
        out = broadcast_all(shapes)
        encoding = inputs[0].encoding
        return Value(encoding, out, fold(folded, inputs, out, encoding.dtype) if folded else None)

    rule.__doc__ = f"https://onnx.ai/onnx/operators/onnx__{op}.html"
    return rule


def _per_element(op: str, count: int) -> Callable[..., Cost]:
    def rule(*inputs: Value, out: Value) -> Cost:
        return Cost(0, out.numel * count)

    rule.__doc__ = f"ops = {'' if count == 1 else f'{count} x '}numel(out)"
    return rule


def _per_input(op: str) -> Callable[..., Cost]:
    def rule(*inputs: Value, out: Value) -> Cost:
        count = len(inputs) if op == "Mean" else len(inputs) - 1
        return Cost(0, out.numel * count)

    rule.__doc__ = f"ops = numel(out) x {'inputs' if op == 'Mean' else '(inputs - 1)'}"
    return rule


for _op in UNARY:
    shape(_op)(_predicate if _op in ("IsNaN", "IsInf") else _unary(_op))
    cost(_op, kind="elementwise")(_per_element(_op, UNARY[_op]))
for _op in BINARY + COMPARE:
    if _op != "Mod":
        shape(_op)(_binary(_op))
    cost(_op, kind="elementwise")(_per_element(_op, 1))
for _op in VARIADIC:
    shape(_op)(_variadic(_op))
    cost(_op, kind="elementwise")(_per_input(_op))
for _op, _count in ACTIVATIONS.items():
    if _op not in ("Clip", "PRelu", "SwiGLU"):
        shape(_op)(_unary(_op))
    cost(_op, kind="activation")(_per_element(_op, _count))

storage(*UNARY, *ACTIVATIONS, overwrites=(0,))
storage(*BINARY, overwrites=(0, 1))
storage(*VARIADIC, overwrites=tuple(range(16)))
storage("SwiGLU", "IsNaN", "IsInf", *COMPARE)


@shape("Mod")
def mod(a: Value, b: Value, *, fmod: int = 0) -> Value:
    """https://onnx.ai/onnx/operators/onnx__Mod.html"""
    assert a.shape is not None and b.shape is not None
    out = broadcast(a.shape, b.shape)
    return Value(a.encoding, out, fold(_remainder if fmod else _modulo, (a, b), out, a.encoding.dtype))


@shape("Clip")
def clip(input: Value, min: Value | None = None, max: Value | None = None) -> Value:
    """https://onnx.ai/onnx/operators/onnx__Clip.html"""
    bounds = [v for v in (min, max) if v is not None]
    if input.content is None or any(v.content is None for v in bounds):
        return Value(input.encoding, input.shape)

    def clamp(x: Any, *limits: Any) -> Any:
        rest = list(limits)
        low = dims.maximum(x, rest.pop(0)) if min is not None else x
        return dims.minimum(low, rest.pop(0)) if max is not None else low

    return Value(input.encoding, input.shape, fold(clamp, (input, *bounds), input.shape, input.encoding.dtype))


@shape("PRelu")
def prelu(x: Value, slope: Value) -> Value:
    """https://onnx.ai/onnx/operators/onnx__PRelu.html (the slope broadcasts to x, never the other way)"""
    return Value(x.encoding, x.shape)


@shape("SwiGLU")
def swiglu(*inputs: Value) -> Value:
    """https://onnx.ai/onnx/operators/onnx__SwiGLU.html: two inputs gate each other, a single one is split in half"""
    first = inputs[0]
    assert first.shape is not None
    if len(inputs) > 1:
        return Value(first.encoding, first.shape)
    return Value(first.encoding, (*first.shape[:-1], dims.floordiv(first.shape[-1], 2)))


@shape("Where")
def where(condition: Value, x: Value, y: Value) -> Value:
    """https://onnx.ai/onnx/operators/onnx__Where.html"""
    out = broadcast_all([v.shape for v in (condition, x, y) if v.shape is not None])

    def choose(c: Any, a: Any, b: Any) -> Any:
        return a if c else b

    return Value(x.encoding, out, _choose(condition, x, y, out))


def _choose(condition: Value, x: Value, y: Value, out: Any) -> Any:
    """Elements of a Where; one whose condition is known needs only the branch it takes."""
    from effaudit.ops._data import count, spread

    if condition.content is None or (x.content is None and y.content is None) or count(out) is None:
        return None
    picked = spread(condition, out)
    if picked is None:
        return None
    blank = (None,) * len(picked)
    yes, no = spread(x, out) or blank, spread(y, out) or blank
    found = tuple(
        (a if c else b) if c is not None else (a if a is not None and a == b else None)
        for c, a, b in zip(picked, yes, no, strict=True)
    )
    return found if any(v is not None for v in found) or not found else None


@cost("Where", kind="elementwise")
def where_cost(condition: Value, x: Value, y: Value, *, out: Value) -> Cost:
    """ops = numel(out)"""
    return Cost(0, out.numel)


@shape("Cast")
def cast(input: Value, *, to: int, saturate: int = 1, round_mode: str = "up") -> Value:
    """https://onnx.ai/onnx/operators/onnx__Cast.html"""
    encoding = ENCODINGS.get(to)
    if encoding is None:
        raise ValueError(f"data type {to} is unknown")
    return _cast(input, encoding.dtype, Value(encoding, input.shape))


@shape("CastLike")
def cast_like(input: Value, target_type: Value, *, saturate: int = 1, round_mode: str = "up") -> Value:
    """https://onnx.ai/onnx/operators/onnx__CastLike.html"""
    encoding = target_type.encoding
    return _cast(input, encoding.dtype, Value(encoding, input.shape))


@shape("BitCast")
def bit_cast(input: Value, *, to: int) -> Value:
    """https://onnx.ai/onnx/operators/onnx__BitCast.html (same width, so the same shape)"""
    return Value(ENCODINGS.get(to, UNKNOWN), input.shape)


def _cast(source: Value, dtype: str, target: Value) -> Value:
    if source.content is None:
        return target
    integer = dtype in INTEGERS

    def convert(x: Any) -> Any:
        if isinstance(x, Expr):
            if dtype == "bool":
                return bool(x)
            return _whole(x) if integer else x
        if isinstance(x, str):
            raise ValueError("text")
        return x

    return Value(target.encoding, target.shape, fold(convert, (source,), target.shape, dtype))


def _whole(x: Expr) -> Any:
    """Truncation of an expression with fractional coefficients: its floor where it is never negative."""
    floor = dims.floordiv(x, 1)
    if floor == x or dims.lower(x) >= 0:
        return floor
    raise ValueError("the sign decides how it is truncated")


@cost("Cast", "CastLike", kind="elementwise")
def cast_cost(*inputs: Value, out: Value) -> Cost:
    """ops = numel(out)"""
    return Cost(0, out.numel)


@cost("BitCast", kind="movement")
def bit_cast_cost(input: Value, *, out: Value) -> Cost:
    """free: a view of its input"""
    return Cost(0, 0, 0, 0)


storage("BitCast", view=True)
storage("Cast", "CastLike", "Where")
