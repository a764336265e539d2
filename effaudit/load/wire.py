"""Protobuf wire format: fields of a message in a byte string, https://protobuf.dev/programming-guides/encoding/

Decoding the skeleton ourselves costs as much per node as protobuf's C library plus the walk over its objects, and saves
its import (20 ms and 6 MB, more than auditing a ResNet-50).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator


class Malformed(Exception):
    """The bytes are no protobuf message."""


def varint(buf: bytes, at: int) -> tuple[int, int]:
    """(unsigned value, next offset)."""
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
    raise Malformed("a malformed number")


def signed(value: int) -> int:
    """An unsigned 64-bit varint as int64."""
    return value - (1 << 64) if value >> 63 else value


def skip(buf: bytes, at: int, wire: int) -> int:
    """The offset behind a field of this wire type that starts (after its tag) at `at`."""
    if wire == 0:
        return varint(buf, at)[1]
    if wire == 2:
        size, at = varint(buf, at)
        return at + size
    if wire in (1, 5):
        return at + (8 if wire == 1 else 4)
    raise Malformed(f"wire type {wire}")


def fields(buf: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """(field number, wire type, start, stop) of every field: the bytes of a length-delimited or fixed field, the varint
    itself as `start` of a number (with `stop` -1). Raises Malformed where the message does not end at `end`."""
    while at < end:
        tag = buf[at]
        if tag < 128:
            at += 1
        else:
            tag, at = varint(buf, at)
        wire = tag & 7
        if wire == 2:
            size = buf[at]
            if size < 128:
                at += 1
            else:
                size, at = varint(buf, at)
            yield tag >> 3, 2, at, at + size
            at += size
        elif wire == 0:
            value, at = varint(buf, at)
            yield tag >> 3, 0, value, -1
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            yield tag >> 3, wire, at, at + size
            at += size
        else:
            raise Malformed(f"wire type {wire}")
    if at != end:
        raise Malformed("a field runs past the end of its message")


def text(buf: bytes, start: int, stop: int) -> str:
    """A string field; invalid UTF-8 is spelled out as backslash escapes."""
    try:
        return buf[start:stop].decode()
    except UnicodeDecodeError:
        return buf[start:stop].decode("utf-8", "backslashreplace")


def integers(buf: bytes, wire: int, start: int, stop: int) -> list[int]:
    """The int64 values of one occurrence of a repeated field, packed or not."""
    return [signed(value) for value in unsigned(buf, wire, start, stop)]


def unsigned(buf: bytes, wire: int, start: int, stop: int) -> list[int]:
    """The uint64 values of one occurrence of a repeated field, packed or not."""
    if wire == 0:
        return [start]
    values = []
    while start < stop:
        value, start = varint(buf, start)
        values.append(value)
    if wire == 2 and start != stop:
        raise Malformed("a list of numbers runs past its end")
    return values


def floats(buf: bytes, wire: int, start: int, stop: int) -> tuple[float, ...]:
    """The float values of one occurrence of a repeated field, packed or not."""
    if wire == 0 or (stop - start) % 4:
        raise Malformed("a malformed list of floats")
    return struct.unpack(f"<{(stop - start) // 4}f", buf[start:stop])
