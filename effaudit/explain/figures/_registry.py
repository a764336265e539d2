"""The registry of figures: a definition in words, and a function that derives the figure of one model."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from effaudit.audited import Audited
from effaudit.report import ModelReport


class Derivation(msgspec.Struct, frozen=True):
    """The value of a figure in a model, and the lines that lead to it; None is unknown, `why` says why."""

    value: Any
    steps: tuple[str, ...] = ()
    bounds: Sequence[float | None] | None = None
    why: str | None = None


Derive = Callable[[Audited, ModelReport], Derivation]


class Figure(msgspec.Struct, frozen=True):
    """`labels` are the words the screen shows it under, `page` the documentation that has more."""

    name: str
    title: str
    unit: str
    definition: str
    formula: str
    page: str
    labels: tuple[str, ...]
    derive: Derive


_FIGURES: dict[str, Figure] = {}
_MODULES: Final = ("compute", "weights", "memory", "plans", "structure", "shares")


def figure(
    name: str, title: str, unit: str, *, formula: str = "", page: str = "docs/counting.md", labels: tuple[str, ...] = ()
) -> Callable[[Derive], Derive]:
    """Registers a figure; the docstring of the function that derives it is its definition."""

    def register(derive: Derive) -> Derive:
        if name in _FIGURES:
            raise ValueError(f"two figures named {name}")
        definition = " ".join((derive.__doc__ or "").split())
        _FIGURES[name] = Figure(name, title, unit, definition, formula, page, labels, derive)
        return derive

    return register


def registered() -> Mapping[str, Figure]:
    """All figures, in the order of the screen."""
    for module in _MODULES:
        importlib.import_module(f"effaudit.explain.figures.{module}")
    return _FIGURES
