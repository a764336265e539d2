"""TensorProto -> Constant: the header now, the elements only when something asks for values.

Field numbers and the storage of each type: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
External data: https://onnx.ai/onnx/repo-docs/ExternalData.html
"""

from __future__ import annotations

from typing import Final

import msgspec

from effaudit.elements import MAX_ELEMENTS, RAW_FIELD, little_endian
from effaudit.errors import LoadError
from effaudit.graph import ENCODINGS, STRING, Constant, Encoding, Payload
from effaudit.load.external import locate
from effaudit.load.skeleton import PAYLOAD
from effaudit.load.wire import Malformed, fields, integers, signed, skip, text, unsigned, varint

EXTERNAL: Final = 1  # TensorProto.DataLocation
MAX_RANK: Final = 64
MAX_STORED: Final = 2**63 - 1  # elements of a stored tensor
# element type -> the data field its values are stored in; the others are in int32_data
_TYPED: Final = {"float32": 4, "complex64": 4, "float64": 10, "complex128": 10, "int64": 7, "uint32": 11, "uint64": 11}
_INT32_DATA: Final = 5
_DATA_TAGS: Final = frozenset((34, 42, 58, 82, 90))  # fields 4, 5, 7, 10, 11, packed
_NUMBER_TAGS: Final = frozenset((40, 56, 88))  # fields 5, 7, 11, one by one


class Home(msgspec.Struct, frozen=True):
    """The file a tensor was met in: its name for messages, the folder external data is confined to, its path on disk.
    `unread` says why no payload left in the file can be read later ("" where it can), `files` remembers the external
    files already looked up."""

    path: str
    folder: str | None
    real: str = ""
    unread: str = ""
    files: dict[str, tuple[str, int] | str] = {}


class _Parsed:
    """The fields of one TensorProto."""

    __slots__ = ("shape", "code", "location", "name", "raw", "typed", "strings", "external")

    def __init__(self, buf: bytes, at: int, end: int) -> None:
        self.shape: list[int] = []
        self.code = self.location = 0
        self.name = ""
        self.raw: bytes | None = None
        self.typed: list[tuple[int, int, int, int]] = []
        self.strings: list[str] = []
        self.external: dict[str, str] = {}
        while at < end:  # `fields` written out: a model has more tensors than nodes
            tag = buf[at]
            at += 1
            if tag >= 128:
                tag, at = varint(buf, at - 1)
            wire = tag & 7
            if wire == 2:
                size = buf[at]
                at += 1
                if size >= 128:
                    size, at = varint(buf, at - 1)
                self._bytes(buf, tag, at, at + size)
                at += size
            elif wire == 0:
                value = buf[at]
                at += 1
                if value >= 128:
                    value, at = varint(buf, at - 1)
                self._number(tag, value)
            elif tag in (37, 81):  # fields 4 and 10, one by one
                self.typed.append((tag >> 3, wire, at, at + (4 if wire == 5 else 8)))
                at = self.typed[-1][3]
            else:
                at = skip(buf, at, wire)
        if at != end:
            raise Malformed("a tensor runs past its end")

    def _bytes(self, buf: bytes, tag: int, start: int, stop: int) -> None:
        if tag == 66:
            self.name = text(buf, start, stop)
        elif tag == 74:
            self.raw = buf[start:stop]
        elif tag == 106:
            _entry(buf, start, stop, self.external)
        elif tag == 10:
            self.shape.extend(integers(buf, 2, start, stop))
        elif tag in _DATA_TAGS:
            self.typed.append((tag >> 3, 2, start, stop))
        elif tag == 50 and len(self.strings) <= MAX_ELEMENTS:
            self.strings.append(text(buf, start, stop))

    def _number(self, tag: int, value: int) -> None:
        if tag == 8:
            self.shape.append(signed(value))
        elif tag == 16:
            self.code = value
        elif tag == 112:
            self.location = value
        elif tag in _NUMBER_TAGS:
            self.typed.append((tag >> 3, 0, value, -1))


