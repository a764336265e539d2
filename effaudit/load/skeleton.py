"""The skeleton of an ONNX file: the same protobuf message with the payload of large tensors left out.

The wire format is walked field by field (https://protobuf.dev/programming-guides/encoding/); only messages that may
hold a tensor are entered. A left-out payload is replaced by an `external_data` entry with the key `PAYLOAD` and the
value "FIELD:OFFSET:LENGTH", so that a tensor inside the file and one beside it are read the same way.
Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Final

from effaudit.elements import MAX_ELEMENTS, RAW_FIELD
from effaudit.errors import LimitError, LoadError
from effaudit.load.feed import Feed, take
from effaudit.load.wire import Malformed, fields, integers

PAYLOAD: Final = "effaudit.payload"
INLINE_BYTES: Final = 2048  # messages up to this many bytes stay whole: small tensors may be shapes, axes, scales
STREAM_INLINE_BYTES: Final = 8 * MAX_ELEMENTS  # raw data kept where it cannot be read again: a pipe, a server
MAX_PIECES: Final = 16
MAX_SKELETON: Final = 64 * 1024 * 1024
MAX_MESSAGES_DEEP: Final = 99  # protobuf's own limit is 100

Spec = Mapping[int, "Spec | None"]

# field number -> the message type it holds; a tensor's data fields map to None
_TENSOR: Final[dict[int, Spec | None]] = {4: None, 5: None, 6: None, 7: None, 9: None, 10: None, 11: None}
_SPARSE: Final[dict[int, Spec | None]] = {1: _TENSOR, 2: _TENSOR}
_ATTRIBUTE: Final[dict[int, Spec | None]] = {5: _TENSOR, 10: _TENSOR, 22: _SPARSE, 23: _SPARSE}
_NODE: Final[dict[int, Spec | None]] = {5: _ATTRIBUTE}
_GRAPH: Final[dict[int, Spec | None]] = {1: _NODE, 5: _TENSOR, 15: _SPARSE}
_ATTRIBUTE[6] = _ATTRIBUTE[11] = _GRAPH
_FUNCTION: Final[dict[int, Spec | None]] = {7: _NODE, 11: _ATTRIBUTE}
_MODEL: Final[dict[int, Spec | None]] = {7: _GRAPH, 25: _FUNCTION}


class _Walk:
    """One pass over a file; `pieces` are the bytes kept, in order."""

    def __init__(self, feed: Feed, path: str) -> None:
        self.feed = feed
        self.path = path
        self.kept = 0

    def message(self, pos: int, end: int | None, spec: Spec, depth: int) -> list[bytes]:
        """The kept bytes of the message at pos..end (`end` None: up to the end of the stream)."""
        if depth > MAX_MESSAGES_DEEP:
            raise LimitError(
                f"{self.path}: byte {pos:,}: graphs nested too deeply ({MAX_MESSAGES_DEEP} messages at most)"
            )
        feed = self.feed
        pieces: list[bytes] = []
        buf, base = feed.buf, feed.base
        run = pos  # start of the bytes that are kept as they are
        while end is None or pos < end:
            at = pos - base
            if at + 20 > len(buf) or at < 0:
                self._keep(pieces, run, pos)
                feed.fill(pos, 20)
                buf, base, run, at = feed.buf, feed.base, pos, 0
                if end is None and not buf:
                    break
            start = pos
            tag, at = self._varint(buf, at, start)
            wire, field = tag & 7, tag >> 3
            if wire == 2:
                length, at = self._varint(buf, at, start)
                pos = base + at + length
            elif wire == 0:
                _, at = self._varint(buf, at, start)
                pos = base + at
            elif wire == 5:
                pos = base + at + 4
            elif wire == 1:
                pos = base + at + 8
            else:
                raise LoadError(
                    f"{self.path}: byte {start:,}: not an ONNX model (wire type {wire}); is this an ONNX file?"
                )
            if field == 0 or (end is not None and pos > end) or (feed.size is not None and pos > feed.size):
                raise self._bad(start, field, pos, end)
            if wire != 2 or length <= INLINE_BYTES:
                if pos - base > len(buf):
                    self._need(run, start, pos, pieces)
                    buf, base = feed.buf, feed.base
                    run = start
                continue
            self._keep(pieces, run, start)
            self._large(pieces, field, base + at, length, spec.get(field, False), depth)
            buf, base = feed.buf, feed.base
            run = pos
        self._keep(pieces, run, pos)
        return pieces

    def _large(
        self, pieces: list[bytes], field: int, begin: int, length: int, inner: Spec | bool | None, depth: int
    ) -> None:
        """A length-delimited field longer than stays inline: entered, left out, or copied whole."""
        if inner is None and field == RAW_FIELD and not self.feed.rereadable and _followed(pieces, length):
            inner = False
        if inner is None:
            note = f"{field}:{begin}:{length}".encode()
            entry = b"\n" + bytes([len(PAYLOAD)]) + PAYLOAD.encode() + b"\x12" + bytes([len(note)]) + note
            piece = b"j" + _encode(len(entry)) + entry
            if self.feed.size is None:
                self.feed.fill(begin + length, 0)
        elif inner is False or inner is True:
            self._count(length)
            piece = _encode(field << 3 | 2) + _encode(length) + take(self.feed, begin, length, self.path)
        else:
            body = b"".join(self.message(begin, begin + length, inner, depth + 1))
            self.kept -= len(body)
            piece = _encode(field << 3 | 2) + _encode(len(body)) + body
        self._count(len(piece) if inner is None or not isinstance(inner, bool) else 0)
        pieces.append(piece)

    def _need(self, run: int, start: int, pos: int, pieces: list[bytes]) -> None:
        """A small field straddles the window: keep what precedes it and load it whole."""
        self._keep(pieces, run, start)
        self.feed.fill(start, pos - start)
        if pos - self.feed.base > len(self.feed.buf):
            raise LoadError(f"{self.path}: truncated: the field at byte {start:,} runs to byte {pos:,}, past the end")

    def _keep(self, pieces: list[bytes], run: int, pos: int) -> None:
        if pos > run:
            start = run - self.feed.base
            pieces.append(self.feed.buf[start : start + pos - run])
            self._count(pos - run)

    def _count(self, n: int) -> None:
        self.kept += n
        if self.kept > MAX_SKELETON:
            raise LimitError(
                f"{self.path}: more than {MAX_SKELETON >> 20} MiB of graph structure (without weights); refused"
            )

    def _varint(self, buf: bytes, at: int, pos: int) -> tuple[int, int]:
        try:
            byte = buf[at]
            if byte < 128:
                return byte, at + 1
            value, shift = byte & 127, 7
            for i in range(at + 1, at + 10):
                byte = buf[i]
                value |= (byte & 127) << shift
                if byte < 128:
                    return value & 0xFFFFFFFFFFFFFFFF, i + 1
                shift += 7
        except IndexError:
            raise LoadError(f"{self.path}: truncated: the file ends inside the field at byte {pos:,}") from None
        raise LoadError(f"{self.path}: byte {pos:,}: not an ONNX model (malformed number); is this an ONNX file?")

    def _bad(self, start: int, field: int, pos: int, end: int | None) -> LoadError:
        if field == 0:
            return LoadError(f"{self.path}: byte {start:,}: not an ONNX model (field number 0); is this an ONNX file?")
        if self.feed.size is not None and pos > self.feed.size:
            return LoadError(
                f"{self.path}: truncated or not an ONNX model: the field at byte {start:,} runs to byte {pos:,}, "
                f"the file ends at {self.feed.size:,}"
            )
        return LoadError(f"{self.path}: byte {start:,}: a field runs past the end of its message (byte {end:,})")


def _encode(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _followed(header: list[bytes], length: int) -> bool:
    """Whether the values of a tensor may be asked for later, as far as its fields before the data tell: on disk they
    would be read then, from a pipe or a server they must be kept now."""
    if length > STREAM_INLINE_BYTES:
        return False
    if len(header) > MAX_PIECES or sum(map(len, header)) > INLINE_BYTES:
        return True  # no header that a writer makes: not worth the time to read it
    buf = b"".join(header)
    try:
        dims = [d for n, wire, a, b in fields(buf, 0, len(buf)) if n == 1 for d in integers(buf, wire, a, b)]
    except (Malformed, IndexError):
        return True
    return prod(dims) <= MAX_ELEMENTS


def read_skeleton(feed: Feed, path: str) -> bytes:
    """The ModelProto bytes of the file without the payload of large tensors.

    Raises LoadError where the bytes are no protobuf message, LimitError past `MAX_SKELETON` or `MAX_MESSAGES_DEEP`.
    """
    return b"".join(_Walk(feed, path).message(0, feed.size, _MODEL, 1))
