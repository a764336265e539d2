"""The stored bytes of a constant's elements, of every encoding: what `load.values` decodes, the other way round.

Storage of each type: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto; elements below a byte lie least
significant first: https://onnx.ai/onnx/technical/int4.html
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from math import isfinite, isnan
from typing import TYPE_CHECKING, Final

from effaudit.elements import RAW_FIELD
from effaudit.errors import LoadError, UsageError
from effaudit.graph import Constant, Encoding
from effaudit.load.minifloat import is_minifloat, numbers
from effaudit.load.values import blocks

if TYPE_CHECKING:
    import numpy as np

CHUNK: Final = 1 << 20


def stored(constant: Constant) -> Iterator[bytes]:
    """The stored bytes of a constant that is no string, in order; memory is bounded for what lies in a file.

    Raises LoadError where they cannot be had, are damaged, or are not as many as the shape needs.
    """
    done = 0
    for piece in _pieces(constant):
        done += len(piece)
        yield piece
    if done != constant.nbytes:
        raise LoadError(f"tensor {constant.name!r}: {done:,} bytes of data where its shape needs {constant.nbytes:,}")


def _pieces(constant: Constant) -> Iterator[bytes]:
    payload = constant.payload
    if constant.read is None and constant.raw is not None:
        yield constant.raw
    elif constant.read is None and payload is not None and payload.field == RAW_FIELD and payload.path:
        # as they are: decoded and encoded again, the payload of a NaN could change
        yield from file_bytes(payload.path, payload.offset, payload.length)
    else:
        for block in blocks(constant):
            yield encoded(block, constant.encoding, constant.name)


def file_bytes(path: str, at: int, length: int) -> Iterator[bytes]:
    """`length` bytes of a file from `at`. Raises LoadError where they are not there."""
    try:
        with open(path, "rb", buffering=0) as file:
            end = at + length
            while at < end:
                piece = os.pread(file.fileno(), min(CHUNK, end - at), at)
                if not piece:
                    raise LoadError(f"{path}: changed while it was read; try again")
                at += len(piece)
                yield piece
    except OSError as error:
        raise LoadError(f"{path}: cannot be read: {error.strerror or error}") from None


def encoded(flat: np.ndarray, encoding: Encoding, name: str) -> bytes:
    """The bytes of a flat array of elements, typed as `load.values.values` gives them. A number between two of a
    format becomes the nearest one, ties to the even code; beyond the largest, the largest.

    Raises UsageError for a NaN where the format has none.
    """
    import numpy as np

    dtype = encoding.dtype
    if is_minifloat(dtype):
        codes = _codes(flat.astype(np.float32, copy=False), dtype, name)
        return codes.tobytes() if encoding.bits == 8 else _packed(codes, encoding.bits)
    if encoding.bits < 8:
        return _packed(flat.astype(np.int64).astype(np.uint8) & np.uint8((1 << encoding.bits) - 1), encoding.bits)
    if dtype == "bfloat16":
        return _bfloat16(flat.astype(np.float32, copy=False)).astype("<u2").tobytes()
    if dtype == "bool":
        return flat.astype(np.bool_).tobytes()
    return flat.astype(np.dtype(dtype).newbyteorder("<"), copy=False).tobytes()


def _packed(codes: np.ndarray, bits: int) -> bytes:
    import numpy as np

    per_byte = 8 // bits
    padded = np.zeros(-(-codes.size // per_byte) * per_byte, np.uint8)
    padded[: codes.size] = codes
    shifts = np.arange(per_byte, dtype=np.uint8) * np.uint8(bits)
    packed: np.ndarray = np.bitwise_or.reduce(padded.reshape(-1, per_byte) << shifts, axis=1)
    return packed.astype(np.uint8).tobytes()


def _bfloat16(flat: np.ndarray) -> np.ndarray:
    """The upper half of each float32, rounded to the nearest, ties to even; a NaN stays one."""
    import numpy as np

    bits = flat.view(np.uint32)
    rounded = (bits + (np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))) >> np.uint32(16)
    found: np.ndarray = np.where(np.isnan(flat), (bits >> np.uint32(16)) | np.uint32(0x40), rounded).astype(np.uint16)
    return found


def _codes(flat: np.ndarray, dtype: str, name: str) -> np.ndarray:
    """The code of the nearest number of a small float format."""
    import numpy as np

    table = numbers(dtype)
    signed = bool((table[np.isfinite(table)] < 0).any())
    positive = table[: len(table) // 2] if signed else table
    finite = positive[: next((i for i, x in enumerate(positive.tolist()) if not isfinite(x)), len(positive))]
    wide = finite.astype(np.float64)
    middles = (wide[1:] + wide[:-1]) / 2
    size = np.abs(flat).astype(np.float64) if signed else flat.astype(np.float64)
    lower, upper = np.searchsorted(middles, size, "left"), np.searchsorted(middles, size, "right")
    codes = np.where(lower % 2 == 0, lower, upper)  # they differ only half-way between two
    infinite = [i for i, x in enumerate(positive.tolist()) if x == np.inf]
    if infinite:
        codes = np.where(np.isinf(size), infinite[0], codes)
    if signed:
        minus = np.signbit(flat) & ((codes > 0) | (not dtype.endswith("fnuz")))  # fnuz has no minus zero
        codes = np.where(minus, codes + len(table) // 2, codes)
    empty = np.isnan(flat)
    if empty.any():
        nans = [i for i, x in enumerate(table.tolist()) if isnan(x)]
        if not nans:
            raise UsageError(f"tensor {name!r}: a NaN, which {dtype} cannot hold")
        codes = np.where(empty, nans[0], codes)
    found: np.ndarray = codes.astype(np.uint8)
    return found
