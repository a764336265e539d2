"""Writing documents: to standard output, or to a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from effaudit.errors import UsageError

STDOUT = (None, "-")


def check(paths: Iterable[str | None], inputs: Iterable[str]) -> None:
    """Raises UsageError for a path that cannot be written, or is one of the files that are read: before any work."""
    read = [name for name in inputs if os.path.isfile(name)]
    written: set[str] = set()
    for path in paths:
        if path in STDOUT:
            continue
        assert path is not None
        if os.path.realpath(path) in written:
            raise UsageError(f"{path}: is to be written twice; give each its own file")
        if os.path.isfile(path) or not os.path.exists(path):  # a device takes more than one document
            written.add(os.path.realpath(path))
        for name in read:
            if os.path.exists(path) and os.path.samefile(path, name):
                raise UsageError(f"{path}: is read here; write the document to another file")
        folder = os.path.dirname(path) or "."
        if os.path.isdir(path):
            raise UsageError(f"{path}: cannot be written: a directory; name a file in it")
        if not os.path.isdir(folder):
            raise UsageError(f"{path}: cannot be written: there is no folder {folder}")
        if not os.access(path if os.path.exists(path) else folder, os.W_OK):
            raise UsageError(f"{path}: cannot be written: permission denied")


def emit(pieces: Iterable[str], path: str | None) -> None:
    """Writes a document to `path` (None or "-": standard output). Raises UsageError where it cannot be written."""
    if path not in STDOUT:
        _to_file(str(path), pieces)
        return
    if sys.stdout is None:
        raise UsageError("standard output is closed; name a file with -o")
    try:
        sys.stdout.writelines(pieces)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise UsageError(f"standard output cannot be written: {error.strerror}") from None


def _to_file(path: str, pieces: Iterable[str]) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(pieces)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None


def create(text: str, path: str | None) -> None:
    """`emit` to a file that is not there yet. Raises UsageError where it is."""
    if path in STDOUT:
        emit([text], path)
        return
    try:
        with open(str(path), "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path}: is there already; name a new file") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None
