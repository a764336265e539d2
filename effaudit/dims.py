"""Dimensions: integers, or exact expressions in named symbols.

A `Dim` is a plain `int` wherever it can be (the fast path) and an `Expr` otherwise. An `Expr` is a polynomial
with rational coefficients over atoms; an atom is a `Symbol` or a `Call` of `//`, `min`, `max` or `bcast`.
Arithmetic is exact, canonical (equal expressions built the same way compare equal) and returns `int` as soon as no
symbol is left. Comparisons answer from the ranges of the symbols and raise `Undecided` where those do not settle it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from functools import cmp_to_key
from math import gcd
from typing import Final, TypeAlias, Union

from effaudit.errors import Undecided

MAX_TERMS: Final = 400
MAX_DEPTH: Final = 24

Number: TypeAlias = int | Fraction
Dim: TypeAlias = Union[int, "Expr"]


class Symbol:
    """A named unknown integer.

    `origin` says where it comes from: "input" (a dim of a graph input), "data" (the values fed decide it, within
    `lo`..`hi`) or "unknown" (this program cannot tell; `reason` says why). `hi` is None where nothing bounds it.
    """

    __slots__ = ("name", "lo", "hi", "origin", "reason", "key", "depth")

    def __init__(self, name: str, lo: int = 1, hi: Dim | None = None, origin: str = "input", reason: str = "") -> None:
        self.name = name
        self.lo = lo
        self.hi = hi
        self.origin = origin
        self.reason = reason
        self.key = name
        self.depth = 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Symbol) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return self.name


class Call:
    """An opaque function of dims: `floordiv(a, b)`, `min(...)`, `max(...)`, `bcast(a, b)` (b where a is 1, else a)."""

    __slots__ = ("op", "args", "key", "depth")

    def __init__(self, op: str, args: tuple[Dim, ...]) -> None:
        self.op = op
        self.args = args
        self.depth = 1 + max((a.depth for a in args if isinstance(a, Expr)), default=0)
        if self.depth > MAX_DEPTH:
            raise Undecided("the expression is nested too deeply")
        self.key = _call_text(op, args)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Call) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


Atom: TypeAlias = Symbol | Call
Monomial: TypeAlias = tuple[tuple[Atom, int], ...]


class Expr:
    """A polynomial over atoms: `terms` maps a monomial to its coefficient. Never constant: constants are `int`."""

    __slots__ = ("terms", "_key", "_depth")

    def __init__(self, terms: dict[Monomial, Number]) -> None:
        if len(terms) > MAX_TERMS:
            raise Undecided("the expression has too many terms")
        self.terms = terms
        self._key: str | None = None
        self._depth = -1

    @property
    def key(self) -> str:
        """The canonical text, in Python syntax; equal texts are equal expressions."""
        if self._key is None:
            self._key = _expr_text(self)
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
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expr) and self.terms == other.terms

    def __bool__(self) -> bool:
        if lower(self) > 0 or upper_negative(self):
            return True
        raise Undecided(f"whether {self} is zero")

    def __add__(self, other: Dim | Fraction) -> Dim:
        if not isinstance(other, (int, Fraction, Expr)):
            return NotImplemented
        terms = dict(self.terms)
        for mono, coef in _terms(other).items():
            total = terms.get(mono, 0) + coef
            if total:
                terms[mono] = total
            else:
                del terms[mono]
        return _make(terms)

    __radd__ = __add__

    def __neg__(self) -> Expr:
        return Expr({mono: -coef for mono, coef in self.terms.items()})

    def __sub__(self, other: Dim | Fraction) -> Dim:
        return self + (-other)

    def __rsub__(self, other: Dim | Fraction) -> Dim:
        return (-self) + other

    def __mul__(self, other: Dim | Fraction) -> Dim:
        if isinstance(other, (int, Fraction)):
            return Expr({m: _whole(c * other) for m, c in self.terms.items()}) if other else 0
        if not isinstance(other, Expr):
            return NotImplemented
        if len(self.terms) * len(other.terms) > MAX_TERMS * 4:
            raise Undecided("the expression has too many terms")
        terms: dict[Monomial, Number] = {}
        for left, a in self.terms.items():
            for right, b in other.terms.items():
                mono = _times(left, right)
                total = terms.get(mono, 0) + a * b
                if total:
                    terms[mono] = total
                else:
                    del terms[mono]
        return _make(terms)

    __rmul__ = __mul__

    def __floordiv__(self, other: Dim) -> Dim:
        return floordiv(self, other)

    def __rfloordiv__(self, other: int) -> Dim:
        return floordiv(other, self)

    def __mod__(self, other: Dim) -> Dim:
        return self - floordiv(self, other) * other

    def __rmod__(self, other: int) -> Dim:
        return other - floordiv(other, self) * self

    def __lt__(self, other: Dim) -> bool:
        return not self >= other

    def __gt__(self, other: Dim) -> bool:
        return not self <= other

    def __ge__(self, other: Dim) -> bool:
        gap = self - other
        if lower(gap) >= 0:
            return True
        if lower(-gap) > 0:
            return False
        raise Undecided(f"whether {self} >= {other}")

    def __le__(self, other: Dim) -> bool:
        gap = other - self
        if lower(gap) >= 0:
            return True
        if lower(-gap) > 0:
            return False
        raise Undecided(f"whether {self} <= {other}")


def symbol(name: str, lo: int = 1, hi: Dim | None = None, origin: str = "input", reason: str = "") -> Expr:
    """A fresh `Expr` holding one symbol."""
    return Expr({((Symbol(name, lo, hi, origin, reason), 1),): 1})


def same(a: Dim, b: Dim) -> bool:
    """True where both are surely equal (the reverse is not sure)."""
    return a == b


def floordiv(a: Dim, b: Dim) -> Dim:
    """`a // b` with floor semantics for positive `b`.

    Uses floor((b*q + r)/b) = q + floor(r/b), floor((g*e + c)/b) = floor((e + floor(c/g))/(b/g)) for g dividing b, and
    floor(floor(x/k)/b) = floor(x/(k*b)), so that the forms exporters write come out equal.
    """
    if isinstance(a, int) and isinstance(b, int):
        return a // b
    if isinstance(b, int):
        if b <= 0:
            raise Undecided(f"{a} // {b}")
        return _div_int(a, b) if isinstance(a, Expr) else a // b
    if a == b:
        return 1
    if a == 0:
        return 0
    quotient = divide(a, b)
    return _atom("//", (a, b)) if quotient is None else quotient


def _div_int(a: Expr, b: int) -> Dim:
    denominator = 1
    for coef in a.terms.values():
        if isinstance(coef, Fraction):
            denominator = denominator * coef.denominator // gcd(denominator, coef.denominator)
    if denominator > 1:
        scaled = a * denominator
        a, b = scaled if isinstance(scaled, Expr) else Expr(_terms(scaled)), b * denominator
    if b == 1:
        return a
    whole: dict[Monomial, Number] = {}
    rest: dict[Monomial, Number] = {}
    for mono, coef in a.terms.items():
        quotient, remainder = divmod(coef, b) if not mono else (coef // b, coef % b)
        if quotient:
            whole[mono] = quotient
        if remainder:
            rest[mono] = remainder
    constant = rest.pop((), 0)
    if not rest:
        return _make(whole)
    shared = b
    for coef in rest.values():
        shared = gcd(shared, int(coef))
    if shared > 1:
        rest = {m: c // shared for m, c in rest.items()}
        constant, b = constant // shared, b // shared
    if b == 1:
        return _make(whole) + (_make(rest) + constant)
    inner = _make(rest) + constant
    nested = _nested(rest, constant, b)
    if nested is not None:
        return _make(whole) + nested
    low, high = lower(inner), upper(inner)
    if low > -INFINITY and high < INFINITY and low // b == high // b:
        return _make(whole) + int(low // b)
    return _make(whole) + _atom("//", (inner, b))


def _nested(rest: dict[Monomial, Number], constant: Number, b: int) -> Dim | None:
    """floor((floor(x/k) + c)/b) as floor((x + c*k)/(k*b)), or None where `rest` is not a single such call."""
    if len(rest) != 1:
        return None
    (mono, coef), *_ = rest.items()
    if coef != 1 or len(mono) != 1 or mono[0][1] != 1:
        return None
    atom = mono[0][0]
    if not isinstance(atom, Call) or atom.op != "//" or not isinstance(atom.args[1], int):
        return None
    k = atom.args[1]
    return floordiv(atom.args[0] + int(constant) * k, k * b)


def divide(a: Dim, b: Dim) -> Dim | None:
    """The exact quotient `a / b` where `b` divides `a` as a polynomial, else None."""
    if isinstance(b, int):
        if not b:
            return None
        if isinstance(a, int):
            return a // b if a % b == 0 else None
        if all(isinstance(c, int) and c % b == 0 for c in a.terms.values()):
            return _make({m: c // b for m, c in a.terms.items()})
        return None
    remainder, quotient = dict(_terms(a)), {}
    lead, lead_coef = max(b.terms.items(), key=_order)
    for _ in range(MAX_TERMS):
        if not remainder:
            return _make(quotient)
        mono, coef = max(remainder.items(), key=_order)
        ratio = _over(mono, lead)
        if ratio is None or coef % lead_coef:
            return None
        step = coef // lead_coef
        quotient[ratio] = step
        for m, c in b.terms.items():
            target = _times(m, ratio)
            total = remainder.get(target, 0) - c * step
            if total:
                remainder[target] = total
            else:
                remainder.pop(target, None)
    return None


def ceildiv(a: Dim, b: Dim) -> Dim:
    """`ceil(a / b)` for positive `b`."""
    return floordiv(a + b - 1, b)


def minimum(*dims: Dim) -> Dim:
    """The least of `dims`; those that are surely not the least are dropped."""
    return _extreme("min", dims)


def maximum(*dims: Dim) -> Dim:
    """The greatest of `dims`; those that are surely not the greatest are dropped."""
    return _extreme("max", dims)


def _extreme(op: str, dims: Iterable[Dim]) -> Dim:
    kept: list[Dim] = []
    for dim in dims:
        if any(_wins(op, other, dim) for other in kept):
            continue
        kept = [other for other in kept if not _wins(op, dim, other)]
        kept.append(dim)
    if len(kept) == 1:
        return kept[0]
    return _atom(op, tuple(sorted(kept, key=text)))


def _wins(op: str, a: Dim, b: Dim) -> bool:
    """True where `a` is surely at least as extreme as `b`."""
    if isinstance(a, int) and isinstance(b, int):
        return a <= b if op == "min" else a >= b
    gap = b - a if op == "min" else a - b
    return lower(gap) >= 0


def broadcast(a: Dim, b: Dim) -> Dim:
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
    return _atom("bcast", tuple(sorted((a, b), key=text)))


INFINITY: Final = float("inf")
Bound: TypeAlias = int | Fraction | float


def lower(dim: Dim | Fraction) -> Bound:
    """A number that `dim` is never below (-inf where nothing bounds it)."""
    if not isinstance(dim, Expr):
        return dim
    direct = _interval(dim)[0]
    if direct > -INFINITY:
        return direct
    relaxed = _relax(dim, 0)
    return direct if relaxed is None else max(direct, relaxed)


def upper(dim: Dim | Fraction) -> Bound:
    """A number that `dim` is never above (inf where nothing bounds it)."""
    return -lower(-dim)


def upper_negative(dim: Dim) -> bool:
    """True where `dim` is surely below zero."""
    return upper(dim) < 0


def bounds(dim: Dim) -> tuple[int | None, int | None]:
    """The integer range of `dim`, None on a side that nothing bounds."""
    if isinstance(dim, int):
        return dim, dim
    low, high = lower(dim), upper(dim)
    return (None if low == -INFINITY else -int(-low // 1), None if high == INFINITY else int(high // 1))


def _interval(dim: Dim) -> tuple[Bound, Bound]:
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
        low, high = low + a, high + b
    return low, high


def _product(a: Bound, b: Bound) -> Bound:
    return 0 if a == 0 or b == 0 else a * b


def _atom_interval(atom: Atom) -> tuple[Bound, Bound]:
    if isinstance(atom, Symbol):
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
    corners = [_floor(x, y) for x in (low, high) for y in (b_low, b_high)]
    return min(corners), max(corners)


def _floor(a: Bound, b: Bound) -> Bound:
    if b == INFINITY:
        return 0 if a >= 0 else -1
    return a if a in (INFINITY, -INFINITY) else a // b


def _relax(dim: Expr, level: int) -> Bound | None:
    """A lower bound with each `x // k` replaced by x/k or (x-k+1)/k, so that a symbol on both sides cancels."""
    if level > 6:
        return None
    total: Dim | Fraction = 0
    changed = False
    for mono, coef in dim.terms.items():
        term: Dim | Fraction = Expr({mono: coef}) if mono else coef
        if len(mono) == 1 and mono[0][1] == 1 and isinstance(mono[0][0], Call):
            call = mono[0][0]
            replaced = _linear(call, coef)
            if replaced is not None:
                term, changed = replaced * coef, True
        total = total + term
    if not changed:
        return None
    if not isinstance(total, Expr):
        return total
    direct = _interval(total)[0]
    return direct if direct > -INFINITY else _relax(total, level + 1)


def _linear(call: Call, coef: Number) -> Dim | Fraction | None:
    """An expression not above (coef > 0) or not below (coef < 0) the call's value."""
    if call.op == "//" and isinstance(call.args[1], int):
        x, k = call.args[0], call.args[1]
        return (x if coef < 0 else x - (k - 1)) * Fraction(1, k)
    if call.op == "max" and coef > 0 or call.op == "min" and coef < 0:
        symbolic = [a for a in call.args if isinstance(a, Expr)]
        return symbolic[0] if symbolic else None
    return None


