"""The runtimes there are, what they are and where their rules were read."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.runtimes import find, names
from effaudit.wrapping import wrapped


def runtimes() -> Iterator[str]:
    """A paragraph each."""
    for name in names():
        one = find(name)
        yield "\n".join(wrapped(f"{name:<18}", one.title, 18)) + "\n"
        for source in one.sources:
            yield "\n".join(wrapped(" " * 18, source)) + "\n"
