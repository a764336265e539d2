"""An explanation as a document: text for a terminal, or JSON. Here are the texts of what is no operator and no node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from effaudit import __version__
from effaudit.explain.catalogue import Catalogue, Section
from effaudit.explain.figures import Explanation
from effaudit.explain.formulas import Answer, Formula
from effaudit.explain.node import NodeExplanation
from effaudit.explain.notes import Rule
from effaudit.explain.operator import OperatorAnswer, OperatorCard
from effaudit.explain.several import Several
from effaudit.explain.subject import Explained, Subject
from effaudit.printable import printable
from effaudit.render.explained import lines
from effaudit.render.json import encode
from effaudit.table import COUNTING
from effaudit.wrapping import WIDTH, wrapped

SCHEMA: Final = "effaudit.explain/1"
# What a document calls each kind of subject.
SUBJECTS: Final[Mapping[type, str]] = {
    Explanation: "figure",
    Formula: "formula",
    Answer: "answer",
    OperatorCard: "operator",
    OperatorAnswer: "call",
    NodeExplanation: "node",
    Rule: "finding",
    Several: "nodes",
    Catalogue: "list",
}


def render(form: str, explained: Explained) -> Iterator[str]:
    """ "text" or "json"."""
    subject, also = explained.subject, explained.see_also
    if form == "json":
        head = {"schema": SCHEMA, "version": __version__, "counting": COUNTING}
        kind = {"subject": SUBJECTS[type(subject)]}
        yield encode({**head, **kind, **_fields(subject), "see_also": also}) + "\n"
        return
    seen = [line for command in also for line in wrapped("see also ", command)]
    yield "\n".join([*lines(subject), *([""] if seen else []), *seen]) + "\n"


def _fields(subject: Subject) -> dict[str, Any]:
    made = msgspec.to_builtins(subject)
    assert isinstance(made, dict)
    return made


@lines.register
def _note(found: Rule) -> list[str]:
    made = [found.rule, *wrapped("  ", found.meaning)]
    if not found.model:
        return made
    head = f"in {printable(found.model, 70)}: "
    if not found.count:
        state = "no such note" if found.count == 0 else f"unknown: {found.why}"
        return [*made, "", *wrapped("", head + state, indent=2)]
    made += ["", *wrapped("", head + found.message, indent=2), *wrapped("  what to do: ", found.remedy)]
    made += [line for name in found.where for line in wrapped("    ", printable(name, 200))]
    more = found.count - len(found.where)
    return [*made, f"    and {more:,} more"] if more > 0 and found.where else made


@lines.register
def _several(found: Several) -> list[str]:
    made = [line for i, node in enumerate(found.nodes) for line in ([""] if i else []) + lines(node)]
    more = found.total - len(found.nodes)
    if more > 0:
        text = f"{len(found.nodes)} of {found.total:,} nodes, {more:,} more; {found.listed} lists all of them"
        made += ["", *wrapped("", text)]
    return made


@lines.register
def _catalogue(found: Catalogue) -> list[str]:
    """A line per entry of one kind; of all kinds, names only."""
    made = [line for section in found.sections for line in ["", *_section(section, len(found.kinds) == 1)]]
    if len(found.kinds) > 1:
        kinds = ", ".join(found.kinds)
        made += ["", *wrapped("more   ", f"effaudit explain --list KIND says what each is: {kinds}")]
    return made[1:]


def _section(section: Section, full: bool) -> list[str]:
    names = [printable(entry.name, 100) for entry in section.entries]
    if not full:
        return [section.title, *wrapped("  ", "  ".join(names))]
    made = [section.title]
    for name, entry in zip(names, section.entries, strict=True):
        made += wrapped("  ", f"{name}  {entry.about}", indent=6)
    return made


@lines.register
def _figure(found: Explanation) -> list[str]:
    made = [f"{found.title}" + (f" ({found.unit})" if found.unit else ""), *wrapped("  ", found.definition)]
    if found.formula:
        made += wrapped("  = ", found.formula)
    if found.model:
        made += ["", f"in {printable(found.model, 70)}: {_value(found)}".rstrip()]
        made += [line for step in found.steps for line in _step(step)]
        if found.why:
            made += wrapped("  because ", printable(found.why, 300))
    return [*made, "", f"more   {found.page}"]


def _value(found: Explanation) -> str:
    if found.bounds is not None:
        low, high = found.bounds
        return f"{low or 0:,} .. {high:,}" if high is not None else f"unknown, at least {low or 0:,}"
    if found.value is None:
        return "none" if found.name in ("formulas", "crossovers") else "unknown"
    if isinstance(found.value, int | float | str):
        return _measured(found.value, found.unit)
    return "" if found.steps else "none"


def _measured(value: float | str, unit: str) -> str:
    """A value with its unit: numbers with separators, words as they are."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:,} {unit}".rstrip() if number else f"{printable(str(value))} {unit}".rstrip()


def _step(step: str) -> list[str]:
    """A line of a derivation; columns stay columns where they fit."""
    return [f"  {step}"] if len(step) <= WIDTH - 2 else wrapped("  ", step)


@lines.register
def _formula(found: Formula) -> list[str]:
    made = [f"{found.name} ({found.unit})", *wrapped("  = ", found.text), *wrapped("  ", found.about)]
    for parameter in found.parameters:
        default = f", default {parameter.default}" if parameter.default else ""
        made += wrapped("  ", f"{parameter.name}  {parameter.about}{default}", indent=9)
    made += [line for mistake in found.mistakes for line in wrapped("note   ", mistake)]
    if found.source:
        made += wrapped("source ", found.source)
    numbers = " ".join(f"{name}={text}" for name, text in found.example.items())
    return [*made, f"try    effaudit explain {found.name} {numbers}".rstrip()]


@lines.register
def _answer(found: Answer) -> list[str]:
    made = [found.name, *wrapped("  = ", found.formula), *wrapped("  = ", found.substituted)]
    made += [line for step in found.steps for line in wrapped("    ", step)]
    made += [f"  = {_measured(found.value, found.unit)}"]
    defaults = ", ".join(f"{a.name}={a.value}" for a in found.arguments if a.origin != "given")
    if defaults:
        made += wrapped("with   ", defaults)
    made += [line for note in found.notes for line in wrapped("note   ", note)]
    return [*made, *(wrapped("source ", found.source) if found.source else [])]