def evaluate(dim: Dim, at: Mapping[str, int]) -> int | Fraction | None:
    """The value of `dim` with symbols set by name, or None where a symbol has no value."""
    if not isinstance(dim, Expr):
        return dim
    total: Number = 0
    for mono, coef in dim.terms.items():
        product: Number = coef
        for atom, power in mono:
            value = at.get(atom.name) if isinstance(atom, Symbol) else _evaluate_call(atom, at)
            if value is None:
                return None
            product = product * value**power
        total += product
    return _whole(total)


def _evaluate_call(call: Call, at: Mapping[str, int]) -> Number | None:
    values = [evaluate(arg, at) for arg in call.args]
    numbers = [v for v in values if v is not None]
    if len(numbers) < len(values):
        return None
    if call.op == "min":
        return min(numbers)
    if call.op == "max":
        return max(numbers)
    a, b = numbers
    if call.op == "bcast":
        return b if a == 1 else a
    return None if b == 0 else a // b


def symbols(dim: Dim) -> set[Symbol]:
    """Every symbol in `dim`."""
    found: set[Symbol] = set()
    if isinstance(dim, Expr):
        for mono in dim.terms:
            for atom, _ in mono:
                if isinstance(atom, Symbol):
                    found.add(atom)
                else:
                    for arg in atom.args:
                        found |= symbols(arg)
    return found


