"""Terms of axes: what unification makes of sums and products."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effaudit.axes.terms import Term, block, cut, factors, indices, kept_of, leaves, pieces, product, total, unify


def sizes(terms: list[Term]) -> list[int]:
    return [term.size for term in terms]


def test_heads_are_found_in_a_flat_axis() -> None:
    flat, heads, size = Term(768), Term(12), Term(64)
    unify(flat, product((heads, size)))
    unify(flat, product((Term(3), Term(256))))
    assert sizes(factors(flat)) == [3, 4, 64]
    assert sizes(factors(heads)) == [3, 4]
    assert not any(leaf.blocked for leaf in leaves(flat))


def test_lengths_that_do_not_divide_keep() -> None:
    one, other = product((Term(6), Term(4))), product((Term(4), Term(6)))
    unify(one, other)
    assert all("do not fit" in leaf.blocked for term in (one, other) for leaf in leaves(term))


def test_a_cut_at_whole_groups_cuts_the_groups() -> None:
    groups, inner = Term(8), Term(5)
    parts = total((Term(15), Term(25)))
    unify(product((groups, inner)), parts)
    assert sizes(pieces(groups)) == [3, 5]
    assert [sizes(factors(piece)) for piece in pieces(parts)] == [[3, 5], [5, 5]]


def test_a_cut_inside_groups_keeps_their_number() -> None:
    groups, inner = Term(2), Term(6)
    unify(product((groups, inner)), total((Term(2), Term(4), Term(6))))
    assert groups.blocked and sizes(pieces(inner)) == [2, 4]
    assert not any(leaf.blocked for leaf in leaves(inner))


def test_reasons_follow() -> None:
    one, other = Term(6), Term(6)
    block(one, "because")
    unify(other, product((Term(2), Term(3))))
    unify(one, other)
    assert {leaf.blocked for leaf in leaves(other)} == {"because"}


def test_different_lengths_meet() -> None:
    one, other = Term(6), Term(5)
    unify(one, other)
    assert one.blocked == other.blocked == "axes of 6 and 5 meet"


def test_overlapping_windows_end() -> None:
    axis = Term(500)
    a, b = cut(axis, 499), cut(axis, 1)
    assert a is not None and b is not None
    unify(a[0], b[1])
    assert all(leaf.blocked or leaf.size == 1 for leaf in leaves(axis))


SHAPES = st.lists(st.integers(2, 4), min_size=1, max_size=3)


@settings(max_examples=150, deadline=None)
@given(SHAPES, st.data())
def test_kept_positions_are_those_of_the_elements(shape: list[int], data: st.DataObject) -> None:
    """A product laid out as an array, its factors pruned one by one: the positions are numpy's."""
    parts = [Term(n) for n in shape]
    kept = {}
    picked = []
    for part in parts:
        places = data.draw(st.sets(st.integers(0, part.size - 1), min_size=1))
        picked.append(sorted(places))
        if len(places) < part.size:
            kept[part] = sorted(places)
    axis = total((Term(2), product(parts)))
    table = np.arange(np.prod(shape)).reshape(shape) + 2
    wanted = [0, 1, *table[np.ix_(*picked)].ravel().tolist()]
    assert (kept_of(axis, kept) or list(range(axis.size))) == wanted
    for at, part in enumerate(parts):
        where = np.broadcast_to(np.arange(part.size).reshape([-1 if i == at else 1 for i in range(len(shape))]), shape)
        assert indices(axis, part) == [-1, -1, *where.ravel().tolist()] or parts.count(part) > 1


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_order_of_what_is_known_does_not_matter(order: tuple[int, ...]) -> None:
    axis = Term(24)
    facts = [product((Term(4), Term(6))), product((Term(8), Term(3))), total((Term(12), Term(12)))]
    for i in order:
        unify(axis, facts[i])
    assert all(len(list(leaves(fact))) == len(list(leaves(axis))) for fact in facts)
    assert {leaf.size for leaf in leaves(axis)} <= {2, 3, 1}
