"""Numbers of a profile: plain or in full, with the nearest source and status, and the unit of their key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from effaudit import strict_yaml
from effaudit.device.facts import stated
from effaudit.device.types import STATUSES, Device, Fact
from effaudit.device.units import SUFFIXES, TABLES, WHOLE, unit_of
from effaudit.device.validate import facts
from effaudit.errors import UsageError

from .profiles import BOARD, GPU, changed, device
from .structs import fact_keys

HEAD = {"source": "s", "status": "vendor"}


def number(value: Any, key: str = "size_bytes", **head: str) -> dict[str, Any]:
    found: dict[str, Any] = stated({**HEAD, **head, key: value})[key]
    return found


def test_a_plain_number_takes_what_stands_around_it() -> None:
    assert number(327680) == {"value": 327680, "unit": "B", "source": "s", "status": "vendor"}


def test_a_number_in_full_says_its_own() -> None:
    own = {"value": 1.5, "low": 1, "high": 2, "source": "t", "status": "measured", "note": "n"}
    assert number(own, "latency_s") == {**own, "unit": "s"}


def test_null_is_no_number_and_a_null_value_is_one() -> None:
    assert number(None) is None
    assert number({"note": "nobody says"})["value"] is None


def test_the_nearest_source_and_status_hold() -> None:
    document = {**HEAD, "a": {"source": "inner", "b": [{"size_bytes": 1}, {"status": "fitted", "size_bytes": 2}]}}
    one, two = stated(document)["a"]["b"]
    assert (one["size_bytes"]["source"], one["size_bytes"]["status"]) == ("inner", "vendor")
    assert (two["size_bytes"]["source"], two["size_bytes"]["status"]) == ("inner", "fitted")


def test_a_section_may_state_a_source_for_its_numbers(tmp_path: Path) -> None:
    """Which then stands in each of them, and nowhere else."""
    text = changed(BOARD, "    kind: simd\n", "    kind: simd\n    source: paper\n    status: measured\n")
    board = device(tmp_path, text)
    (engine,) = board.engines
    assert engine.clock_hz is not None and (engine.clock_hz.source, engine.clock_hz.status) == ("paper", "measured")
    assert engine.peaks["int8"].dense_mac_per_cycle is not None
    assert engine.peaks["int8"].dense_mac_per_cycle.source == "paper"
    assert board.source == "manual"
    with pytest.raises(UsageError, match=r"\$\.engines\[0\]\.source: expected text, got 3"):
        device(tmp_path, text.replace("source: paper\n    status", "source: 3\n    status"))


def test_tables_are_numbers_by_name() -> None:
    made = stated({**HEAD, "mac_pj": {"int8": 0.3, "float32": {"value": 4.6, "source": "t"}}})["mac_pj"]
    assert [(name, fact["value"], fact["unit"], fact["source"]) for name, fact in made.items()] == [
        ("int8", 0.3, "pJ", "s"),
        ("float32", 4.6, "pJ", "t"),
    ]


def test_sources_may_have_any_names() -> None:
    """A source called `size_bytes` is a source, not a number."""
    document = {**HEAD, "sources": {"size_bytes": {"title": "x"}}}
    assert stated(document)["sources"] == document["sources"]


@pytest.mark.parametrize("wrong", ["312e12x", "1 MiB", True, [], "1e9"])
def test_what_is_no_number_is_refused(wrong: object) -> None:
    with pytest.raises(UsageError, match=r"^\$\.size_bytes: expected a number, got"):
        number(wrong)


@pytest.mark.parametrize("part", ["value", "low", "high"])
def test_each_part_is_a_number(part: str) -> None:
    with pytest.raises(UsageError, match=rf"^\$\.size_bytes\.{part}: expected a number, got the text '1'"):
        number({"value": 1, part: "1"})


@pytest.mark.parametrize("key", ["source", "status"])
def test_every_number_has_a_source_and_a_status(key: str) -> None:
    with pytest.raises(UsageError, match=rf"^\$\.size_bytes: no {key}; state it there or once for the profile"):
        stated({name: value for name, value in HEAD.items() if name != key} | {"size_bytes": 1})


@pytest.mark.parametrize("text", ["1e9", "312e12", "2.039e12", "1_000", "0x20", "1E3"])
def test_how_yaml_reads_numbers(text: str) -> None:
    """PyYAML takes 1e9 for text, and 1_000 for a number; the core schema of YAML 1.2 has it the other way round."""
    found = strict_yaml.parse(f"a: {text}", "x")
    assert isinstance(found, dict)
    if "_" in text:
        assert found["a"] == text
    else:
        assert found["a"] == (int(text, 0) if text.startswith("0x") else float(text))
        assert isinstance(found["a"], int | float)


def test_whole_numbers_stay_exact() -> None:
    assert strict_yaml.parse("a: 1e23", "x") == {"a": 10**23}


def test_numbers_past_64_bits(tmp_path: Path) -> None:
    text = changed(BOARD, "size_bytes: 1048576", "size_bytes: 1180591620717411303424")
    memory = device(tmp_path, text).memories[0]
    assert memory.size_bytes is not None and memory.size_bytes.value == 2**70


def test_a_key_says_its_unit() -> None:
    assert unit_of("read_bandwidth_byte_per_s") == "B/s"
    assert unit_of("table_bytes_per_node") == "B/node"
    assert unit_of("dense_mac_per_cycle") == "MAC/cycle"
    assert unit_of("holds") is None


def test_every_number_of_the_schema_has_a_unit_by_its_key() -> None:
    """No struct has a number without a unit, and no other field has a key that looks like one."""
    numbers, others = fact_keys(Device)
    assert len(numbers) > 30
    for key in numbers:
        assert unit_of(key) is not None or key in TABLES, key
    assert not [key for key in others if unit_of(key) is not None or key in TABLES]
    assert set(WHOLE) <= numbers
    assert set(TABLES) <= numbers
    assert SUFFIXES


def test_bounds_of_a_number() -> None:
    plain, bounded = Fact(3, "B", "s", "vendor"), Fact(3, "B", "s", "fitted", 2, 5)
    unknown = Fact(None, "B", "s", "assumed", note="x")
    assert [(fact.least, fact.most) for fact in (plain, bounded, unknown)] == [(3, 3), (2, 5), (0, None)]


@pytest.mark.parametrize("text", [BOARD, GPU])
def test_every_number_is_a_fact(text: str, tmp_path: Path) -> None:
    found = dict(facts(device(tmp_path, text)))
    assert len(found) > 8
    for path, fact in found.items():
        assert fact.unit and fact.source and fact.status in STATUSES, path
