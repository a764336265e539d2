"""All that can be explained without a model: `effaudit explain --list [figures|formulas|operators|notes]`."""

from __future__ import annotations

from typing import Final

import msgspec

from effaudit.errors import UsageError
from effaudit.explain import figures, formulas, lookup
from effaudit.explain.lookup import DEFAULT_DOMAIN, NONE, Registry
from effaudit.explain.notes import RULES
from effaudit.explain.operator import cost_text
from effaudit.printable import printable

LIST: Final = "--list"
ALL: Final = "all"
KINDS: Final = ("figures", "formulas", "operators", "notes")


class Entry(msgspec.Struct, frozen=True):
    """One subject: the name `effaudit explain` takes, and what it is."""

    name: str
    about: str


class Section(msgspec.Struct, frozen=True):
    """Subjects of one kind (figures, formulas, operators, notes) that stand together: a topic, a domain."""

    kind: str
    title: str
    entries: tuple[Entry, ...]


class Catalogue(msgspec.Struct, frozen=True):
    """What there is, of one kind or of all."""

    kinds: tuple[str, ...]
    sections: tuple[Section, ...]


def catalogue(kind: str = ALL, own: Registry = NONE) -> Catalogue:
    """Everything of a kind, or of `ALL`; `own` are the definitions of the user's operators. Raises UsageError."""
    if kind not in (ALL, *KINDS):
        raise UsageError(f"{LIST} {printable(kind, 40)!r}: expected one of {', '.join(KINDS)}, or nothing for all")
    kinds = KINDS if kind == ALL else (kind,)
    makers = {"figures": _figures, "formulas": _formulas, "notes": _notes}
    sections = [made for name in kinds for made in (makers[name]() if name in makers else _operators(own))]
    return Catalogue(kinds, tuple(sections))


def _figures() -> list[Section]:
    entries = tuple(Entry(made.name, made.title) for made in figures.figures().values())
    return [Section("figures", "Figures of a report", entries)]


def _formulas() -> list[Section]:
    return [
        Section("formulas", f"Formulas: {title}", tuple(Entry(made.name, made.about) for made in group))
        for title, group in formulas.topics().items()
    ]


def _notes() -> list[Section]:
    entries = tuple(Entry(name, " ".join(meaning.split())) for name, meaning in RULES.items())
    return [Section("notes", "Notes of a report", entries)]


def _operators(own: Registry) -> list[Section]:
    """By domain; the definitions of the user first, then ai.onnx. A name that needs its domain has it."""
    found: dict[str, list[Entry]] = {}
    for operator in lookup.every(own):
        alone = lookup.known(operator.op, own)
        short = alone is not None and (alone.domain, alone.op) == (operator.domain, operator.op)
        name = operator.op if short else operator.full_name
        found.setdefault(operator.domain or DEFAULT_DOMAIN, []).append(Entry(name, cost_text(operator)))
    return [Section("operators", f"Operators of {domain}", tuple(entries)) for domain, entries in found.items()]
