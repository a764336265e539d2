"""Expressions of dims against Python's integers: arithmetic, bounds, comparison, text, division."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from effaudit import dims
from effaudit.dims import Dim, Expr
from effaudit.errors import Undecided

from .sizes import broadcast, evaluate

Point = dict[str, int]
# name -> (least, greatest); None: nothing bounds it
RANGES: dict[str, tuple[int, int | None]] = {"B": (1, None), "S": (1, None), "H": (0, 40), "K": (2, 9)}
SYMBOLS: dict[str, Dim] = {name: dims.symbol(name, low, high) for name, (low, high) in RANGES.items()}
# Small sizes among large ones, so that some are equal or 1 and broadcast.
POINTS = st.fixed_dictionaries(
    {n: st.integers(low, low + 2) | st.integers(low, 60 if high is None else high) for n, (low, high) in RANGES.items()}
)
SEVERAL = st.lists(POINTS, min_size=4, max_size=8)


@dataclass(frozen=True)
class Twin:
    """An expression, and the same computed by Python at a point (None: the point makes it meaningless)."""

    dim: Dim
    at: Callable[[Point], int | None]


def leaf() -> st.SearchStrategy[Twin]:
    constants = st.integers(-12, 12).map(lambda n: Twin(n, lambda _: n))
    return st.one_of(
        st.sampled_from(sorted(SYMBOLS)).map(lambda name: Twin(SYMBOLS[name], lambda p: p[name])), constants
    )


def _divided(a: int, b: int) -> int | None:
    return a // b if b > 0 else None


def _remainder(a: int, b: int) -> int | None:
    return a % b if b > 0 else None


def _rounded_up(a: int, b: int) -> int | None:
    return -(-a // b) if b > 0 else None


def _broadcast(a: int, b: int) -> int | None:
    return broadcast(a, b) if 1 in (a, b) or a == b else None


OPERATIONS: dict[str, tuple[Callable[[Dim, Dim], Dim], Callable[[int, int], int | None]]] = {
    "+": (lambda a, b: a + b, lambda a, b: a + b),
    "-": (lambda a, b: a - b, lambda a, b: a - b),
    "*": (lambda a, b: a * b, lambda a, b: a * b),
    "//": (dims.floordiv, _divided),
    "ceil": (dims.ceildiv, _rounded_up),
    "%": (lambda a, b: a % b, _remainder),
    "min": (lambda a, b: dims.minimum(a, b), min),
    "max": (lambda a, b: dims.maximum(a, b), max),
    "broadcast": (dims.broadcast, _broadcast),
}


@st.composite
def twins(draw: st.DrawFn, operations: tuple[str, ...] = tuple(OPERATIONS), depth: int = 4) -> Twin:
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return draw(leaf())
    a, b = draw(twins(operations, depth - 1)), draw(twins(operations, depth - 1))
    return _combined(draw(st.sampled_from(operations)), a, b)


def _combined(name: str, a: Twin, b: Twin) -> Twin:
    symbolic, plain = OPERATIONS[name]
    try:
        result = symbolic(a.dim, b.dim)
    except (Undecided, ValueError, ZeroDivisionError):
        assume(False)

    def at(point: Point) -> int | None:
        x, y = a.at(point), b.at(point)
        return None if x is None or y is None else plain(x, y)

    return Twin(result, at)


def values(twin: Twin, points: list[Point]) -> list[tuple[Point, int]]:
    """The points where the expression means something, with its value there."""
    return [(p, value) for p in points if (value := twin.at(p)) is not None]


MANY = settings(max_examples=150, deadline=None)
SOME = settings(max_examples=60, deadline=None)


@MANY
@given(twins(), SEVERAL)
def test_arithmetic_is_pythons(twin: Twin, points: list[Point]) -> None:
    for point, value in values(twin, points):
        assert dims.evaluate(twin.dim, point) == value, (twin.dim, point)


@MANY
@given(twins(), SEVERAL)
def test_bounds_hold(twin: Twin, points: list[Point]) -> None:
    low, high = dims.bounds(twin.dim)
    for point, value in values(twin, points):
        assert dims.lower(twin.dim) <= value <= dims.upper(twin.dim), (twin.dim, point)
        assert low is None or low <= value
        assert high is None or value <= high


@MANY
@given(twins(), SEVERAL)
def test_text_is_python(twin: Twin, points: list[Point]) -> None:
    text = dims.text(twin.dim)
    for point, value in values(twin, points):
        assert evaluate(text, point) == value, (text, point)


@SOME
@given(twins(), twins(), SEVERAL)
def test_a_comparison_that_is_decided_holds(one: Twin, other: Twin, points: list[Point]) -> None:
    pairs = [(x, y) for p in points if (x := one.at(p)) is not None and (y := other.at(p)) is not None]
    comparisons: list[tuple[Callable[[Dim, Dim], bool], Callable[[int, int], bool]]] = [
        (lambda a, b: a < b, lambda a, b: a < b),
        (lambda a, b: a <= b, lambda a, b: a <= b),
        (lambda a, b: a > b, lambda a, b: a > b),
        (lambda a, b: a >= b, lambda a, b: a >= b),
    ]
    for symbolic, plain in comparisons:
        try:
            decided = symbolic(one.dim, other.dim)
        except Undecided:
            continue
        assert all(plain(x, y) == decided for x, y in pairs)
    if one.dim == other.dim:
        assert all(x == y for x, y in pairs)
        assert hash(one.dim) == hash(other.dim)


@SOME
@given(twins(), SEVERAL)
def test_truth_that_is_decided_holds(twin: Twin, points: list[Point]) -> None:
    try:
        decided = bool(twin.dim)
    except Undecided:
        return
    assert all(bool(value) == decided for _, value in values(twin, points))


@SOME
@given(st.lists(twins(depth=2), min_size=1, max_size=6), SEVERAL)
def test_totals_and_extremes_of_many(many: list[Twin], points: list[Point]) -> None:
    for point in points:
        numbers = [twin.at(point) for twin in many]
        known = [n for n in numbers if n is not None]
        if len(known) < len(numbers):
            continue
        exprs = [twin.dim for twin in many]
        assert dims.evaluate(dims.total(exprs), point) == sum(known)
        assert dims.evaluate(dims.minimum(*exprs), point) == min(known)
        assert dims.evaluate(dims.maximum(*exprs), point) == max(known)


# ---- normal forms
POLYNOMIALS = twins(("+", "-", "*"), depth=3)


@SOME
@given(POLYNOMIALS, POLYNOMIALS, POLYNOMIALS)
def test_polynomials_are_canonical(a: Twin, b: Twin, c: Twin) -> None:
    """Equal polynomials are equal expressions, whatever the order they were built in."""
    x, y, z = a.dim, b.dim, c.dim
    assert x + y == y + x and x * y == y * x
    assert (x + y) + z == x + (y + z) and (x * y) * z == x * (y * z)
    assert x * (y + z) == x * y + x * z
    assert x - x == 0 and isinstance(x - x, int)
    assert dims.text(x + y) == dims.text(y + x)


@SOME
@given(POLYNOMIALS, POLYNOMIALS)
def test_division_of_a_product_is_exact(a: Twin, b: Twin) -> None:
    assume(b.dim != 0)
    assert dims.divide(a.dim * b.dim, b.dim) == a.dim


@SOME
@given(twins(), twins(), SEVERAL)
def test_a_quotient_is_exact_or_none(a: Twin, b: Twin, points: list[Point]) -> None:
    assume(b.dim != 0)
    quotient = dims.divide(a.dim, b.dim)
    for point in points if quotient is not None else ():
        x, y = a.at(point), b.at(point)
        if x is not None and y is not None and y:
            assert quotient is not None
            assert dims.evaluate(quotient, point) == x / y


@SOME
@given(POLYNOMIALS, st.integers(1, 30))
def test_floor_of_a_multiple_has_no_floor(a: Twin, k: int) -> None:
    assert dims.floordiv(a.dim * k, k) == a.dim
    assert (a.dim * k) % k == 0


@SOME
@given(st.sampled_from(sorted(SYMBOLS)), st.integers(-20, 20), st.integers(1, 12), st.integers(1, 12))
def test_floors_nest(name: str, shift: int, j: int, k: int) -> None:
    """What two strided layers make is what one of the product of their strides makes."""
    a = SYMBOLS[name] + shift
    assert dims.floordiv(dims.floordiv(a, j), k) == dims.floordiv(a, j * k)


@SOME
@given(twins(depth=3))
def test_extremes_and_broadcasts_of_one_are_that_one(a: Twin) -> None:
    assert dims.minimum(a.dim, a.dim) == a.dim
    assert dims.maximum(a.dim, a.dim) == a.dim
    assert dims.broadcast(a.dim, a.dim) == a.dim
    assert dims.broadcast(a.dim, 1) == a.dim
    assert dims.broadcast(1, a.dim) == a.dim


@pytest.mark.parametrize("name", RANGES)
def test_a_constant_is_an_int(name: str) -> None:
    x = SYMBOLS[name]
    assert isinstance(x, Expr)
    for constant in (x - x, 0 * x, (2 * x + 4) // 2 - x, (x + 3) - x):
        assert isinstance(constant, int)
