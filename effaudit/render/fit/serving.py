"""placeholder until the serving renderer lands"""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.serving.types import Serving


def lines(serving: Serving) -> Iterator[str]:
    """The lines of a served model."""
    yield from ()
