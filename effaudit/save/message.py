"""Protobuf messages whose lengths are known before their bytes are: weights are streamed into them, never held.

Wire format: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final, TypeAlias

import msgspec

from effaudit.graph import Constant

VARINT, LENGTH, FIXED32 = 0, 2, 5
_WORD: Final = (1 << 64) - 1


class Span(msgspec.Struct, frozen=True, gc=False):
    """The bytes [start, stop) of the file that the graph was read from."""

    start: int
    stop: int


class Elements(msgspec.Struct, frozen=True, gc=False):
    """The elements of a constant as they are stored: `constant.nbytes` little-endian bytes."""

    constant: Constant


Piece: TypeAlias = bytes | Span | Elements


def length_of(piece: Piece) -> int:
    """Bytes of a piece."""
    if type(piece) is Span:
        return piece.stop - piece.start
    return piece.constant.nbytes if type(piece) is Elements else len(piece)  # type: ignore[arg-type]


class Message:
    """A message under construction: its pieces in order, and their bytes together."""

    __slots__ = ("pieces", "length")

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.length = 0

    def copy(self, *spans: Span) -> None:
        """Whole fields as they stand in the file, tags and lengths included."""
        for span in spans:
            last = self.pieces[-1] if self.pieces else None
            if type(last) is Span and last.stop == span.start:
                self.pieces[-1] = Span(last.start, span.stop)
            else:
                self.pieces.append(span)
            self.length += span.stop - span.start

    def number(self, field: int, value: int) -> None:
        """An integer or enum; a negative one as 64 bits of two's complement."""
        self._bytes(varint(field << 3 | VARINT) + varint(value & _WORD))

    def real(self, field: int, value: float) -> None:
        """A float of 32 bits."""
        self._bytes(varint(field << 3 | FIXED32) + struct.pack("<f", value))

    def text(self, field: int, value: str | bytes) -> None:
        self.content(field, value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass"))

    def content(self, field: int, piece: Piece) -> None:
        """A length-delimited field of one piece."""
        size = length_of(piece)
        self._bytes(varint(field << 3 | LENGTH) + varint(size))
        self._piece(piece, size)

    def message(self, field: int, inner: Message) -> None:
        self._bytes(varint(field << 3 | LENGTH) + varint(inner.length))
        for piece in inner.pieces:
            self._piece(piece, length_of(piece))

    def numbers(self, field: int, values: Iterable[int]) -> None:
        """A repeated integer, packed."""
        self.content(field, b"".join(varint(value & _WORD) for value in values))

    def _bytes(self, more: bytes) -> None:
        self._piece(more, len(more))

    def _piece(self, piece: Piece, size: int) -> None:
        last = self.pieces[-1] if self.pieces else None
        if type(piece) is bytes and type(last) is bytes and len(last) + size < 4096:
            self.pieces[-1] = last + piece
        elif size:
            self.pieces.append(piece)
        self.length += size


def varint(value: int) -> bytes:
    """An unsigned number."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
