"""Every figure a report shows: what it means, and how it came about in a given model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from effaudit.audited import Audited
from effaudit.explain.figures._registry import Derivation, Figure, registered
from effaudit.report import ModelReport, describe

__all__ = ["Explanation", "Figure", "explain_figure", "figures", "find"]


class Explanation(msgspec.Struct, frozen=True):
    """A figure: its definition, and in a model its value and the lines that lead to it."""

    name: str
    title: str
    unit: str
    definition: str
    formula: str
    page: str
    model: str = ""
    value: Any = None
    bounds: Sequence[float | None] | None = None
    why: str | None = None
    steps: tuple[str, ...] = ()


def figures() -> Mapping[str, Figure]:
    """All figures by name."""
    return registered()


def find(text: str) -> Figure | None:
    """The figure of a name or of a label on the screen, whatever its case, spaces and punctuation."""
    wanted = _key(text)
    for made in figures().values():
        if wanted in {_key(name) for name in (made.name, made.title, *made.labels)}:
            return made
    return None


def explain_figure(made: Figure, audited: Audited | None = None) -> Explanation:
    """The definition of a figure, with its value and derivation where there is a model."""
    base = Explanation(made.name, made.title, made.unit, made.definition, made.formula, made.page)
    if audited is None:
        return base
    report: ModelReport = describe(audited)
    found: Derivation = made.derive(audited, report)
    return msgspec.structs.replace(
        base,
        model=audited.name,
        value=found.value,
        bounds=found.bounds,
        why=found.why,
        steps=found.steps,
    )


def _key(text: str) -> str:
    return re.sub(r"[^a-z0-9+%]", "", text.lower())
