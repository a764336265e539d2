"""External data: where the bytes of a tensor lie, confined to the model's folder.

A path that leaves the folder is an error, as in the ONNX specification: it is how a model would read files that are not
its own. A file that is not there is none: a structure audit needs no weights.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Final

from effaudit.elements import RAW_FIELD
from effaudit.errors import LoadError
from effaudit.graph import Payload

Files = dict[str, tuple[str, int] | str]
STREAM: Final = "read from a stream: there is no folder to look for it in"
REMOTE: Final = "a remote model: its weights are not read"


def locate(
    entries: Mapping[str, str], folder: str | None, files: Files, where: str, nbytes: int, unread: str = ""
) -> tuple[Payload | None, str]:
    """The payload of an external tensor, or why it cannot be had: `unread`, where the model has no folder.
    `files` remembers what was looked up."""
    location = entries.get("location", "")
    if not location:
        raise LoadError(f"{where}: external data without a location")
    offset = _whole(entries.get("offset"), 0, where)
    length = _whole(entries.get("length"), nbytes, where)
    if length != nbytes:
        raise LoadError(f"{where}: {length:,} bytes of external data where its shape needs {nbytes:,}")
    if folder is None:
        _confined(location, where)
        return None, unread or STREAM
    found = files.get(location)
    if found is None:
        found = files[location] = _resolve(folder, location, where)
    if isinstance(found, str):
        return None, found
    real, size = found
    if offset + length > size:
        raise LoadError(f"{where}: external data runs to byte {offset + length:,} of {location!r}, which has {size:,}")
    return Payload(real, offset, length, RAW_FIELD), ""


def _whole(text: str | None, default: int, where: str) -> int:
    if not text:
        return default
    if not text.isdecimal() or len(text) > 19:
        raise LoadError(
            f"{where}: external data offset and length must be whole numbers of 0 or more, not {text[:40]!r}"
        )
    return int(text)


def _confined(location: str, where: str) -> None:
    if "\0" in location or os.path.isabs(location) or ".." in location.replace("\\", "/").split("/"):
        raise LoadError(f"{where}: external data at {location!r} lies outside the model's folder; refused")


def _resolve(folder: str, location: str, where: str) -> tuple[str, int] | str:
    """The real path and size of an external file inside the model's folder, or why it cannot be had."""
    _confined(location, where)
    try:
        real, home = os.path.realpath(os.path.join(folder, location)), os.path.realpath(folder)
        if os.path.commonpath((real, home)) != home:
            raise LoadError(f"{where}: external data at {location!r} leads outside the model's folder; refused")
        info = os.stat(real)
    except FileNotFoundError:
        return f"{location} is not there"
    except (OSError, RuntimeError) as error:
        return f"{location} cannot be opened: {getattr(error, 'strerror', None) or error}"
    if not stat.S_ISREG(info.st_mode):
        raise LoadError(f"{where}: external data at {location!r} is not a regular file; refused")
    return real, info.st_size
