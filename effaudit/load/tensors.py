"""TensorProto -> Constant: the header now, the elements only when something asks for values."""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path
from typing import Any, Final

import msgspec

from effaudit.errors import LoadError
from effaudit.elements import FORMATS, MAX_ELEMENTS, RAW_FIELD
from effaudit.graph import ENCODINGS, STRING, Constant, Encoding, Payload
from effaudit.load.skeleton import PAYLOAD

EXTERNAL: Final = 1  # TensorProto.DataLocation
MAX_RANK: Final = 64
_STORED: Final = {"float16": "H", "bfloat16": "H", "complex64": "f", "complex128": "d"}
# data_type -> (typed field, values per element); the others are stored in int32_data
_TYPED: Final = {
    "float32": ("float_data", 1),
    "complex64": ("float_data", 2),
    "float64": ("double_data", 1),
    "complex128": ("double_data", 2),
    "int64": ("int64_data", 1),
    "uint32": ("uint64_data", 1),
    "uint64": ("uint64_data", 1),
    "string": ("string_data", 1),
}


class Home(msgspec.Struct, frozen=True):
    """The file a tensor was met in: its name for messages, the folder external data is confined to, its path on disk."""

    path: str
    folder: Path | None
    real: str = ""
    files: dict[str, tuple[str, int] | str] = {}


def constant(tensor: Any, home: Home, name: str, place: str) -> Constant:
    """The `Constant` of a TensorProto.

    Raises LoadError where the header is impossible: an unknown data type, a negative dim, or data inside the file whose
    size disagrees with the shape.
    """
    shape = tuple(tensor.dims)
    encoding = ENCODINGS.get(tensor.data_type)
    where = f"{home.path}: tensor {name!r}"
    if encoding is None:
        raise LoadError(f"{where}: data type {tensor.data_type} is unknown; known are 1..{max(ENCODINGS)}")
    if len(shape) > MAX_RANK:
        raise LoadError(f"{where}: rank {len(shape):,}; {MAX_RANK} at most")
    total = 1
    for dim in shape:
        if dim < 0:
            raise LoadError(f"{where}: dim {dim} in shape {list(shape)[:8]}; a stored tensor has dims of 0 or more")
        total *= dim
    nbytes = int(encoding.nbytes(total)) if encoding is not STRING else 0
    entries = {e.key: e.value for e in tensor.external_data}
    raw, strings, payload, missing, location = None, None, None, "", "inline"
    if PAYLOAD in entries:
        payload = _inline_payload(entries[PAYLOAD], home)
        _check_size(where, encoding, total, nbytes, payload)
    elif tensor.data_location == EXTERNAL:
        location = str(entries.get("location", ""))
        payload, missing = _external(entries, home, where, nbytes)
    elif encoding is STRING:
        strings = tuple(s.decode("utf-8", "replace") for s in tensor.string_data[:MAX_ELEMENTS])
    else:
        raw = _raw(tensor, where, encoding, total, nbytes)
        missing = "" if raw is not None else "the file holds no data for it"
    return Constant(name, encoding, shape, place, total, nbytes, location, missing, raw, strings, payload)


def _check_size(where: str, encoding: Encoding, total: int, nbytes: int, payload: Payload) -> None:
    if payload.field == RAW_FIELD and encoding is not STRING and payload.length != nbytes:
        raise LoadError(
            f"{where}: {payload.length:,} bytes of data where its shape ({total:,} x {encoding.dtype}) "
            f"needs {nbytes:,}; the file is damaged"
        )


def _inline_payload(note: str, home: Home) -> Payload:
    field, offset, length = (int(part) for part in note.split(":"))
    return Payload(home.real, offset, length, field)


def _raw(tensor: Any, where: str, encoding: Encoding, total: int, nbytes: int) -> bytes | None:
    """The little-endian bytes of a tensor that is wholly in the skeleton; None where the file holds no data for it."""
    if tensor.HasField("raw_data"):
        raw: bytes = tensor.raw_data
        if len(raw) != nbytes:
            raise LoadError(
                f"{where}: {len(raw):,} bytes of data where its shape ({total:,} x {encoding.dtype}) needs {nbytes:,}; "
                "the file is damaged"
            )
        return raw
    field, per_element = _TYPED.get(encoding.dtype, ("int32_data", 1))
    values = getattr(tensor, field)
    packed = encoding.bits < 8
    if len(values) not in ((total * per_element, nbytes) if packed else (total * per_element,)):
        if not len(values):
            return None
        raise LoadError(f"{where}: {len(values):,} values where its shape needs {total * per_element:,}; the file is damaged")
    code = "B" if packed or encoding.bits == 8 else _STORED.get(encoding.dtype, FORMATS.get(encoding.dtype, "H"))
    mask = (1 << 8 * struct.calcsize(code)) - 1
    if field == "int32_data" or field == "uint64_data":
        return struct.pack(f"<{len(values)}{code}", *(_wrap(v & mask, code) for v in values))
    return struct.pack(f"<{len(values)}{code}", *values)


def _wrap(value: int, code: str) -> int:
    bits = 8 * struct.calcsize(code)
    return value - (1 << bits) if code.islower() and value >> (bits - 1) else value


def _external(entries: dict[str, str], home: Home, where: str, nbytes: int) -> tuple[Payload | None, str]:
    """Where external data lies, or why it cannot be had.

    A path that leaves the model's folder is an error, as in the ONNX specification
    (https://onnx.ai/onnx/repo-docs/ExternalData.html): it is how a model would read files that are not its own.
    """
    location = entries.get("location", "")
    if not location:
        raise LoadError(f"{where}: external data without a location")
    try:
        offset, length = int(entries.get("offset", 0) or 0), int(entries.get("length", nbytes) or nbytes)
    except ValueError:
        raise LoadError(f"{where}: external data offset and length must be whole numbers") from None
    if offset < 0 or length < 0:
        raise LoadError(f"{where}: external data at offset {offset}, length {length}; both must be 0 or more")
    if length != nbytes:
        raise LoadError(f"{where}: {length:,} bytes of external data where its shape needs {nbytes:,}")
    if "\0" in location or os.path.isabs(location) or ".." in Path(location.replace("\\", "/")).parts:
        raise LoadError(f"{where}: external data at {location!r} lies outside the model's folder; refused")
    if home.folder is None:
        return None, "read from a stream: there is no folder to look for it in"
    return _confined(home, location, where, offset, length)


def _confined(home: Home, location: str, where: str, offset: int, length: int) -> tuple[Payload | None, str]:
    found = home.files.get(location)
    if found is None:
        found = home.files[location] = _resolve(home, location, where)
    if isinstance(found, str):
        return None, found
    real, size = found
    if offset + length > size:
        raise LoadError(f"{where}: external data runs to byte {offset + length:,} of {location!r}, which has {size:,}")
    return Payload(real, offset, length, RAW_FIELD), ""


def _resolve(home: Home, location: str, where: str) -> tuple[str, int] | str:
    """The real path and size of an external file inside the model's folder, or why it cannot be had."""
    assert home.folder is not None
    try:
        real = (home.folder / location).resolve()
        if not real.is_relative_to(home.folder.resolve()):
            raise LoadError(f"{where}: external data at {location!r} leads outside the model's folder; refused")
        info = os.stat(real)
    except FileNotFoundError:
        return f"{location} is not there"
    except (OSError, RuntimeError) as error:
        return f"{location} cannot be opened: {getattr(error, 'strerror', None) or error}"
    if not stat.S_ISREG(info.st_mode):
        raise LoadError(f"{where}: external data at {location!r} is not a regular file; refused")
    return str(real), info.st_size
