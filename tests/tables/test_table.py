"""Tables: order, columns, sums of spans, shares."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from effaudit.errors import UsageError
from effaudit.load.files import sample_names
from effaudit.report import VIEWS, Asked, ModelReport, audit
from effaudit.tables import NAMES, check, joined, listed, of
from effaudit.tables.table import COUNT, NONE, Cell, Column, Shown, Span, Table, arranged, part_of, plus, ratio

ends = st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)).map(sorted)


def cell(bounds: list[int]) -> Cell:
    low, high = bounds
    return low if low == high else Span(low, high)


def bounds(found: Cell) -> tuple[float, float]:
    if isinstance(found, Span):
        assert found.high is not None
        return found.low, found.high
    assert isinstance(found, int | float)
    return found, found


@given(st.lists(ends, min_size=1, max_size=5))
def test_a_sum_holds_every_sum(parts: list[list[int]]) -> None:
    found = bounds(plus(*map(cell, parts)))
    assert found == (sum(low for low, _ in parts), sum(high for _, high in parts))


def test_a_sum_with_something_unknown() -> None:
    assert plus(3, None) is None
    assert plus(3, Span(1, None)) == Span(4, None)
    assert plus(2, 3) == 5


@given(ends, ends, st.floats(0, 1), st.floats(0, 1))
def test_a_share_holds_every_share(part: list[int], rest: list[int], x: float, y: float) -> None:
    """`whole` is the part and a rest; whatever both turn out to be, the share lies within."""
    whole = plus(cell(part), cell(rest))
    low, high = bounds(part_of(cell(part), whole))
    p = part[0] + round(x * (part[1] - part[0]))
    r = rest[0] + round(y * (rest[1] - rest[0]))
    share = p / (p + r) if p + r else 0.0
    assert low - 1e-9 <= share <= high + 1e-9


def test_shares_of_nothing_and_of_the_unknown() -> None:
    assert part_of(0, Span(1, 2)) == 0.0
    assert part_of(0, 0) == 0.0
    assert part_of(None, 3) is None
    assert part_of(1, 4) == 0.25


def test_ratios() -> None:
    assert ratio(2.5, [2.5, 2.5]) == 2.5
    assert ratio(None, [1.0, 2.0]) == Span(1.0, 2.0)
    assert ratio(None, [None, None]) == NONE
    assert ratio(None, [0.0, None]) is None


CELLS: list[Cell] = [3, NONE, Span(5, 9), None, 7, 0]
TABLE = Table("nodes", "t", (Column("x", "x", COUNT), Column("y", "y")), lambda: ((c, "b") for c in CELLS))


def column(shown: Shown) -> list[Cell]:
    return [row[0] for row in arranged(TABLE, shown).rows()]


def test_numbers_sort_downwards_and_what_is_unknown_comes_last() -> None:
    assert column(Shown(sort="x")) == [7, Span(5, 9), 3, 0, NONE, None]
    assert column(Shown(sort="x", top=2)) == [7, Span(5, 9)]
    assert "At most 2 rows" in arranged(TABLE, Shown(top=2)).note


def test_columns_come_in_the_order_asked_for() -> None:
    found = arranged(TABLE, Shown(columns=("y", "x")))
    assert [c.key for c in found.columns] == ["y", "x"]
    assert next(found.rows()) == ("b", 3)


def test_columns_that_do_not_exist_are_refused_before_any_work() -> None:
    check(Shown(tables=("nodes",), columns=("macs",), sort="bytes"), ())
    check(Shown(tables=("groups",), columns=("op", "macs")), ("op",))
    for shown in (Shown(tables=("nodes",), columns=("nodes",)), Shown(tables=("groups",), sort="colour")):
        with pytest.raises(UsageError):
            check(shown, ("op",))


@pytest.fixture(scope="module", params=["ic", "bert-base", "control-flow", "kws-int8"])
def model(request: pytest.FixtureRequest) -> ModelReport:
    asked = Asked(frozenset(VIEWS), ("op", "kind"), ("1G",))
    return audit(f"sample:{request.param}", asked=asked)


@pytest.mark.parametrize("name", NAMES)
def test_every_row_has_a_cell_per_column(model: ModelReport, name: str) -> None:
    for table in of(model, name):
        keys = [c.key for c in table.columns]
        assert len(set(keys)) == len(keys) and set(table.brief) <= set(keys)
        assert all(len(row) == len(keys) for row in table.rows())


@pytest.mark.parametrize("name", NAMES)
def test_top_cuts_every_list(model: ModelReport, name: str) -> None:
    for table in listed(model, name, Shown(tables=(name,), top=1)) if name != "hot" else ():
        assert len(list(table.rows())) <= 1


@pytest.mark.parametrize("name", NAMES)
def test_joined_tables_share_their_columns(model: ModelReport, name: str) -> None:
    tables = of(model, name)
    found = joined(tables)
    if tables:
        assert found is not None
        same = [t for t in tables if t.part == tables[0].part]
        assert len(list(found.rows())) == sum(len(list(t.rows())) for t in same)
        assert all([c.key for c in t.columns] == [c.key for c in found.columns] for t in same)


def test_views_are_the_commands_own() -> None:
    from effaudit.cli import report

    assert {name.replace("_", "-") for name in report._VIEWS} == set(VIEWS)
    assert set(VIEWS) <= NAMES.keys()
    assert len(sample_names()) > 10
