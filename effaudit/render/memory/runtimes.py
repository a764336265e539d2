"""The runtimes there are."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.runtimes import find, names
from effaudit.wrapping import wrapped


def runtimes() -> Iterator[str]:
    """A line each, and where their rules stand."""
    for name in names():
        yield "\n".join(wrapped(f"{name:<12}  ", find(name).title)) + "\n"
    yield "their rules and where they were read: docs/runtimes.md, and `sources` in -f json\n"
