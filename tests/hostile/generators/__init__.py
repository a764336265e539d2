"""All cases, one file per theme; a theme is any module here with a `CASES` list."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from ..case import Case


def gather() -> list[Case]:
    themes = sorted(found.name for found in iter_modules(__path__))
    cases = [case for theme in themes for case in import_module(f"{__name__}.{theme}").CASES]
    seen: set[str] = set()
    for case in cases:
        if case.id in seen:
            raise ValueError(f"two cases are called {case.id}")
        seen.add(case.id)
    return cases


CASES = gather()
