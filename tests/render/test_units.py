"""One unit per column: no cell loses its digits, none becomes zero."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from effaudit.render.units import scaled
from effaudit.tables.table import BYTES, COUNT, Column, Span, Table

FACTORS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "B": 1}
FACTORS |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def made(values: list[int], kind: str) -> tuple[str, list[object]]:
    table = Table("t", "t", (Column("x", "x", kind),), lambda: iter([(v,) for v in values]))
    found = scaled(table)
    return found.columns[0].title, [row[0] for row in found.rows()]


@given(st.lists(st.integers(0, 10**15), min_size=1, max_size=6), st.sampled_from([COUNT, BYTES]))
def test_every_cell_is_its_value_to_three_digits(values: list[int], kind: str) -> None:
    title, cells = made(values, kind)
    unit = re.search(r"\((\w+)\)", title)
    for value, cell in zip(values, cells, strict=True):
        if unit is None:
            assert int(str(cell).replace(",", "")) == value
        else:
            shown = float(str(cell).replace(",", "")) * FACTORS[unit[1]]
            assert abs(shown - value) <= 5e-4 * value


def test_small_and_large_models_side_by_side() -> None:
    assert made([22_604, 25_557_032], COUNT) == ("x (M)", ["0.02260", "25.56"])
    assert made([22_604, 6_738_415_616], COUNT) == ("x (M)", ["0.02260", "6,738"])
    assert made([7, 6_738_415_616], COUNT) == ("x", [7, 6_738_415_616])
    assert made([77_706, 22_604], COUNT) == ("x (k)", ["77.71", "22.60"])


def test_ranges_keep_both_ends() -> None:
    table = Table("t", "t", (Column("x", "x", COUNT),), lambda: iter([(Span(807_552, 836_224),), (Span(5000, None),)]))
    assert [row[0] for row in scaled(table).rows()] == ["807.6..836.2", "5.000.."]
