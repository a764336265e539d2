"""YAML files of ours, read strictly: what stands there is what is meant, or one line says what is wrong.

The data model is JSON's. Scalars are those of YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema):
`1e9` is a number, `yes`, `1:30` and dates are text. What YAML versions read differently (`010`), tags, merge keys,
duplicate keys and keys that are no scalars are refused. PyYAML is asked for its events only: objects are built here,
so that nesting, aliases and numbers stay within the bounds below.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, NoReturn, TypeVar

import msgspec

from effaudit.errors import UsageError
from effaudit.printable import printable
from effaudit.schema_errors import explained

T = TypeVar("T")

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 32
MAX_VALUES: Final = 100_000  # with the values that aliases repeat
MAX_DIGITS: Final = 40  # of one number

_WORDS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT: Final = re.compile(r"[-+]?\d+", re.ASCII)
_BASED: Final = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_WHOLE: Final = re.compile(r"([-+]?\d+)[eE]\+?(\d+)", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?", re.ASCII)
_NOT_FINITE: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_PADDED: Final = re.compile(r"[-+]?0\d+(\.\d*)?([eE][-+]?\d+)?", re.ASCII)


def read(path: str | os.PathLike[str]) -> object:
    """The document of a YAML file: None, bool, int, float, str, and lists and dicts (with text keys) of these.

    Raises UsageError, one line `FILE: line N: ...`, where it cannot be read, is no strict YAML or passes a bound.
    """
    path = os.fspath(path)
    return parse(text_of(path), path)


def decode(path: str | os.PathLike[str], kind: type[T]) -> T:
    """The document of a YAML file as a `kind`: a Struct (with `forbid_unknown_fields`), or what msgspec can convert to.

    Raises UsageError as `read`, or `FILE: $.place: what was expected`.
    """
    return convert(read(path), kind, os.fspath(path))


def convert(document: object, kind: type[T], path: str) -> T:
    """A document that was read from `path` as a `kind`; see `decode`."""
    try:
        return msgspec.convert(document, kind, strict=True, str_keys=True)
    except msgspec.ValidationError as error:
        raise UsageError(f"{printable(path)}: {explained(error, document, kind)}") from None


def parse(text: str, path: str) -> object:
    """`read` of a text; `path` is what messages call it."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    builder = _Builder(path)
    try:
        return builder.document(yaml.parse(text, Loader=loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark is not None else ""
        raise UsageError(f"{printable(path)}: {line}no YAML: {_problem(error)}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{printable(path)}: no YAML: {printable(' '.join(str(error).split()))}") from None


def text_of(path: str) -> str:
    """The text of a file of at most MAX_BYTES. Raises UsageError, one line `FILE: ...`."""
    try:
        with open(path, "rb", opener=_opened) as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "no path"
        raise UsageError(f"{printable(path)}: cannot be read: {why}") from None
    if len(raw) > MAX_BYTES:
        raise UsageError(f"{printable(path)}: more than {MAX_BYTES:,} bytes; refused")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{printable(path)}: line {line}: no UTF-8 text") from None


def _opened(path: str, flags: int) -> int:
    """A file descriptor; a named pipe that nobody writes to is empty instead of waiting for ever."""
    fd = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if hasattr(os, "O_NONBLOCK"):
        os.set_blocking(fd, True)
    return fd


def _problem(error: Any) -> str:
    problem = printable(" ".join(str(error.problem or error.context or "not understood").split()))
    if "flow" in str(error.context or ""):
        problem += "; inside [ ] and { } a text with brackets or commas needs quotes"
    return problem


class _Open:
    """A list or dict under construction. `size` counts the values in it; `height` is how deep they nest."""

    __slots__ = ("anchor", "height", "key", "keyed", "made", "size")

    def __init__(self, made: list[Any] | dict[str, Any], anchor: str | None) -> None:
        self.made = made
        self.anchor = anchor
        self.key = ""
        self.keyed = False  # a key is waiting for its value
        self.size = 1
        self.height = 1


class _Builder:
    """Builds one document from events, without recursion: `stack` holds what is open."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.line = 1
        self.stack: list[_Open] = []
        self.anchors: dict[str, tuple[object, int, int]] = {}  # value, size, height
        self.root: object = None

    def document(self, events: Iterable[Any]) -> object:
        documents = 0
        for event in self._placed(events):
            kind = type(event).__name__
            if kind == "DocumentStartEvent":
                documents += 1
                if documents > 1:
                    self._refuse("a second document; one is expected")
            elif kind in ("SequenceStartEvent", "MappingStartEvent"):
                self._open([] if kind[0] == "S" else {}, event)
            elif kind in ("SequenceEndEvent", "MappingEndEvent"):
                closed = self.stack.pop()
                self._put(closed.made, closed.anchor, closed.size, closed.height)
            elif kind == "ScalarEvent":
                self._scalar(event)
            elif kind == "AliasEvent":
                self._alias(event.anchor)
        return self.root

    def _placed(self, events: Iterable[Any]) -> Iterator[Any]:
        for event in events:
            self.line = event.start_mark.line + 1
            yield event

    def _refuse(self, what: str) -> NoReturn:
        raise UsageError(f"{printable(self.path)}: line {self.line}: {what}")

    def _open(self, made: list[Any] | dict[str, Any], event: Any) -> None:
        if event.tag is not None:
            self._refuse(f"tag {printable(repr(event.tag))}; tags are not read")
        if self._wants_key():
            self._refuse("a key that is no text")
        if len(self.stack) >= MAX_DEPTH:
            self._refuse(f"nested more than {MAX_DEPTH} deep; refused")
        self.stack.append(_Open(made, event.anchor))

    def _wants_key(self) -> bool:
        return bool(self.stack) and isinstance(self.stack[-1].made, dict) and not self.stack[-1].keyed

    def _scalar(self, event: Any) -> None:
        if event.tag is not None and event.tag != "!":
            self._refuse(f"tag {printable(repr(event.tag))}; tags are not read")
        if self._wants_key():
            self._key(event)
            return
        plain = event.implicit[0] and event.style in (None, "")
        self._put(self._resolved(event.value) if plain else event.value, event.anchor, 1, 0)

    def _key(self, event: Any) -> None:
        top = self.stack[-1]
        assert isinstance(top.made, dict)
        if event.anchor is not None:
            self._refuse("an anchor on a key; put it on the value")
        if event.value == "<<" and event.style in (None, ""):
            self._refuse("merge keys (<<) are not read")
        if event.value in top.made:
            self._refuse(f"duplicate key {printable(repr(event.value))}")
        top.key, top.keyed = event.value, True

    def _alias(self, name: str) -> None:
        if self._wants_key():
            self._refuse("a key that is an alias")
        known = self.anchors.get(name)
        if known is None:
            self._refuse(f"alias {printable(repr(name))}: no anchor of that name is complete before it")
        value, size, height = known
        if len(self.stack) + height > MAX_DEPTH:
            self._refuse(f"nested more than {MAX_DEPTH} deep; refused")
        self._put(value, None, size, height)

    def _put(self, value: object, anchor: str | None, size: int, height: int) -> None:
        """Adds a complete value to what is open; of a list or dict, its parts are counted already, an alias's not."""
        if anchor is not None:
            self.anchors[anchor] = (value, size, height)
        if not self.stack:
            self.root = value
            total = size
        else:
            top = self.stack[-1]
            if isinstance(top.made, dict):
                top.made[top.key] = value
                top.keyed = False
            else:
                top.made.append(value)
            top.size += size
            top.height = max(top.height, height + 1)
            total = top.size
        if total > MAX_VALUES:
            self._refuse(f"more than {MAX_VALUES:,} values (aliases counted as often as they stand); refused")

    def _resolved(self, text: str) -> object:
        """A plain scalar under the core schema."""
        if text in _WORDS:
            return _WORDS[text]
        if text[0] not in "-+.0123456789":
            return text
        based = bool(_BASED.fullmatch(text))
        if _NOT_FINITE.fullmatch(text):
            self._refuse(f"{text}: a finite number is expected")
        if not based and not _FLOAT.fullmatch(text):
            return text
        if len(text) > MAX_DIGITS:
            self._refuse(f"a number of more than {MAX_DIGITS} digits; refused")
        if _PADDED.fullmatch(text):
            self._refuse(f"{text}: a number that begins with 0 (some readers take it as octal); drop the 0 or quote it")
        if based:
            return int(text, 0)
        if _INT.fullmatch(text):
            return int(text)
        whole = _WHOLE.fullmatch(text)
        if whole is not None and int(whole[2]) <= MAX_DIGITS:  # exact, unlike a float
            return int(whole[1]) * 10 ** int(whole[2])
        number = float(text)
        if number in (float("inf"), float("-inf")):
            self._refuse(f"{text}: past the largest number")
        return number
