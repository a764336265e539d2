"""Near misses: what is suggested, and how it reads."""

from __future__ import annotations

import time

import pytest

from effaudit.nearest import did_you_mean, nearest, suggested


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], ""),
        (["a"], "; did you mean a?"),
        (["a", "b"], "; did you mean a or b?"),
        (["a", "b", "c"], "; did you mean a, b or c?"),
    ],
)
def test_reading(names: list[str], said: str) -> None:
    assert suggested(names) == said


def test_only_near_names_the_nearest_first() -> None:
    names = ("ops", "macs", "mass", "write_bytes")
    assert nearest("macs", names) == ["macs", "mass"]
    assert nearest("macs", names, most=1) == ["macs"]
    assert nearest("macs", names, alike=0.9) == ["macs"]
    assert did_you_mean("maacs", names) == "; did you mean macs or mass?"
    assert did_you_mean("zzz", names) == ""


def test_a_long_word_costs_no_more_than_a_short_one() -> None:
    """Unbounded, comparing 2 million equal letters with each of a thousand names takes hours."""
    start = time.perf_counter()
    assert nearest("a" * 2_000_000, ["a" * 200] * 1_000)
    assert time.perf_counter() - start < 10