def text(dim: Dim) -> str:
    """`dim` in Python syntax: `18432*B*S**2 + (H + 1)//2`."""
    return str(dim)


def pretty(dim: Dim) -> str:
    """`dim` for people: `18,432·B·S² + ⌊(H + 1)/2⌋`."""
    if isinstance(dim, int):
        return f"{dim:,}"
    return _join(dim, _pretty_term)


_SUPERSCRIPT: Final = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def _pretty_term(mono: Monomial, coef: Number) -> str:
    parts = [_pretty_atom(a) + (str(p).translate(_SUPERSCRIPT) if p > 1 else "") for a, p in mono]
    if coef != 1 or not parts:
        parts.insert(0, f"{coef:,}" if isinstance(coef, int) else str(coef))
    return "·".join(parts)


def _pretty_atom(atom: Atom) -> str:
    if isinstance(atom, Symbol):
        return atom.name
    if atom.op == "//":
        a, b = (pretty(arg) if isinstance(arg, int) else f"({pretty(arg)})" for arg in atom.args)
        return f"⌊{a}/{b}⌋"
    return f"{atom.op}({', '.join(pretty(arg) for arg in atom.args)})"


def _call_text(op: str, args: tuple[Dim, ...]) -> str:
    if op == "//":
        a, b = (text(arg) if isinstance(arg, int) else f"({text(arg)})" for arg in args)
        return f"({a}//{b})"
    return f"{op}({', '.join(map(text, args))})"


