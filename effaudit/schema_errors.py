"""What msgspec finds wrong with a document, in the words of the person who wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, Final

import msgspec

from effaudit.printable import printable

_AT: Final = re.compile(r"(?P<what>.*?)(?: - at `(?P<key>key(?:` in `| in ))?(?P<path>\$.*)`)?", re.DOTALL)
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_ENUM: Final = re.compile(r"Invalid enum value '(.*)'", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_STEP: Final = re.compile(r"\.([^.\[]+)|\[(\.\.\.|\d+)\]")
_WORDS: Final = {
    "`object`": "keys and values",
    "`array`": "a list",
    "`str`": "text",
    "`int`": "a whole number",
    "`float`": "a number",
    "`bool`": "true or false",
    "`null`": "nothing",
}


def explained(error: msgspec.ValidationError, document: object, kind: Any) -> str:
    """`$.place: what was expected`, with the nearest of the known keys where one is not known."""
    found = _AT.fullmatch(str(error))
    assert found is not None
    what, path = found["what"], found["path"] or "$"
    place = f"a key of {path}" if found["key"] else path
    if document is None and path == "$":
        return "$: the file is empty"
    unknown, missing, value = _UNKNOWN.fullmatch(what), _MISSING.fullmatch(what), _ENUM.fullmatch(what)
    if unknown is not None:
        said = suggestion(unknown[1], _keys(kind, path))
    elif missing is not None:
        said = f"the key '{missing[1]}' is missing"
    elif value is not None:
        said = _one_of(value[1], _values(kind, path, of_keys=bool(found["key"])))
    else:
        said = _plain(what)
    return f"{printable(place)}: {said}"


def suggestion(key: str, known: list[str]) -> str:
    """Says that a key is not known, what is near it, and what there is."""
    near = get_close_matches(key, known, 1, 0.6)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown key {printable(repr(key))}; {hint}known: {', '.join(sorted(known)) or 'none'}"


def _one_of(value: str, known: list[str]) -> str:
    near = get_close_matches(value, known, 1, 0.6)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"expected one of {', '.join(known)}, got {printable(repr(value), 60)}{hint}"


def _plain(what: str) -> str:
    """`Expected `int`, got `str`` -> expected a whole number, got text."""
    for word, said in _WORDS.items():
        what = re.sub(rf"{word}(?=\W|$)", said, what)
    what = re.sub(r"`([^`]*\|[^`]*)`", lambda m: _either(m[1]), what)
    return printable(what[:1].lower() + what[1:])


def _either(kinds: str) -> str:
    return " or ".join(_WORDS.get(f"`{kind.strip()}`", kind.strip()) for kind in kinds.split("|"))


def _keys(kind: Any, path: str) -> list[str]:
    """The keys of the structs that may stand at a path of a document."""
    kinds = _at(kind, path)
    return [f.encode_name for k in kinds if isinstance(k, msgspec.inspect.StructType) for f in k.fields]


def _values(kind: Any, path: str, *, of_keys: bool) -> list[str]:
    """The words that may stand at a path of a document, or be keys there."""
    kinds = _at(kind, path)
    if of_keys:
        kinds = [b for k in kinds if isinstance(k, msgspec.inspect.DictType) for b in _branches(k.key_type)]
    return [str(value) for k in kinds if isinstance(k, msgspec.inspect.LiteralType) for value in k.values]


def _at(kind: Any, path: str) -> list[msgspec.inspect.Type]:
    kinds = list(_branches(msgspec.inspect.type_info(kind)))
    for name, _ in _STEP.findall(path):
        kinds = [branch for k in kinds for inner in _inside(k, name) for branch in _branches(inner)]
    return kinds


def _branches(kind: msgspec.inspect.Type) -> Iterator[msgspec.inspect.Type]:
    if isinstance(kind, msgspec.inspect.UnionType):
        yield from kind.types
    else:
        yield kind


def _inside(kind: msgspec.inspect.Type, name: str) -> Iterator[msgspec.inspect.Type]:
    """The types one step inside: a field, or ("" or "...") an item."""
    inspect = msgspec.inspect
    if isinstance(kind, inspect.StructType):
        yield from (f.type for f in kind.fields if f.encode_name == name)
    elif isinstance(kind, inspect.DictType):
        yield kind.value_type
    elif isinstance(kind, inspect.CollectionType):
        yield kind.item_type
