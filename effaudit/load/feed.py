"""Bytes of a model file, read forward in small windows; weights in between are jumped over, never read.

`pread` and not `mmap`: mapped pages of a large file are charged to the process in large folios.
"""

from __future__ import annotations

import os
from typing import Final, Protocol

from effaudit.errors import LoadError

SMALL_WINDOW: Final = 16 * 1024
LARGE_WINDOW: Final = 256 * 1024


class Feed(Protocol):
    """A forward-only view of a file: `buf` holds the bytes from offset `base` on. `size` is None until it is known."""

    buf: bytes
    base: int

    @property
    def size(self) -> int | None: ...

    @property
    def read_bytes(self) -> int: ...

    @property
    def rereadable(self) -> bool:
        """False where bytes that shapes may depend on must be kept now: they cannot be read later."""

    def fill(self, pos: int, n: int) -> None:
        """Makes at least `n` bytes from `pos` (never before `base`) available, or as many as there are."""


class FileFeed:
    """A seekable file."""

    rereadable = True

    def __init__(self, fd: int, size: int) -> None:
        self._fd = fd
        self._window = SMALL_WINDOW
        self.buf = b""
        self.base = 0
        self.size: int | None = size
        self.read_bytes = 0

    def fill(self, pos: int, n: int) -> None:
        # Consecutive windows mean dense structure: read ahead more; after a jump over weights start small again.
        near = 0 <= pos - self.base <= len(self.buf)
        self._window = min(self._window * 2, LARGE_WINDOW) if near else SMALL_WINDOW
        self.buf = os.pread(self._fd, max(n, self._window), pos)
        self.base = pos
        self.read_bytes += len(self.buf)


class StreamFeed:
    """A pipe: what is jumped over is read and dropped."""

    rereadable = False

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.buf = b""
        self.base = 0
        self.size: int | None = None
        self.read_bytes = 0

    def fill(self, pos: int, n: int) -> None:
        end = self.base + len(self.buf)
        kept = [self.buf[pos - self.base :]] if pos < end else []
        have = len(kept[0]) if kept else 0
        while end < pos:
            dropped = self._read(min(pos - end, LARGE_WINDOW))
            if not dropped:
                raise LoadError(f"-: truncated: the stream ends at byte {end:,}, byte {pos:,} was expected")
            end += len(dropped)
        while have < n:
            chunk = self._read(LARGE_WINDOW)
            if not chunk:
                break
            kept.append(chunk)
            have += len(chunk)
        self.buf, self.base = b"".join(kept), pos

    def _read(self, n: int) -> bytes:
        try:
            piece = os.read(self._fd, n)
        except OSError as error:
            raise LoadError(f"-: cannot be read: {error.strerror}; pipe a model in, or name a file") from None
        self.read_bytes += len(piece)
        return piece


def take(feed: Feed, pos: int, n: int, path: str) -> bytes:
    """Exactly `n` bytes from `pos`. Raises LoadError where the file ends before."""
    if pos < feed.base or pos + n > feed.base + len(feed.buf):
        feed.fill(pos, n)
    start = pos - feed.base
    piece = feed.buf[start : start + n]
    if len(piece) < n:
        raise LoadError(f"{path}: truncated: {n:,} bytes expected at byte {pos:,}, {len(piece):,} found")
    return piece
