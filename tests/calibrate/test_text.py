"""The text of a profile, whatever strings are in it, is read back as it was."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effaudit import strict_yaml
from effaudit.calibrate.text import text

AWKWARD = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=12),
    st.sampled_from(
        "1e9|yes|No|null|~|true|010|1:30|2026-01-01|0x1F|.inf|- a|a: b|#c|a #b|{}|[x]|*a|&b|!t|%d|@e|`|'|\"|\\|\n|é|"
        "\U0001f600|a  b| a|a |?|:|-|---|...|<<|=|a,b|x\u2028y|\x85|\x7f|Intel(R) Xeon(R) CPU @ 2.20GHz".split("|")
    ),
)
NUMBERS = st.one_of(st.integers(-(2**60), 2**60), st.floats(1e-30, 1e15), st.floats(-1e15, -1e-30))
FLAT: st.SearchStrategy[Any] = st.one_of(AWKWARD, NUMBERS, st.booleans(), st.none())
MAPPING = st.dictionaries(AWKWARD, FLAT, min_size=1, max_size=4)
NESTED = st.dictionaries(AWKWARD, st.one_of(FLAT, MAPPING), min_size=1, max_size=4)


def back(document: dict[str, Any]) -> Any:
    return strict_yaml.parse(text(document), "test")


@given(
    name=AWKWARD,
    notes=st.lists(AWKWARD, max_size=3),
    entries=st.lists(NESTED, max_size=3),
    rates=st.dictionaries(AWKWARD, NESTED, max_size=3),
    costs=st.lists(MAPPING, max_size=3),
)
@settings(max_examples=150, deadline=None)
def test_it_is_read_back(
    name: str, notes: list[str], entries: list[Any], rates: dict[str, Any], costs: list[Any]
) -> None:
    inner = [{"dtype": name, "rates": rates, "costs": costs, "last": {"value": 1.5, "note": name}}]
    document = {"name": name, "empty": {}, "sources": {"a": {"title": name}}, "holds": notes, "entries": entries}
    document |= {"performance": inner, "notes": notes}
    assert back(document) == document


@given(value=st.floats(1e-300, 1e300))
def test_numbers_keep_every_digit(value: float) -> None:
    """As a number: `1e+24` is read as a whole one."""
    read = back({"value": value, "nested": {"value": value}})
    assert (float(read["value"]), float(read["nested"]["value"])) == (value, value)


@pytest.mark.parametrize("plain", ["onnxruntime-1", "conv first", "ReduceMean inner", "onnx/onnx", "a_b.c"])
def test_plain_words_need_no_quotes(plain: str) -> None:
    assert f"name: {plain}\n" in text({"name": plain})


def test_what_belongs_together_is_on_a_line() -> None:
    costs = [{"kind": "conv", "launch_s": 1e-06, "mac_s": 2e-11}, {"kind": "matmul", "mac_s": 2e-11}]
    lines = text({"performance": [{"dtype": "float32", "costs": costs}]}).splitlines()
    assert "      - {kind: conv, launch_s: 1e-06, mac_s: 2e-11}" in lines
    assert [line for line in lines if not line.startswith("#")][:2] == ["performance:", "  - dtype: float32"]
