"""The elements of small constants, which shapes may depend on. Weights are never decoded here."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from typing import Final

from effaudit.graph import Constant, Data, Encoding, Lazy, Payload, Value

MAX_ELEMENTS: Final = 1024  # the largest tensor whose values are followed
RAW_FIELD: Final = 9  # TensorProto.raw_data
FORMATS: Final = {
    "float32": "f",
    "float64": "d",
    "int8": "b",
    "uint8": "B",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "bool": "?",
    "float16": "e",
}


def value_of(constant: Constant) -> Value:
    """A constant as the operators' shape rules see it."""
    return Value(constant.encoding, constant.shape, content(constant))


def content(constant: Constant) -> Data | Lazy | None:
    """The elements of a constant small enough to matter to shapes, decoded when first asked for."""
    if constant.numel > MAX_ELEMENTS:
        return None
    if constant.strings is not None:
        return constant.strings
    raw, payload, read = constant.raw, constant.payload, constant.read
    if read is not None:
        known = constant.encoding.dtype in FORMATS or constant.encoding.dtype == "bfloat16"
        return Lazy(lambda: tuple(read().ravel().tolist())) if known else None
    if raw is not None:
        return Lazy(lambda: decode(raw, constant.encoding, constant.numel))
    if payload is not None and payload.field == RAW_FIELD and payload.length <= MAX_ELEMENTS * 8:
        return Lazy(lambda: _read(payload, constant.encoding, constant.numel))
    return None


def _read(payload: Payload, encoding: Encoding, total: int) -> Data | None:
    try:
        with open(payload.path, "rb") as file:
            return decode(os.pread(file.fileno(), payload.length, payload.offset), encoding, total)
    except OSError:
        return None


def decode(raw: bytes, encoding: Encoding, total: int) -> Data | None:
    """Little-endian raw bytes as Python numbers, or None for formats that shapes never depend on."""
    if encoding.dtype == "bfloat16":
        return tuple(struct.unpack(f"<{total}f", b"".join(b"\0\0" + raw[i : i + 2] for i in range(0, 2 * total, 2))))
    code = FORMATS.get(encoding.dtype)
    if code is None or len(raw) != total * (encoding.bits // 8):
        return None
    return struct.unpack(f"<{total}{code}", raw)


def little_endian(values: Iterable[int], encoding: Encoding) -> bytes:
    """The raw bytes of a tensor whose elements came one number each, or one per packed byte."""
    width = max(encoding.bits, 8) // 8
    mask = (1 << 8 * width) - 1
    return b"".join((value & mask).to_bytes(width, "little") for value in values)
