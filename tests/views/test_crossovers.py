"""Crossovers against evaluating both sides around them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from effaudit import dims
from effaudit.dims import symbol
from effaudit.report import audit
from effaudit.views.crossovers import between, by_degree

S, B = symbol("s"), symbol("b")


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(0, 10**6))
def test_two_terms_are_equal_at_the_crossover(a: int, b: int, c: int) -> None:
    (found,) = by_degree(a * B * S * S + b * B * S + c * B, "macs", {"s": 1, "b": 1})
    at = Fraction(b, a)
    assert found.dim == "s" and found.at == pytest.approx(float(at))
    assert a * at**2 == b * at
    assert found.greater == "s**2 terms" and found.less == "s terms"


def test_a_crossover_that_depends_on_another_dim_is_a_formula() -> None:
    (found,) = by_degree(3 * B * S * S + 12 * S, "macs", {"s": 1, "b": 2})
    assert found.at == 2.0
    assert found.formula == "(12) / (3*b)"
    assert dims.evaluate(12 * S, {"s": 2}) == dims.evaluate(3 * B * S * S, {"s": 2, "b": 2})


def test_no_crossover_where_there_is_one_degree() -> None:
    assert by_degree(5 * S * B, "macs", {"s": 1, "b": 1}) == ()
    assert by_degree(7, "macs", {}) == ()
    assert by_degree(dims.floordiv(S, 2) * S + S, "macs", {"s": 1}) == ()


def test_between_two_costs() -> None:
    (found,) = between(2 * B * S * S * 768, 8 * B * S * 768 * 768, ("attention", "ffn"), {"s": 1, "b": 1})
    assert (found.at, found.greater, found.less) == (4 * 768, "attention", "ffn")


def test_bert_base() -> None:
    """ext-05: scores and values outweigh the FFN above 4 d tokens, all projections above 6 d (d = 768)."""
    found = {(c.greater, c.less): c.at for c in audit("sample:bert-base").crossovers}
    assert found["sequence**2 terms", "sequence terms"] == 6 * 768
    assert found["scores + values", "ffn"] == 4 * 768
    assert found["scores + values", "qkv + output + ffn"] == 6 * 768
