"""What an axis is made of, found by unification, as the letters of an einops pattern are.

An axis of length n is a term: a factor (a variable of length n), a sum of terms (laid one after another, as Concat
does) or a product of terms (flattened, the first outermost, as Reshape does). `unify` says that two axes are the same
one; where their structures differ it refines both until they agree, and blocks both where they cannot. Factors that
nothing refined further are the classes whose length may change.

Terms are mutable while the operators of a graph are walked; nobody changes them afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import Final, TypeAlias

OPEN: Final = -1  # the size of an axis whose length is not a number
MAX_COPIES: Final = 64  # the most equal parts a product is laid out in, where a cut goes through one of them
MAX_PARTS: Final = 2048  # of one axis: what is cut finer are no channels
MANY: Final = "it is cut into too many parts"
MAX_DEPTH: Final = 100
DEEP: Final = "parts of it overlap"
FACTOR, SUM, PRODUCT = "factor", "sum", "product"


class Term:
    """One axis or a part of one. `blocked` says why a factor keeps its length ("": it need not)."""

    __slots__ = ("size", "form", "parts", "blocked", "same")

    def __init__(self, size: int, form: str = FACTOR, parts: Sequence[Term] = (), blocked: str = "") -> None:
        self.size = size
        self.form = form
        self.parts = tuple(parts)
        self.blocked = blocked
        self.same: Term | None = None

    def __repr__(self) -> str:
        """`(16 + 8!) x 4`, two deep at most: ! keeps its length."""
        return _text(self, 2)


Axes: TypeAlias = tuple[Term, ...]
Kept: TypeAlias = Mapping[Term, Sequence[int]]  # of factors that change: the indices that stay, ascending


def root(term: Term) -> Term:
    """The term that stands for all that are the same."""
    while term.same is not None:
        if term.same.same is not None:
            term.same = term.same.same
        term = term.same
    return term


def _text(term: Term, depth: int) -> str:
    found = root(term)
    if found.form == FACTOR or not depth:
        return f"{found.size}{'!' if found.blocked else ''}"
    parts = pieces(found) if found.form == SUM else factors(found)
    more = ["..."] if len(parts) > 6 else []
    return (" + " if found.form == SUM else " x ").join(
        [f"({_text(part, depth - 1)})" if root(part).form != FACTOR else _text(part, 0) for part in parts[:6]] + more
    )


def total(parts: Iterable[Term]) -> Term:
    """Terms laid one after another."""
    found = [piece for part in parts if part.size for piece in pieces(part)]
    if len(found) == 1:
        return found[0]
    if any(part.size == OPEN for part in found):
        for part in found:
            block(part, OPEN_LENGTH)
        return Term(OPEN, blocked=OPEN_LENGTH)
    size = sum(part.size for part in found)
    if len(found) > MAX_PARTS:
        for part in found:
            block(part, MANY)
        return Term(size, blocked=MANY)
    return Term(size, SUM, found)


def product(parts: Iterable[Term]) -> Term:
    """Terms flattened into one axis, the first outermost."""
    found = [factor for part in parts if part.size != 1 for factor in factors(part)]
    if not found:
        return Term(1)
    if len(found) == 1:
        return found[0]
    if any(part.size <= 0 for part in found):
        for part in found:
            block(part, OPEN_LENGTH)
        return Term(OPEN, blocked=OPEN_LENGTH)
    return Term(prod(part.size for part in found), PRODUCT, found)


OPEN_LENGTH: Final = "its length is not known"


def leaves(term: Term) -> Iterator[Term]:
    """The factors a term is made of, each as often as it occurs."""
    waiting = [term]
    while waiting:
        found = root(waiting.pop())
        if found.form == FACTOR:
            yield found
        else:
            waiting.extend(reversed(found.parts))


def factors(term: Term) -> list[Term]:
    """The terms whose product a term is, outermost first, none of them a product."""
    return _flat(term, PRODUCT)


def pieces(term: Term) -> list[Term]:
    """The terms whose sum a term is, in order, none of them a sum."""
    return _flat(term, SUM)


def _flat(term: Term, form: str) -> list[Term]:
    result, waiting = [], [term]
    while waiting:
        found = root(waiting.pop())
        if found.form == form:
            waiting.extend(reversed(found.parts))
        else:
            result.append(found)
    return result


def block(term: Term, why: str) -> None:
    """No factor of the term may change its length; the first reason given stays."""
    for leaf in set(leaves(term)):
        leaf.blocked = leaf.blocked or why


def unify(a: Term, b: Term, depth: int = 0) -> None:
    """The two are one axis. Blocks both where their structures cannot be brought together; `depth` counts how far
    parts were taken apart (overlapping windows of one axis would go down to its elements)."""
    a, b = root(a), root(b)
    if a is b:
        return
    if a.size != b.size or OPEN in (a.size, b.size):
        why = OPEN_LENGTH if OPEN in (a.size, b.size) else f"axes of {a.size} and {b.size} meet"
        block(a, why)
        block(b, why)
    elif a.size <= 1:
        return  # broadcast over: nothing is coupled
    elif FACTOR in (a.form, b.form):
        _bind(*((a, b) if a.form == FACTOR else (b, a)))
    elif all(leaf.blocked for term in (a, b) for leaf in leaves(term)):
        return  # both keep their lengths whatever they are made of
    elif depth > MAX_DEPTH:
        block(a, DEEP)
        block(b, DEEP)
    elif not _matched(a, b, depth + 1):
        why = f"{a!r} and {b!r} are cut in ways that do not fit"
        block(a, why)
        block(b, why)
    elif (a := root(a)) is not (b := root(b)):
        a.same = b


def _bind(factor: Term, term: Term) -> None:
    if factor.blocked:
        block(term, factor.blocked)
    factor.same = term


def _matched(a: Term, b: Term, depth: int) -> bool:
    if a.form == b.form == SUM:
        return _aligned(pieces(a), pieces(b), depth)
    if a.form == b.form == PRODUCT:
        return _refined(factors(a), factors(b), depth)
    return _distributed(*((a, b) if a.form == SUM else (b, a)), depth)


def _aligned(left: list[Term], right: list[Term], depth: int) -> bool:
    """Unifies two sums at their common boundaries, cutting pieces where only one side has one."""
    while left and right:
        a, b = left.pop(0), right.pop(0)
        if a.size > b.size:
            found = cut(a, b.size)
            if found is None:
                return False
            a, rest = found
            left.insert(0, rest)
        elif b.size > a.size:
            found = cut(b, a.size)
            if found is None:
                return False
            b, rest = found
            right.insert(0, rest)
        unify(a, b, depth)
    return True


def cut(term: Term, at: int) -> tuple[Term, Term] | None:
    """The term in two, `at` (0 < at < size) elements in the first; None where it cannot be cut there."""
    term = root(term)
    if term.form == FACTOR:
        term.form, term.parts = SUM, (Term(at, blocked=term.blocked), Term(term.size - at, blocked=term.blocked))
        return term.parts[0], term.parts[1]
    if term.form == PRODUCT:
        outer, *inner = factors(term)
        size = term.size // outer.size
        if at % size == 0:
            found = cut(outer, at // size)
            return None if found is None else (product((found[0], *inner)), product((found[1], *inner)))
        if not _laid_out(term):
            return None
    parts = pieces(term)
    for i, part in enumerate(parts):
        if at < part.size:
            if at == 0:
                return total(parts[:i]), total(parts[i:])
            found = cut(part, at)
            return None if found is None else (total((*parts[:i], found[0])), total((found[1], *parts[i + 1 :])))
        at -= part.size
    return None


def _laid_out(term: Term) -> bool:
    """Turns a product into a sum of equal parts, whose number then stays."""
    outer, *inner = factors(term)
    if outer.size > MAX_COPIES:
        return False
    block(outer, f"the axis of {term.size} is cut inside its {outer.size} parts")
    term.form, term.parts = SUM, (product(inner),) * outer.size
    return True


def _refined(left: list[Term], right: list[Term], depth: int) -> bool:
    """Unifies two products, dividing factors until both have the same lengths in order."""
    while left and right:
        a, b = left.pop(0), right.pop(0)
        if a.size > b.size:
            found = _divided(a, b.size, depth)
            if found is None:
                return False
            a, rest = found
            left.insert(0, rest)
        elif b.size > a.size:
            found = _divided(b, a.size, depth)
            if found is None:
                return False
            b, rest = found
            right.insert(0, rest)
        unify(a, b, depth)
        # what was unified may have been refined on the way
        left, right = [f for t in left for f in factors(t)], [f for t in right for f in factors(t)]
    return True


def _divided(term: Term, outer: int, depth: int) -> tuple[Term, Term] | None:
    """The term as a product of `outer` and what is left; None where the length does not divide."""
    if term.size % outer:
        return None
    first, rest = Term(outer), Term(term.size // outer)
    unify(term, product((first, rest)), depth)
    return first, rest


def _distributed(one: Term, other: Term, depth: int) -> bool:
    """Unifies a sum with a product: whole inner parts in every piece of the sum, or the outermost factor laid out."""
    found, parts = factors(other), pieces(one)
    ends = [0]
    for part in parts:
        ends.append(ends[-1] + part.size)
    for i in range(1, len(found)):
        inner = prod(factor.size for factor in found[i:])
        if all(end % inner == 0 for end in ends):
            counts = [Term(part.size // inner) for part in parts]
            unify(product(found[:i]), total(counts), depth)
            for part, count in zip(parts, counts, strict=True):
                unify(part, product((count, *found[i:])), depth)
            return True
    return _laid_out(other) and _aligned(pieces(one), pieces(other), depth)


def kept_of(term: Term, kept: Kept) -> list[int] | None:
    """The positions on an axis that stay, ascending; None where all do."""
    if not any(leaf in kept for leaf in leaves(term)):
        return None
    found = root(term)
    if found.form == FACTOR:
        return list(kept[found])
    if found.form == SUM:
        result: list[int] = []
        at = 0
        for part in pieces(found):
            result.extend(at + i for i in _all_of(part, kept))
            at += part.size
        return result
    result = [0]
    for part in factors(found):
        inner = _all_of(part, kept)
        result = [i * part.size + j for i in result for j in inner]
    return result


def _all_of(term: Term, kept: Kept) -> Sequence[int]:
    found = kept_of(term, kept)
    return range(term.size) if found is None else found


def length(term: Term, kept: Kept) -> int:
    """The elements of an axis that stay."""
    found = kept_of(term, kept)
    return term.size if found is None else len(found)


def before(term: Term, at: int, kept: Kept) -> int:
    """The elements that stay among the first `at`."""
    found = kept_of(term, kept)
    return at if found is None else sum(i < at for i in found)


def indices(term: Term, leaf: Term) -> list[int]:
    """For every position on an axis the index of a factor it belongs to, -1 where it belongs to none."""
    found = root(term)
    if found is leaf:
        return list(range(found.size))
    if found.form == FACTOR:
        return [-1] * found.size
    if found.form == SUM:
        return [i for part in pieces(found) for i in indices(part, leaf)]
    result = [-1]
    for part in factors(found):
        inner = indices(part, leaf)
        result = [i if j < 0 else j for i in result for j in inner]
    return result
