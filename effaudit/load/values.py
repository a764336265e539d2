"""The elements of one constant as a numpy array, read when asked for: weights are never held together in memory.

An audit of structure never comes here.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from effaudit.elements import RAW_FIELD, little_endian
from effaudit.errors import LoadError
from effaudit.graph import STRING, Constant, Encoding, Payload
from effaudit.load.wire import unsigned

if TYPE_CHECKING:
    import numpy as np

_FLOAT_DATA, _DOUBLE_DATA = 4, 10


def values(constant: Constant) -> np.ndarray:
    """The elements of a constant, in its shape.

    Formats numpy has no type for come as their nearest one: bfloat16 as float32, packed 2- and 4-bit integers one per
    element as int8 or uint8, 8-bit floats as their uint8 codes. Raises LoadError where the bytes cannot be had.
    """
    import numpy as np

    if constant.encoding is STRING:
        return np.array(constant.strings or (), dtype=object).reshape(constant.shape)
    raw = constant.raw if constant.raw is not None else _read(constant)
    return _decode(np.frombuffer(raw, np.uint8), constant.encoding, constant.numel).reshape(constant.shape)


def _read(constant: Constant) -> bytes:
    payload = constant.payload
    if payload is None or constant.missing:
        raise LoadError(f"tensor {constant.name!r}: its values cannot be read: {constant.missing or 'no data'}")
    try:
        with open(payload.path, "rb") as file:
            raw = os.pread(file.fileno(), payload.length, payload.offset)
    except OSError as error:
        raise LoadError(f"{payload.path}: cannot be read: {error.strerror}") from None
    if len(raw) < payload.length:
        raise LoadError(
            f"{payload.path}: ends at byte {payload.offset + len(raw):,}; tensor {constant.name!r} needs more"
        )
    return raw if payload.field == RAW_FIELD else _packed(raw, payload, constant.encoding)


def _packed(raw: bytes, payload: Payload, encoding: Encoding) -> bytes:
    """The little-endian bytes of a large tensor that the file keeps in a typed data field."""
    if payload.field in (_FLOAT_DATA, _DOUBLE_DATA):
        return raw
    return little_endian(unsigned(raw, 2, 0, len(raw)), encoding)


def _decode(raw: np.ndarray, encoding: Encoding, total: int) -> np.ndarray:
    import numpy as np

    name = encoding.dtype
    if encoding.bits < 8:
        return _unpack(raw, encoding, total)
    if name == "bfloat16":
        return (raw.view("<u2").astype(np.uint32) << 16).view(np.float32)
    if name.startswith("float8"):
        return raw
    return raw.view(np.dtype(name).newbyteorder("<"))


def _unpack(raw: np.ndarray, encoding: Encoding, total: int) -> np.ndarray:
    """Elements below a byte, least significant first, https://onnx.ai/onnx/technical/int4.html"""
    import numpy as np

    per_byte, mask = 8 // encoding.bits, (1 << encoding.bits) - 1
    shifts = np.arange(per_byte, dtype=np.uint8) * encoding.bits
    flat = ((raw[:, None] >> shifts) & mask).reshape(-1)[:total]
    if not encoding.dtype.startswith("int"):
        return flat
    signed = flat.astype(np.int8)
    return np.where(signed > mask >> 1, signed - (mask + 1), signed).astype(np.int8)