def _plain_term(mono: Monomial, coef: Number) -> str:
    parts = [a.key + (f"**{p}" if p > 1 else "") for a, p in mono]
    if coef != 1 or not parts:
        parts.insert(0, str(coef))
    return "*".join(parts)


def _expr_text(expr: Expr) -> str:
    return _join(expr, _plain_term)


def _join(expr: Expr, term: Callable[[Monomial, Number], str]) -> str:
    pieces = []
    for mono, coef in sorted(expr.terms.items(), key=_order, reverse=True):
        sign = "-" if coef < 0 else "+"
        body = term(mono, abs(coef))
        if pieces:
            pieces.append(f" {sign} {body}")
        else:
            pieces.append(f"-{body}" if sign == "-" else body)
    return "".join(pieces)


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


_order = cmp_to_key(_compare)


def _terms(value: Dim | Fraction) -> dict[Monomial, Number]:
    if isinstance(value, Expr):
        return value.terms
    return {(): _whole(value)} if value else {}


def _make(terms: dict[Monomial, Number]) -> Dim:
    if not terms:
        return 0
    if len(terms) == 1 and () in terms:
        return _whole(terms[()])  # type: ignore[return-value]
    return Expr({m: _whole(c) for m, c in terms.items()})


def _whole(number: Number) -> Number:
    if isinstance(number, Fraction) and number.denominator == 1:
        return number.numerator
    return number


def _atom(op: str, args: tuple[Dim, ...]) -> Expr:
    return Expr({((Call(op, args), 1),): 1})


def _times(left: Monomial, right: Monomial) -> Monomial:
    if not left:
        return right
    if not right:
        return left
    powers: dict[Atom, int] = dict(left)
    for atom, power in right:
        powers[atom] = powers.get(atom, 0) + power
    return tuple(sorted(powers.items(), key=lambda item: item[0].key))


def _over(mono: Monomial, by: Monomial) -> Monomial | None:
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
