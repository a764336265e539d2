"""The calls an audit makes inside one process: the only file here that knows the program's own functions."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path


def in_process(path: Path) -> Iterator[str]:
    """Yields the name of each phase as it ends, for the caller to read the clock."""
    gc.disable()  # as the command does (effaudit/__main__.py)
    from effaudit.load import load
    from effaudit.table import price

    graph = load(str(path))
    yield "load and shapes"
    price(graph)
    yield "price"
