"""Where a model may be written, and writing it there whole or not at all."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final

from effaudit.errors import LoadError, UsageError

CHUNK: Final = 1 << 20


def writable(path: str, source: str, external: Iterable[str]) -> str:
    """The path as given, if a copy of the model at `source` may be written there. `external` are the files that its
    tensors lie in, relative to its folder.

    Raises UsageError for a folder, a missing folder, something that is no regular file, a file of the model, and
    another folder than the model's where its tensors lie in files beside it.
    """
    available(path)
    home = os.path.dirname(os.path.realpath(source))
    beside = sorted(external)
    if beside and os.path.realpath(os.path.dirname(path) or ".") != home:
        raise UsageError(
            f"{path}: the model's weights lie in {beside[0]!r}, relative to its own folder; "
            f"save it beside the model, in {home}"
        )
    not_own(path, source, beside)
    return path


def available(path: str) -> str:
    """The path as given, if a file may be written there. Raises UsageError as `writable` does."""
    folder = os.path.dirname(path) or "."
    if not path or path == "-":
        raise UsageError("a model is saved to a file; give a path, such as reordered.onnx")
    if not os.path.isdir(folder):
        raise UsageError(f"{path}: there is no folder {folder}; make it first")
    if os.path.isdir(path):
        raise UsageError(f"{path}: a directory; give a file name in it")
    if os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
        raise UsageError(f"{path}: not a regular file; give another path")
    return path


def not_own(path: str, source: str, external: Iterable[str]) -> None:
    """Raises UsageError where `path` is the model at `source` or one of the files beside it that its tensors lie in."""
    home = os.path.dirname(os.path.realpath(source))
    for own in (source, *(os.path.join(home, name) for name in external)):
        if os.path.exists(path) and os.path.exists(own) and os.path.samefile(path, own):
            raise UsageError(f"{path}: a file of the model itself; give another path")


def copy(source: str, path: str, pieces: Iterable[tuple[int, int]], size: int) -> None:
    """Writes the byte ranges of `source`, a file of `size` bytes, one after another to `path`, in constant memory.

    Raises UsageError where it cannot be written, LoadError where the source changes meanwhile; then nothing is there.
    """
    try:
        with open(source, "rb") as file, replaced(path, stat.S_IMODE(os.fstat(file.fileno()).st_mode)) as out:
            for start, stop in pieces:
                for chunk in _chunks(file, start, stop):
                    out.write(chunk)
            if out.tell() != size or os.fstat(file.fileno()).st_size != size:
                raise LoadError(f"{source}: changed while it was read; try again")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror or error}; give another path") from None


def _chunks(file: BinaryIO, start: int, stop: int) -> Iterator[bytes]:
    file.seek(start)
    while start < stop:
        chunk = file.read(min(CHUNK, stop - start))
        if not chunk:
            return
        start += len(chunk)
        yield chunk


@contextmanager
def replaced(path: str, mode: int) -> Iterator[BinaryIO]:
    """A new file that takes the name `path` when it is complete, and vanishes where it is not."""
    handle, draft = tempfile.mkstemp(prefix=".effaudit-", suffix=".tmp", dir=os.path.dirname(path) or ".")
    try:
        with os.fdopen(handle, "wb") as out:
            yield out
        os.chmod(draft, mode | stat.S_IWUSR)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise
