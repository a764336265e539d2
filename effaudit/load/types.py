"""ValueInfoProto and TypeProto -> Value: the types a file states for inputs, outputs and (as hints) other tensors."""

from __future__ import annotations

from typing import Final

from effaudit import dims
from effaudit.errors import LoadError
from effaudit.graph import ENCODINGS, SEQUENCE, UNKNOWN, Value
from effaudit.load.tensors import MAX_RANK
from effaudit.load.wire import fields, signed, text

MAX_NAME: Final = 1_000  # characters of a dim's name


def value_info(buf: bytes, at: int, end: int, path: str) -> tuple[str, Value]:
    """Name and stated type of a ValueInfoProto; `path` is the file's name for messages."""
    name, typed = "", None
    for number, wire, start, stop in fields(buf, at, end):
        if wire == 2 and number == 1:
            name = text(buf, start, stop)
        elif wire == 2 and number == 2:
            typed = (start, stop)
    if typed is None:
        return name, Value(UNKNOWN, None, why=f"the file states no type for {name}")
    return name, type_of(buf, *typed, path, name)


def type_of(buf: bytes, at: int, end: int, path: str, name: str) -> Value:
    """A TypeProto: fixed dims as ints, named dims as symbols; `?`, empty and negative ones as symbols like `x[2]`.

    Raises LoadError past `MAX_RANK`.
    """
    for number, wire, start, stop in fields(buf, at, end):
        if wire != 2:
            continue
        if number in (1, 8):
            return _tensor_type(buf, start, stop, path, name)
        if number == 4:
            return Value(SEQUENCE, None, why=f"{name} is a sequence")
        if number == 9:
            for n, w, a, b in fields(buf, start, stop):
                if n == 1 and w == 2:
                    return type_of(buf, a, b, path, name)
    return Value(UNKNOWN, None, why=f"{name} is no tensor")


def _tensor_type(buf: bytes, at: int, end: int, path: str, name: str) -> Value:
    encoding, shape = UNKNOWN, None
    for number, wire, start, stop in fields(buf, at, end):
        if number == 1 and wire == 0:
            encoding = ENCODINGS.get(start, UNKNOWN)
        elif number == 2 and wire == 2:
            sizes = [span for span in fields(buf, start, stop) if span[0] == 1 and span[1] == 2]
            if len(sizes) > MAX_RANK:
                raise LoadError(f"{path}: {name!r} has rank {len(sizes):,}; {MAX_RANK} at most")
            shape = tuple(_dim(buf, a, b, f"{name}[{i}]") for i, (_, _, a, b) in enumerate(sizes))
    return Value(encoding, shape, why="" if shape is not None else f"the file states no rank for {name}")


def _dim(buf: bytes, at: int, end: int, anonymous: str) -> dims.Dim:
    label = ""
    for number, wire, start, stop in fields(buf, at, end):
        if number == 1 and wire == 0:
            size = signed(start)
            if size >= 0:
                return size
        elif number == 2 and wire == 2:
            label = text(buf, start, stop)
    return dims.symbol(_name(anonymous if label in ("", "?") else label))


def _name(label: str) -> str:
    """The name of a symbol. Shapes and formulas repeat it over and over: a very long one is cut, equal ones alike."""
    if len(label) <= MAX_NAME:
        return label
    from hashlib import sha256

    return f"{label[: MAX_NAME // 2]}...{sha256(label.encode(errors='surrogatepass')).hexdigest()[:16]}"
