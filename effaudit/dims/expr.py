"""Polynomials over named integers: the values dims take when they are not plain ints.

An `Expr` maps monomials to rational coefficients. A monomial is a sorted tuple of (atom, power); an atom is a
`Symbol` or a `Call` of `//`, `%`, `min`, `max` or `bcast`. Atoms are interned: they compare and hash by identity.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import cmp_to_key
from typing import Final, TypeAlias, Union
from weakref import WeakValueDictionary

import effaudit.dims.bounds as bounds
import effaudit.dims.division as division
import effaudit.dims.text as text
from effaudit.errors import Undecided

MAX_TERMS: Final = 400
MAX_DEPTH: Final = 24
MAX_POWER: Final = 32

Number: TypeAlias = int | Fraction
Dim: TypeAlias = Union[int, "Expr"]


class Symbol:
    """A named unknown integer; made by `symbol`.

    `origin` says where it comes from: "input" (a dim of a graph input), "data" (the values fed decide it, within
    `lo`..`hi`) or "unknown" (this program cannot tell; `reason` says why). `hi` is None where nothing bounds it.
    """

    __slots__ = ("name", "lo", "hi", "origin", "reason", "key", "depth", "interval", "__weakref__")

    def __init__(self, name: str, lo: int, hi: Dim | None, origin: str, reason: str) -> None:
        self.name = name
        self.lo = lo
        self.hi = hi
        self.origin = origin
        self.reason = reason
        self.key = name
        self.depth = 0
        self.interval: tuple[bounds.Bound, bounds.Bound] | None = None  # kept by `bounds`

    def __repr__(self) -> str:
        return self.name


class Call:
    """An opaque function of dims, made by `call`: `//`, `%`, `min`, `max`, `bcast(a, b)` (b where a is 1, else a)."""

    __slots__ = ("op", "args", "key", "depth", "interval", "__weakref__")

    def __init__(self, op: str, args: tuple[Dim, ...], depth: int) -> None:
        self.op = op
        self.args = args
        self.depth = depth
        self.key = text.of_call(op, args)
        self.interval: tuple[bounds.Bound, bounds.Bound] | None = None  # kept by `bounds`

    def __repr__(self) -> str:
        return self.key


Atom: TypeAlias = Symbol | Call
Monomial: TypeAlias = tuple[tuple[Atom, int], ...]
# Equal atoms are one object. Entries go when the last expression that uses them does.
_SYMBOLS: Final[WeakValueDictionary[tuple[object, ...], Symbol]] = WeakValueDictionary()
_CALLS: Final[WeakValueDictionary[tuple[object, ...], Call]] = WeakValueDictionary()


def symbol(name: str, lo: int = 1, hi: Dim | None = None, origin: str = "input", reason: str = "") -> Expr:
    """An expression of one symbol. Two with the same properties are equal."""
    key = (name, lo, hi, origin, reason)
    atom = _SYMBOLS.get(key)
    if atom is None:
        atom = _SYMBOLS[key] = Symbol(name, lo, hi, origin, reason)
    return Expr({((atom, 1),): 1})


def call(op: str, args: tuple[Dim, ...]) -> Expr:
    """An expression of one call. Raises Undecided where it is nested past `MAX_DEPTH`."""
    atom = _CALLS.get((op, args))
    if atom is None:
        depth = 1 + max((a.depth for a in args if isinstance(a, Expr)), default=0)
        if depth > MAX_DEPTH:
            raise Undecided("the expression is nested too deeply")
        atom = _CALLS[op, args] = Call(op, args, depth)
    return Expr({((atom, 1),): 1})


class Expr:
    """A polynomial over atoms: `terms` maps a monomial to its coefficient. Never constant: constants are `int`."""

    __slots__ = ("terms", "low", "high", "_key", "_depth", "_hash")

    def __init__(self, terms: dict[Monomial, Number]) -> None:
        if len(terms) > MAX_TERMS:
            raise Undecided("the expression has too many terms")
        self.terms = terms
        self.low: bounds.Bound | None = None  # kept by `bounds.lower` and `bounds.upper`
        self.high: bounds.Bound | None = None
        self._key: str | None = None
        self._depth = -1
        self._hash: int | None = None

    @property
    def key(self) -> str:
        """The canonical text, in Python syntax; equal texts are equal expressions."""
        if self._key is None:
            self._key = text.of_expr(self)
        return self._key

    @property
    def depth(self) -> int:
        if self._depth < 0:
            self._depth = max(atom.depth for mono in self.terms for atom, _ in mono)
        return self._depth

    def __str__(self) -> str:
        return self.key

    def __repr__(self) -> str:
        return f"Expr({self.key})"

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self.terms.items()))
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expr) and self.terms == other.terms

    def __bool__(self) -> bool:
        if bounds.lower(self) > 0 or bounds.upper(self) < 0:
            return True
        raise Undecided(f"whether {self} is zero")

    def __add__(self, other: Dim | Fraction) -> Dim:
        if type(other) not in _OPERANDS:
            return NotImplemented
        terms = dict(self.terms)
        for mono, coef in terms_of(other).items():
            total = terms.get(mono, 0) + coef
            if total:
                terms[mono] = total
            else:
                del terms[mono]
        return make(terms)

    __radd__ = __add__

    def __neg__(self) -> Expr:
        return Expr({mono: -coef for mono, coef in self.terms.items()})

    def __sub__(self, other: Dim | Fraction) -> Dim:
        return self + (-other)

    def __rsub__(self, other: Dim | Fraction) -> Dim:
        return (-self) + other

    def __mul__(self, other: Dim | Fraction) -> Dim:
        if not isinstance(other, Expr):
            if type(other) not in _OPERANDS:
                return NotImplemented
            if other == 1:  # the start of every product of a shape
                return self
            return make({m: c * other for m, c in self.terms.items()}) if other else 0
        if len(self.terms) * len(other.terms) > MAX_TERMS * 4 or _unwieldy(self) or _unwieldy(other):
            raise Undecided("the expression is too large")
        terms: dict[Monomial, Number] = {}
        for left, a in self.terms.items():
            for right, b in other.terms.items():
                mono = times(left, right)
                total = terms.get(mono, 0) + a * b
                if total:
                    terms[mono] = total
                else:
                    del terms[mono]
        return make(terms)

    __rmul__ = __mul__

    def __floordiv__(self, other: Dim) -> Dim:
        return division.floordiv(self, other)

    def __rfloordiv__(self, other: int) -> Dim:
        return division.floordiv(other, self)

    def __mod__(self, other: Dim) -> Dim:
        return division.modulo(self, other)

    def __rmod__(self, other: int) -> Dim:
        return division.modulo(other, self)

    def __lt__(self, other: Dim) -> bool:
        return not self >= other

    def __gt__(self, other: Dim) -> bool:
        return not self <= other

    def __ge__(self, other: Dim) -> bool:
        gap = self - other
        if bounds.lower(gap) >= 0:
            return True
        if bounds.lower(-gap) > 0:
            return False
        raise Undecided(f"whether {self} >= {other}")

    def __le__(self, other: Dim) -> bool:
        gap = other - self
        if bounds.lower(gap) >= 0:
            return True
        if bounds.lower(-gap) > 0:
            return False
        raise Undecided(f"whether {self} <= {other}")


def _unwieldy(value: Expr) -> bool:
    """True for powers and coefficients that no size of a real tensor has."""
    return any(
        abs(coef) >> 128 if type(coef) is int else coef.denominator >> 64 for coef in value.terms.values()
    ) or any(power > MAX_POWER for mono in value.terms for _, power in mono)


_OPERANDS: Final = (int, Expr, Fraction, bool)


def total(values: Iterable[Dim]) -> Dim:
    """The sum of many dims, without an intermediate expression per step."""
    constant: Number = 0
    terms: dict[Monomial, Number] = {}
    for value in values:
        if isinstance(value, Expr):
            for mono, coef in value.terms.items():
                terms[mono] = terms.get(mono, 0) + coef
        else:
            constant += value
    if constant:
        terms[()] = terms.get((), 0) + constant
    return make({mono: coef for mono, coef in terms.items() if coef})


def terms_of(value: Dim | Fraction) -> dict[Monomial, Number]:
    if isinstance(value, Expr):
        return value.terms
    return {(): whole(value)} if value else {}


def make(terms: dict[Monomial, Number]) -> Dim:
    if not terms:
        return 0
    if len(terms) == 1 and () in terms:
        return whole(terms[()])  # type: ignore[return-value]
    if Fraction in map(type, terms.values()):
        return Expr({m: whole(c) for m, c in terms.items()})
    return Expr(terms)


def whole(number: Number) -> Number:
    if type(number) is Fraction and number.denominator == 1:
        return number.numerator
    return number


def times(left: Monomial, right: Monomial) -> Monomial:
    if not left:
        return right
    if not right:
        return left
    powers: dict[Atom, int] = dict(left)
    for atom, power in right:
        powers[atom] = powers.get(atom, 0) + power
    return tuple(sorted(powers.items(), key=lambda item: item[0].key))


def over(mono: Monomial, by: Monomial) -> Monomial | None:
    powers = dict(mono)
    for atom, power in by:
        left = powers.get(atom, 0) - power
        if left < 0:
            return None
        if left:
            powers[atom] = left
        else:
            del powers[atom]
    return tuple(sorted(powers.items(), key=lambda item: item[0].key))


def _compare(one: tuple[Monomial, Number], other: tuple[Monomial, Number]) -> int:
    """Graded lexicographic order: exact division needs a monomial order, print wants the leading term first."""
    left, right = one[0], other[0]
    degree = sum(p for _, p in left) - sum(p for _, p in right)
    if degree:
        return degree
    for (a, p), (b, q) in zip(left, right, strict=False):
        if a.key != b.key:
            return 1 if a.key < b.key else -1
        if p != q:
            return p - q
    return 0


order = cmp_to_key(_compare)
