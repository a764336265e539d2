"""Runtimes: how each executes a graph as far as memory goes, one file per runtime, found by its name."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Final

from effaudit.errors import UsageError
from effaudit.runtimes._runtime import Runtime

DEFAULT: Final = "as-written"


@cache
def names() -> tuple[str, ...]:
    """Every runtime, the default first."""
    found = [m.name.replace("_", "-") for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")]
    return (DEFAULT, *sorted(set(found) - {DEFAULT}))


def find(name: str) -> Runtime:
    """The runtime of a name, in any case. Raises UsageError where there is none."""
    wanted = name.strip().lower().replace("_", "-")
    if wanted not in names():
        raise UsageError(f"runtime {name!r}: expected one of {', '.join(names())}")
    runtime: Runtime = importlib.import_module(f"effaudit.runtimes.{wanted.replace('-', '_')}").RUNTIME
    return runtime


__all__ = ["DEFAULT", "Runtime", "find", "names"]
