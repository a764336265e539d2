"""Markdown: a row per step with its change, what it left, notes, and the details that are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from effaudit.before_after.types import ModelSteps, WhatIfDocument
from effaudit.render.before_after.words import UNKNOWN, as_written, called, how, losing, placed, ratio, unknown
from effaudit.render.cells import text
from effaudit.render.markdown import escape, rows
from effaudit.tables.before_after import FIGURES, blocked, details, figures
from effaudit.tables.table import Cell, Column, Shown, Table, arranged

LISTED: Final = 10  # blocked groups of a step; the rest is counted


def render(document: WhatIfDocument, shown: Shown) -> Iterator[str]:
    """For pull requests and pages."""
    for i, model in enumerate(document.models):
        yield "\n" if i else ""
        yield f"### effaudit whatif: {escape(model.path)}\n\n"
        yield from rows(_steps(model))
        yield f"\nMemory {escape(how(model))}. Counted under {document.counting}: FLOPs = 2 MACs + other ops.\n"
        if model.steps[0].devices:
            yield "\n"
            yield from rows(placed(model))
        yield from _notes(model)
        for number, step in enumerate(model.steps) if shown.tables else ():
            for made in (*details(step), *([blocked(step)] if step.blocked else [])):
                yield f"\n#### Step {number}, {escape(step.whatif or '')}: {escape(made.title)}\n\n"
                yield from rows(arranged(made, Shown(top=shown.top)))


def _steps(model: ModelSteps) -> Table:
    base = figures(model.steps[0])
    columns = (Column("step", "step"), *FIGURES, Column("loss", "loss"))

    def made() -> Iterator[tuple[Cell, ...]]:
        for number, step in enumerate(model.steps):
            cells = zip(base, figures(step), FIGURES, strict=True)
            shown = tuple(_cell(before, after, column, compare=bool(number)) for before, after, column in cells)
            yield (called(number, step), *shown, losing(step) or "none")

    return Table("steps", "", columns, made)


def _cell(before: Cell, after: Cell, column: Column, *, compare: bool) -> str:
    said = UNKNOWN if after is None else text(after, column)
    changed = ratio(before, after) if compare else ""
    return f"{said} ({changed})" if changed not in ("", "=") else said


def _notes(model: ModelSteps) -> Iterator[str]:
    found = [f"not known: {why}" for why in unknown(model)]
    found += [f"weights are not here: {model.missing}"] if model.missing else []
    found += [said] if (said := as_written(model)) else []
    for number, step in enumerate(model.steps):
        found += [f"step {number}: {note}" for note in step.notes]
        found += [f"step {number} left {one.group}: {one.reason}" for one in step.blocked[:LISTED]]
        if len(step.blocked) > LISTED:
            found.append(f"step {number} left {len(step.blocked) - LISTED:,} more")
    yield "\n" if found else ""
    yield from (f"- {escape(note)}\n" for note in found)
