"""Strict YAML: what it reads, and the one line each refusal is."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from effaudit import strict_yaml
from effaudit.errors import UsageError


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    rate: float = 0.0
    sizes: dict[str, int] = {}


class Whole(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    parts: tuple[Part, ...]
    spare: Part | None = None
    limit: int | str | None = None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e9", 10**9),
        ("312e12", 312 * 10**12),
        ("12e22", 12 * 10**22),  # exact, where a float is not
        ("1.5e3", 1500.0),
        ("1e-3", 0.001),
        ("1:30", "1:30"),
        ("yes", "yes"),
        ("No", "No"),
        ("on", "on"),
        ("2020-01-01", "2020-01-01"),
        ("1_000", "1_000"),
        ("0x1F", 31),
        ("0o17", 15),
        ("+7", 7),
        ("-0", 0),
        (".5", 0.5),
        ("true", True),
        ("~", None),
        ("'010'", "010"),
        ("'1e9'", "1e9"),
        ("1.2.3", "1.2.3"),
        ("-", [None]),
        ("[1, 'a, b', {c: }]", [1, "a, b", {"c": None}]),
        ("a: &x [1, 2]\nb: *x", {"a": [1, 2], "b": [1, 2]}),
        ("1: a\nyes: b", {"1": "a", "yes": "b"}),
        ("text: |\n  two\n  lines\n", {"text": "two\nlines\n"}),
        ("", None),
        ("# nothing", None),
        ("\ufeffa: 1", {"a": 1}),
    ],
)
def test_reads(tmp_path: Path, text: str, value: object) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    found = strict_yaml.read(path)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["1e9", "1:30", "2020-01-01", "yes", "1_000"])
def test_pyyaml_alone_reads_another_thing(text: str) -> None:
    """Why the scalars are resolved here."""
    plain = yaml.safe_load(text)
    assert type(plain) is not type(strict_yaml.parse(text, "a")) or plain != strict_yaml.parse(text, "a")
    assert isinstance(plain, (str, int, bool, date))


REFUSED = [
    ("a: 010", "line 1: 010: a number that begins with 0"),
    ("a: -007.5", "line 1: -007.5: a number that begins with 0"),
    ("x: 1\na: 1\na: 2", "line 3: duplicate key 'a'"),
    ("x:\n  b: 1\n  'b': 2", "line 3: duplicate key 'b'"),
    ("a: [x[0], w[1]]", "line 1: no YAML: "),
    ("- {shape: [x[0], w[1]]}", "inside [ ] and { } a text with brackets or commas needs quotes"),
    ("<<: {a: 1}", "line 1: merge keys (<<) are not read"),
    ("? [a]\n: 1", "line 1: a key that is no text"),
    ("a: &x 1\n*x : 2", "line 2: a key that is an alias"),
    ("&k a: 1", "line 1: an anchor on a key"),
    ("!!python/object/apply:os.system [id]", "tags are not read"),
    ("a: !!str 1", "line 1: tag 'tag:yaml.org,2002:str'; tags are not read"),
    ("a: !mine 1", "line 1: tag '!mine'; tags are not read"),
    ("a: 1\n---\nb: 1", "line 2: a second document"),
    ("a: .inf", "line 1: .inf: a finite number is expected"),
    ("a: -.INF", "a finite number is expected"),
    ("a: .nan", "a finite number is expected"),
    ("a: 1e400", "line 1: 1e400: past the largest number"),
    ("a: *x", "line 1: alias 'x': no anchor of that name is complete before it"),
    ("a: &x [1, *x]", "line 1: alias 'x': no anchor of that name is complete before it"),
    ("a: 1\n b: 2", "line 2: no YAML: "),
    ("a: [", "no YAML: "),
    ("a: \x01", "no YAML: "),
    ("a: 'x", "no YAML: "),
    ("a: " + "9" * 41, "line 1: a number of more than 40 digits; refused"),
    ("a: " + "9" * 900_000, "line 1: a number of more than 40 digits; refused"),
    ("[" * 33, "line 1: nested more than 32 deep; refused"),
    ("[" * 500_000, "line 1: nested more than 32 deep; refused"),
    ("- " * 500_000, "line 1: nested more than 32 deep; refused"),
    ("{a: " * 200_000, "line 1: nested more than 32 deep; refused"),
    ("x: 1\n" + "a: [" + "1," * 100_001 + "]", "line 2: more than 100,000 values"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[text[:24] for text, _ in REFUSED])
def test_refuses(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(text.encode())
    began = time.monotonic()
    with pytest.raises(UsageError) as caught:
        strict_yaml.read(path)
    assert time.monotonic() - began < 5
    said = str(caught.value)
    assert said.startswith(f"{path}: ")
    assert message in said
    assert "\n" not in said and said.isprintable() and len(said) < 400


def test_aliases_count_as_often_as_they_stand() -> None:
    """Ten aliases of ten aliases of ...: 10^11 values in a kilobyte."""
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for i in range(1, 11):
        bomb += f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n"
    with pytest.raises(UsageError, match="line 5: more than 100,000 values"):
        strict_yaml.parse(bomb, "bomb.yaml")


def test_aliases_nest_no_deeper_than_lists() -> None:
    chain = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 40))
    with pytest.raises(UsageError, match="line 32: nested more than 32 deep"):
        strict_yaml.parse(chain, "chain.yaml")


@pytest.mark.parametrize(
    ("raw", "message"),
    [(b"a: 1\nb: \xff\n", "line 2: no UTF-8 text"), (b"#" * (2**20 + 1), "more than 1,048,576 bytes; refused")],
)
def test_refuses_bytes(tmp_path: Path, raw: bytes, message: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(raw)
    with pytest.raises(UsageError, match=message):
        strict_yaml.read(path)


@pytest.mark.parametrize("name", ["absent.yaml", ".", "a\0b"])
def test_refuses_what_is_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be read") as caught:
        strict_yaml.read(f"{tmp_path}/{name}")
    assert str(caught.value).isprintable()


def test_a_hundred_megabytes_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(100 << 20)
    began = time.monotonic()
    with pytest.raises(UsageError, match="more than 1,048,576 bytes"):
        strict_yaml.read(path)
    assert time.monotonic() - began < 1


# Not what YAML forbids or takes for line breaks: controls, U+0085, U+2028, U+2029, byte-order marks, noncharacters.
words = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="\x85\u2028\u2029\ufeff\ufffe\uffff")
)
scalars = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | words | st.floats(-1e300, 1e300)
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4), max_leaves=20
)


@given(documents)
def test_json_is_read_as_it_is(document: Any) -> None:
    """YAML 1.2 holds JSON: what a writer of JSON writes, this reads back."""
    assert strict_yaml.parse(msgspec.json.encode(document).decode(), "a.json") == document


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "$: the file is empty"),
        ("3", "$: expected keys and values, got a whole number"),
        ("{}", "$: the key 'parts' is missing"),
        ("partz: []", "$: unknown key 'partz'; did you mean 'parts'? known: limit, parts, spare"),
        ("parts: 1", "$.parts: expected a list, got a whole number"),
        ("parts: [{}]", "$.parts[0]: the key 'name' is missing"),
        ("parts: [{name: 1}]", "$.parts[0].name: expected text, got a whole number"),
        ("parts: [{name: yes, rate: fast}]", "$.parts[0].rate: expected a number, got text"),
        ("parts: [{name: a, rates: 1}]", "$.parts[0]: unknown key 'rates'; did you mean 'rate'? known: name, rate, s"),
        ("parts: [{name: a, sizes: {b: 1.5}}]", "$.parts[0].sizes[...]: expected a whole number, got a number"),
        ("parts: []\nspare: {nam: a}", "$.spare: unknown key 'nam'; did you mean 'name'?"),
        ("parts: []\nlimit: []", "$.limit: expected a whole number or text or nothing, got a list"),
        ('parts: []\n"\\e[31m\\n": 1', r"$: unknown key '\x1b[31m\n'; known: "),
    ],
)
def test_decode_says_where_and_what(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        strict_yaml.decode(path, Whole)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert str(caught.value).isprintable()


def test_decode(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("parts: [{name: a, rate: 1e3, sizes: {b: 2}}]\nlimit: 60M", encoding="utf-8")
    assert strict_yaml.decode(path, Whole) == Whole((Part("a", 1000.0, {"b": 2}),), None, "60M")
