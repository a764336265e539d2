"""Writing documents: to standard output, or to a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from effaudit.errors import UsageError


def emit(pieces: Iterable[str], path: str | None) -> None:
    """Writes a document to `path` (None or "-": standard output). Raises UsageError where it cannot be written."""
    if path not in (None, "-"):
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
