"""The elements of one constant as numpy arrays, read when asked for: weights are never held together in memory.

An audit of structure never comes here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from effaudit.elements import RAW_FIELD
from effaudit.errors import LoadError
from effaudit.graph import STRING, Constant, Encoding, Payload
from effaudit.load.minifloat import is_minifloat, numbers

if TYPE_CHECKING:
    import numpy as np

BLOCK: Final = 1 << 18  # elements read at a time: what is made of them stays in a processor's cache
_FLOAT_DATA, _DOUBLE_DATA = 4, 10
_VARINT_BYTES: Final = 10  # the longest varint
_DAMAGED: Final = "the file is damaged; export or download it again"


def values(constant: Constant) -> np.ndarray:
    """The elements of a constant, in its shape.

    Formats numpy has no type for come as their nearest one: bfloat16 and floats of 8 and 4 bits as float32, packed
    integers of 2 and 4 bits one per element as int8 or uint8. Raises LoadError where the bytes cannot be had or are not
    as many as the shape needs.
    """
    import numpy as np

    if constant.encoding is STRING:
        return np.array(constant.strings or (), dtype=object).reshape(constant.shape)
    if constant.read is not None:
        made: np.ndarray = constant.read()
        return made.reshape(constant.shape)
    parts = list(blocks(constant))
    empty = _decode(np.empty(0, np.uint8), constant.encoding, 0)
    return np.concatenate(parts or [empty]).reshape(constant.shape)


def blocks(constant: Constant, most: int = BLOCK) -> Iterator[np.ndarray]:
    """The elements of a constant as flat arrays, in order, types as in `values`; at most `most` elements in each, which
    must be a multiple of 8.

    Memory is bounded by `most`, whatever the size of the tensor. Raises LoadError, possibly after some blocks, where
    the bytes cannot be had, are not as many as the shape needs, or are strings.
    """
    if constant.encoding is STRING:
        raise LoadError(f"tensor {constant.name!r}: it holds strings, which have no numbers to read")
    if constant.read is not None:
        flat = values(constant).ravel()
        yield from (flat[at : at + most] for at in range(0, flat.size, most))
        return
    encoding, left = constant.encoding, constant.numel
    for raw in _stored(constant, most):
        count = min(left, _elements(raw.size, encoding))
        left -= count
        yield _decode(raw, encoding, count)


def _elements(nbytes: int, encoding: Encoding) -> int:
    """Elements that this many bytes hold."""
    return nbytes * 8 // encoding.bits


def _stored(constant: Constant, most: int) -> Iterator[np.ndarray]:
    """The little-endian bytes of a constant in order, whole elements of them at a time."""
    import numpy as np

    whole = max(most * constant.encoding.bits // 8, constant.encoding.bits // 8, 1)
    if constant.raw is not None:
        _expect(len(constant.raw), constant.nbytes, "bytes", f"tensor {constant.name!r}")
        raw = np.frombuffer(constant.raw, np.uint8)
        for at in range(0, raw.size, whole):
            yield raw[at : at + whole]
        return
    payload = constant.payload
    if payload is None or constant.missing:
        raise LoadError(f"tensor {constant.name!r}: its values cannot be read: {constant.missing or 'no data'}")
    where = f"{payload.path}: tensor {constant.name!r}"
    if payload.field in (RAW_FIELD, _FLOAT_DATA, _DOUBLE_DATA):
        _expect(payload.length, constant.nbytes, "bytes", where)
        yield from _chunks(payload, whole, where)
        return
    # numbers of up to 10 bytes, one each, or one per byte of packed elements
    total = constant.numel if constant.encoding.bits >= 8 else constant.nbytes
    width = max(constant.encoding.bits, 8) // 8
    if width > 8 or not total <= payload.length <= total * _VARINT_BYTES:
        raise LoadError(f"{where}: {payload.length:,} bytes cannot hold the {total:,} values of its shape; {_DAMAGED}")
    found = 0
    for part in _varints(_chunks(payload, whole // width, where), where):
        found += part.size
        if found > total:
            break
        yield part.astype(f"<u{width}").view(np.uint8)
    if found != total:
        more = "more than " if found > total else ""
        raise LoadError(f"{where}: {more}{min(found, total):,} values where its shape needs {total:,}; {_DAMAGED}")


def _expect(found: int, needed: int, unit: str, where: str) -> None:
    if found != needed:
        raise LoadError(f"{where}: {found:,} {unit} of data where its shape needs {needed:,}; {_DAMAGED}")


@contextmanager
def _opened(payload: Payload, where: str) -> Iterator[int]:
    """A descriptor of the file of a payload; it never waits for a pipe that took the file's place."""
    if not payload.path:
        raise LoadError(f"{where.removeprefix(': ')}: a stream cannot be read twice; give the model as a file")
    try:
        fd = os.open(payload.path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError) as error:
        raise LoadError(f"{where}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        yield fd
    finally:
        os.close(fd)


def _chunks(payload: Payload, size: int, where: str) -> Iterator[np.ndarray]:
    """The bytes of a payload, `size` at a time."""
    import numpy as np

    with _opened(payload, where) as fd:
        at, end = payload.offset, payload.offset + payload.length
        while at < end:
            wanted = min(max(size, 1), end - at)
            try:
                raw = _pread(fd, wanted, at)
            except OSError as error:
                raise LoadError(f"{where}: cannot be read: {error.strerror}") from None
            if len(raw) < wanted:
                raise LoadError(f"{where}: the file ends at byte {at + len(raw):,}; it needs {end:,}; {_DAMAGED}")
            yield np.frombuffer(raw, np.uint8)
            at += wanted


def _pread(fd: int, wanted: int, at: int) -> bytes:
    """As `os.pread`, which may return less before the end of a file."""
    raw = os.pread(fd, wanted, at)
    while len(raw) < wanted and (more := os.pread(fd, wanted - len(raw), at + len(raw))):
        raw += more
    return raw


def _varints(chunks: Iterator[np.ndarray], where: str) -> Iterator[np.ndarray]:
    """The uint64 numbers of a packed repeated field, https://protobuf.dev/programming-guides/encoding/#varints"""
    import numpy as np

    rest = np.empty(0, np.uint8)  # the beginning of a number that the next chunk ends
    for chunk in chunks:
        raw = np.concatenate((rest, chunk))
        ends = np.flatnonzero(raw < 0x80)
        starts = np.concatenate(([0], ends[:-1] + 1)) if ends.size else ends
        sizes = ends - starts + 1
        rest = raw[ends[-1] + 1 :] if ends.size else raw
        if rest.size >= _VARINT_BYTES or (sizes.size and sizes.max() > _VARINT_BYTES):
            raise LoadError(f"{where}: a malformed number among its values; {_DAMAGED}")
        if not ends.size:
            continue
        found = np.zeros(ends.size, np.uint64)
        for place in range(int(sizes.max())):
            reaches = np.flatnonzero(sizes > place)
            bits = (raw[starts[reaches] + place] & 0x7F).astype(np.uint64)
            found[reaches] |= bits << np.uint64(7 * place)
        yield found
    if rest.size:
        raise LoadError(f"{where}: its values end inside a number; {_DAMAGED}")


def _decode(raw: np.ndarray, encoding: Encoding, count: int) -> np.ndarray:
    """`count` elements from their little-endian bytes."""
    import numpy as np

    name = encoding.dtype
    if encoding.bits < 8:
        codes = _unpack(raw, encoding, count)
        return _looked_up(name, codes) if is_minifloat(name) else codes
    if name == "bfloat16":
        return (raw.view("<u2").astype(np.uint32) << 16).view(np.float32)
    if is_minifloat(name):
        return _looked_up(name, raw)
    if name == "bool":
        return raw.astype(np.bool_)
    return raw.view(np.dtype(name).newbyteorder("<"))


def _looked_up(dtype: str, codes: np.ndarray) -> np.ndarray:
    found: np.ndarray = numbers(dtype)[codes]
    return found


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