def constant(buf: bytes, at: int, end: int, home: Home, name: str | None, place: str) -> Constant:
    """The `Constant` of the TensorProto in buf[at:end]; `name` overrides its own.

    Raises LoadError where the header is impossible: an unknown data type, a negative dim, or data inside the file whose
    size disagrees with the shape.
    """
    found = _Parsed(buf, at, end)
    label = found.name if name is None else name
    where = f"{home.path}: tensor {label!r}"
    encoding, total, nbytes = _header(where, found.shape, found.code)
    payload, missing, file, raw = None, "", "inline", None
    if PAYLOAD in found.external:
        payload = _payload(found.external[PAYLOAD], home)
        _check(where, encoding, total, nbytes, payload)
        if home.unread:
            payload, missing = None, home.unread
    elif found.location == EXTERNAL:
        file = found.external.get("location", "")
        payload, missing = locate(found.external, home.folder, home.files, where, nbytes, home.unread)
    elif encoding is not STRING:
        raw = found.raw
        if raw is None:
            raw = _packed(buf, found.typed, encoding, total, nbytes, where)
        elif len(raw) != nbytes:
            raise _mismatch(where, len(raw), encoding, total, nbytes)
        missing = "" if raw is not None else "the file holds no data for it"
    texts = tuple(found.strings) if encoding is STRING else None
    return Constant(label, encoding, tuple(found.shape), place, total, nbytes, file, missing, raw, texts, payload)


def sparse(buf: bytes, at: int, end: int, home: Home, name: str | None) -> Constant:
    """A SparseTensorProto: its dense shape, and the stored values' bytes."""
    values, shape = None, []
    for number, wire, start, stop in fields(buf, at, end):
        if number == 1 and wire == 2:
            values = constant(buf, start, stop, home, name, "sparse")
        elif number == 3:
            shape.extend(integers(buf, wire, start, stop))
    if values is None:
        raise LoadError(f"{home.path}: sparse tensor {name or ''!r} has no values")
    if len(shape) > MAX_RANK or any(d < 0 for d in shape):
        raise LoadError(f"{home.path}: sparse tensor {values.name!r}: impossible shape {shape[:8]}")
    return msgspec.structs.replace(values, shape=tuple(shape), raw=None, payload=None, missing="a sparse tensor")


def _header(where: str, shape: list[int], code: int) -> tuple[Encoding, int, int]:
    """(encoding, elements, bytes)."""
    encoding = ENCODINGS.get(code)
    if encoding is None:
        raise LoadError(f"{where}: data type {code} is unknown; known are 1..{max(ENCODINGS)}")
    if len(shape) > MAX_RANK:
        raise LoadError(f"{where}: rank {len(shape):,}; {MAX_RANK} at most")
    total = 1
    for dim in shape:
        if dim < 0:
            raise LoadError(f"{where}: dim {dim} in shape {shape[:8]}; a stored tensor has dims of 0 or more")
        total *= dim
    if total > MAX_STORED:
        raise LoadError(f"{where}: shape {shape[:8]} has more elements than any file can hold")
    nbytes = encoding.nbytes(total)
    assert isinstance(nbytes, int)  # as `total` is
    return encoding, total, nbytes


def _entry(buf: bytes, at: int, end: int, into: dict[str, str]) -> None:
    """A StringStringEntryProto."""
    key = value = ""
    for number, wire, start, stop in fields(buf, at, end):
        if wire == 2 and number == 1:
            key = text(buf, start, stop)
        elif wire == 2 and number == 2:
            value = text(buf, start, stop)
    into[key] = value


def _payload(note: str, home: Home) -> Payload:
    try:
        number, offset, length = (int(part) for part in note.split(":"))
    except ValueError:
        raise LoadError(f"{home.path}: an external_data entry named {PAYLOAD!r}; that name is taken") from None
    return Payload(home.real, offset, length, number)


def _check(where: str, encoding: Encoding, total: int, nbytes: int, payload: Payload) -> None:
    if payload.field == RAW_FIELD and encoding is not STRING and payload.length != nbytes:
        raise _mismatch(where, payload.length, encoding, total, nbytes)


def _mismatch(where: str, found: int, encoding: Encoding, total: int, nbytes: int) -> LoadError:
    return LoadError(
        f"{where}: {found:,} bytes of data where its shape ({total:,} x {encoding.dtype}) needs {nbytes:,}; "
        "the file is damaged"
    )


def _packed(
    buf: bytes, typed: list[tuple[int, int, int, int]], encoding: Encoding, total: int, nbytes: int, where: str
) -> bytes | None:
    """The little-endian bytes of a small tensor kept in a typed data field; None where the file holds no data."""
    number = _TYPED.get(encoding.dtype, _INT32_DATA)
    spans = [field for field in typed if field[0] == number]
    if not spans:
        return b"" if total == 0 else None
    if number in (4, 10):
        raw = b"".join(buf[start:stop] for _, _, start, stop in spans)
        if len(raw) != nbytes:
            raise _mismatch(where, len(raw), encoding, total, nbytes)
        return raw
    values = [v for _, wire, start, stop in spans for v in unsigned(buf, wire, start, stop)]
    counts = (total, nbytes) if encoding.bits < 8 else (total,)
    if len(values) not in counts:
        raise LoadError(f"{where}: {len(values):,} values where its shape needs {total:,}; the file is damaged")
    return little_endian(values, encoding)
