"""Weights of a matrix product packed for com.microsoft operators: MatMulNBits (2, 4, 8 bits) and MatMulBnb4 (nf4).

MatMulNBits: B is [N, blocks, bytes of a block], a block being `block_size` neighbours along K of one column; codes are
unsigned, the first in the lowest bits. w = scale x (q - zero), with the middle code for zero where none is given.
MatMulBnb4: the columns one after another, cut in blocks without regard to columns; two codes a byte, the first on top.

https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MatMulNBits
https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/mlas/lib/q4_dq.cpp
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from effaudit.whatif.quantize.grid import NF4, PIECE, Error, decode, difference, encode, grid, ranges, scales
from effaudit.whatif.quantize.types import Rule, bits_of

if TYPE_CHECKING:
    import numpy as np

WIDTHS: Final = (2, 4, 8)
LEAST_BLOCK: Final = 16


class Packed(msgspec.Struct, frozen=True):
    """A packed matrix: bytes, scales, packed zero points (None: the middle), and what was lost."""

    data: np.ndarray
    scale: np.ndarray
    zero: np.ndarray | None
    error: Error


def blocks_of(inner: int, group: int) -> int:
    """Blocks along an axis, the last of which may be short."""
    return -(-inner // group)


def fits(group: int) -> bool:
    """True for a block size that the operators take: a power of two from 16 on."""
    return group >= LEAST_BLOCK and not group & (group - 1)


def pack(matrix: np.ndarray, rule: Rule) -> Packed:
    """A matrix of K rows and N columns, packed for MatMulNBits by a rule of blocks."""
    import numpy as np

    inner, width = matrix.shape
    bits, count = bits_of(rule.weights), blocks_of(inner, rule.group)
    data = np.empty((width, count, rule.group * bits // 8), np.uint8)
    scale = np.empty((width, count), matrix.dtype)
    zero = np.empty((width, blocks_of(count * bits, 8)), np.uint8)
    lost = Error()
    for at in _columns(inner, width):
        lines = np.zeros((matrix[:, at].shape[1], count * rule.group), np.float32)
        lines[:, :inner] = matrix[:, at].T
        rows = lines.reshape(-1, rule.group)
        codes, found, middle = _codes(rows, rule, matrix.dtype)
        codes.reshape(len(lines), -1)[:, inner:] = 0  # beyond the matrix
        back = ((codes.astype(np.float32) - middle[:, None]) * found[:, None]).reshape(len(lines), -1)
        lost += difference(lines[:, :inner], back[:, :inner])
        data[at] = bytes_of(codes, bits).reshape(len(lines), count, -1)
        scale[at] = found.reshape(len(lines), count)
        zero[at] = bytes_of(middle.astype(np.uint8).reshape(len(lines), count), bits, rest=1 << (bits - 1))
    return Packed(data, scale, None if rule.symmetric else zero, lost)


def _columns(inner: int, width: int) -> Iterator[slice]:
    step = max(1, PIECE // max(inner, 1))
    yield from (slice(at, at + step) for at in range(0, width, step))


def _codes(rows: np.ndarray, rule: Rule, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(codes, scale, zero point) of each row. The range decides as in onnxruntime's packer: where it is symmetric, the
    element farthest from zero gets the lowest code, so that its sign is the scale's, and halves are rounded away from
    zero; where it is clipped, as on any other grid."""
    import numpy as np

    bits = bits_of(rule.weights)
    most = (1 << bits) - 1
    if rule.clip != "minmax":
        return _clipped(rows, rule)
    low, high = np.minimum(rows.min(axis=1), 0), np.maximum(rows.max(axis=1), 0)
    if rule.symmetric:
        scale = np.where(np.abs(high) > np.abs(low), high, low) / np.float32(-(1 << (bits - 1)))
        middle = np.full(len(rows), 1 << (bits - 1), np.float32)
    else:
        scale = (high - low) / np.float32(most)
        middle = np.clip(_away(-low / np.where(scale == 0, 1, scale)), 0, most)
    scale = scale.astype(dtype).astype(np.float32)
    inverse = np.where(scale == 0, 0, 1 / np.where(scale == 0, 1, scale)).astype(np.float32)
    codes = np.clip(_away(rows * inverse[:, None] + middle[:, None]), 0, most)
    return codes.astype(np.uint8), scale, middle


def _clipped(rows: np.ndarray, rule: Rule) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    import numpy as np

    bits = bits_of(rule.weights)
    to = grid(f"{'' if rule.symmetric else 'u'}int{bits}", symmetric=rule.symmetric)
    low, high = ranges(rows, to, symmetric=rule.symmetric, clip=rule.clip, percentile=rule.percentile)
    scale, zero = scales(low, high, to, symmetric=rule.symmetric)
    shift = (1 << (bits - 1)) if rule.symmetric else 0
    codes = encode(rows, scale, zero, to).astype(np.int16) + shift
    return codes.astype(np.uint8), scale, (zero + shift).astype(np.float32)


def _away(x: np.ndarray) -> np.ndarray:
    """C's `roundf`: halves away from zero. All of these lie above -1/2 or are clipped."""
    import numpy as np

    found: np.ndarray = np.copysign(np.floor(np.abs(x) + np.float32(0.5)), x)
    return found


def bytes_of(codes: np.ndarray, bits: int, rest: int = 0) -> np.ndarray:
    """Rows of codes packed into bytes, the first in the lowest bits; what is left of a last byte is filled with `rest`,
    as onnxruntime does."""
    import numpy as np

    each = 8 // bits
    if each == 1:
        return codes
    padded = np.full((len(codes), blocks_of(codes.shape[1], each) * each), rest, np.uint8)
    padded[:, : codes.shape[1]] = codes
    parts = padded.reshape(len(codes), -1, each) << (np.arange(each, dtype=np.uint8) * bits)
    found: np.ndarray = np.bitwise_or.reduce(parts, axis=2).astype(np.uint8)
    return found


def pack_nf4(matrix: np.ndarray, rule: Rule) -> Packed:
    """A matrix of K rows and N columns, packed for MatMulBnb4 with the code book of nf4."""
    import numpy as np

    flat = np.ascontiguousarray(matrix.T).reshape(-1)
    count = blocks_of(flat.size, rule.group)
    codes = np.full(-(-flat.size // 2) * 2, NF4.index(0.0), np.uint8)
    absmax = np.empty(count, matrix.dtype)
    to, lost = grid("nf4"), Error()
    step = max(1, PIECE // rule.group)
    for block in range(0, count, step):
        part = flat[block * rule.group : (block + step) * rule.group].astype(np.float32)
        rows = np.zeros((blocks_of(part.size, rule.group), rule.group), np.float32)
        rows.reshape(-1)[: part.size] = part
        low, high = ranges(rows, to, symmetric=True, clip=rule.clip, percentile=rule.percentile)
        scale, zero = scales(low, high, to, symmetric=True)
        found = encode(rows, scale, zero, to)
        lost += difference(part, decode(found, scale, zero, to).reshape(-1)[: part.size])
        absmax[block : block + len(rows)] = np.where((low == 0) & (high == 0), 0, scale)
        codes[block * rule.group :][: part.size] = found.reshape(-1)[: part.size]
    data = codes[0::2] << 4 | codes[1::2]
    return Packed(data.astype(np.uint8), absmax, None, lost)
