"""A profile over the one it extends."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from effaudit.device.merge import merged
from effaudit.errors import UsageError


def fact(value: int) -> dict[str, Any]:
    return {"value": value, "unit": "B", "source": "s", "status": "vendor"}


def test_keys_are_taken_over_but_not_those_of_the_profile_itself() -> None:
    own = {"schema": "x", "name": "b", "title": "B"}
    base = {**own, "name": "a", "vendor": "V", "abstract": True, "aliases": ["c"], "part": "P", "extends": "z"}
    assert merged(base, own) == {**own, "vendor": "V"}


def test_a_number_is_replaced_whole() -> None:
    base = {"battery": {"capacity_mah": {**fact(1), "low": 0, "note": "old"}, "voltage_v": fact(3)}}
    own = {"battery": {"capacity_mah": fact(2)}}
    assert merged(base, own)["battery"] == {"capacity_mah": fact(2), "voltage_v": fact(3)}


def test_named_things_are_joined_one_by_one_in_the_order_of_the_profile() -> None:
    base = {"memories": [{"name": "a", "size_bytes": fact(1), "kind": "ram"}, {"name": "b"}]}
    own = {"memories": [{"name": "c"}, {"name": "a", "size_bytes": fact(2)}]}
    made = merged(base, own)["memories"]
    assert made == [{"name": "a", "size_bytes": fact(2), "kind": "ram"}, {"name": "b"}, {"name": "c"}]


def test_regions_of_a_memory_are_joined_by_name() -> None:
    base = {"memories": [{"name": "a", "regions": [{"name": "x", "base": 1}, {"name": "y"}]}]}
    own = {"memories": [{"name": "a", "regions": [{"name": "x", "size_bytes": fact(2)}]}]}
    (memory,) = merged(base, own)["memories"]
    assert memory["regions"] == [{"name": "x", "base": 1, "size_bytes": fact(2)}, {"name": "y"}]


def test_two_versions_of_a_runtime_are_two() -> None:
    base = {"runtimes": [{"name": "r", "version": "1"}, {"name": "r", "version": "2", "note": "n"}]}
    own = {"runtimes": [{"name": "r", "version": "2", "title": "t"}]}
    assert [(r["version"], r.get("title")) for r in merged(base, own)["runtimes"]] == [("2", "t"), ("1", None)]


def test_speeds_are_told_apart_by_engine_type_runtime_and_version() -> None:
    base = {"performance": [{"engine": "e", "dtype": "int8"}, {"engine": "e", "dtype": "int8", "runtime": "r"}]}
    own = {"performance": [{"engine": "e", "dtype": "int8", "runtime": "r", "note": "n"}]}
    assert merged(base, own)["performance"] == [{"engine": "e", "dtype": "int8"}, *own["performance"]]


def test_the_first_runtime_is_that_of_the_profile() -> None:
    base = {"runtimes": [{"name": "a"}, {"name": "b", "note": "n"}]}
    made = merged(base, {"runtimes": [{"name": "b"}]})["runtimes"]
    assert made == [{"name": "b", "note": "n"}, {"name": "a"}]


def test_a_rate_is_replaced_whole() -> None:
    """Joined, it would state two kinds of rate."""
    base = {"performance": [{"engine": "e", "dtype": "t", "rates": {"conv": {"mac_per_s": fact(1)}, "other": {}}}]}
    own = {"performance": [{"engine": "e", "dtype": "t", "rates": {"conv": {"mac_per_cycle": fact(2)}}}]}
    (made,) = merged(base, own)["performance"]
    assert made["rates"] == {"conv": {"mac_per_cycle": fact(2)}, "other": {}}


def test_notes_are_added_and_other_lists_replaced() -> None:
    base, own = {"notes": ["a"], "memories": [{"name": "m", "holds": ["code"]}]}, {"notes": ["b"]}
    assert merged(base, own)["notes"] == ["a", "b"]
    more = merged(base, {"memories": [{"name": "m", "holds": ["weights"]}]})
    assert more["memories"] == [{"name": "m", "holds": ["weights"]}]


def test_null_takes_away() -> None:
    assert merged({"battery": {"capacity_mah": fact(1)}}, {"battery": None})["battery"] is None


def test_a_source_means_one_document() -> None:
    """The numbers of the base would seem to stand in the document that has taken its key."""
    base = {"sources": {"s": {"title": "One", "accessed": "2026"}, "t": {"title": "T"}}}
    same = {"sources": {"s": {"title": "One"}, "u": {"title": "U"}}}
    assert set(merged(base, same)["sources"]) == {"s", "t", "u"}
    with pytest.raises(UsageError, match=r"^\$\.sources\.s: the profile this one extends means 'One' by it; choose an"):
        merged(base, {"sources": {"s": {"title": "Two"}}})


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "a", "memories"]), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["vendor", "memories", "energy", "notes"]), JSON))
def test_nothing_over_a_profile_is_the_profile(base: dict[str, Any]) -> None:
    assert merged(base, {}) == base
    assert merged({}, base) == base
