"""Text for a terminal: one screen for a model; for several a row for each step of each; the details asked for."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Final

import msgspec

from effaudit.before_after.types import ModelSteps, WhatIfDocument
from effaudit.printable import printable
from effaudit.render.before_after.words import UNKNOWN, as_written, called, how, losing, placed, ratio, unknown, worst
from effaudit.render.fit.words import BRIEF
from effaudit.render.plain import table
from effaudit.render.screen import HEIGHT, NEXT, cut, interface, options
from effaudit.tables.before_after import FIGURES, GIVEN, blocked, details, figures
from effaudit.tables.table import TEXT, Cell, Column, Shown, Table, arranged
from effaudit.wrapping import wrapped

NAMED: Final = 4  # groups that are named with why they are blocked
INDENT: Final = "  "
UNSAVED: Final = "cannot be saved"  # what the note of a step says then


def render(document: WhatIfDocument, shown: Shown) -> Iterator[str]:
    """One model: a screen. Several: a table of all."""
    one = len(document.models) == 1
    if not one:
        yield from _several(document, shown)
    for model in document.models:
        if one:
            yield "\n".join(_screen(model, document.counting, shown)) + "\n"
        elif shown.tables:
            yield f"\n{printable(model.path, None)}\n"
        if shown.tables:
            yield from _details(model, shown)


def _screen(model: ModelSteps, counting: str, shown: Shown) -> list[str]:
    """At most 40 lines: with many steps fewer changes, notes and steps. With details, all notes."""
    said = _said(model)
    lines: list[str] = []
    for changes, most in _LEVELS:
        lines = [*_head(model, counting, shown.width), *_figures(model, shown.width, most, changes=changes)]
        if shown.tables or len(lines) + min(len(said), NOTES) + 1 <= HEIGHT - NEXT:
            break
    room = len(said) if shown.tables else HEIGHT - NEXT - len(lines) - 1
    lines += ["", *(said if len(said) <= room else _cut(said, room - 1))] if said and room > 1 else []
    return [*lines, *([] if shown.tables else _next(model))]


# (whether each step shows its change or only the last, the most steps), the most talkative first
_LEVELS: Final = ((True, 99), (False, 99), (False, 8), (False, 5))
NOTES: Final = 5  # lines of notes that go before the change of each step


def _cut(said: list[str], room: int) -> list[str]:
    """As many whole notes as there is room for, and how many are left out."""
    while room and said[room].startswith(" "):  # in the middle of a note
        room -= 1
    more = sum(not line.startswith(" ") for line in said[room:])
    return [*said[:room], f"note   {more} more notes: --details"]


def _head(model: ModelSteps, counting: str, width: int) -> list[str]:
    first = model.steps[0]
    count = len(model.steps) - 1
    path, rest = printable(model.path, None), f"after {count} what-if{'s' if count != 1 else ''}   {counting}"
    lines = [f"{path}   {rest}"] if len(path) + len(rest) + 3 <= width else [path, f"       {rest}"]
    lines += interface(first.inputs, first.outputs, first.dims)
    return [*lines, *wrapped("memory ", how(model)), ""]


def _figures(model: ModelSteps, width: int, most: int, *, changes: bool) -> Iterator[str]:
    yield from (cut(line, width) for line in _table(model, width, most, changes=changes))
    yield from (cut(line, width) for line in _on_devices(model, width, most))


def _shown(model: ModelSteps, most: int) -> list[int]:
    """The numbers of the steps that are shown: the first and the last ones."""
    count = len(model.steps)
    return list(range(count)) if count <= most + 1 else [0, *range(count - most, count)]


def _table(model: ModelSteps, width: int, most: int, *, changes: bool) -> Iterator[str]:
    """Each step on a line of its own, below it its figures, below these the change from the model as given."""
    numbers = _shown(model, most)
    base = figures(model.steps[0])
    rows: list[tuple[Cell, ...]] = []
    heads: list[str] = []
    for number in numbers:
        step = model.steps[number]
        cells = figures(step)
        tail = f"   {losing(step)}" if losing(step) else ""
        heads.append(_label(called(number, step), tail, width))
        rows.append(tuple(UNKNOWN if cell is None else cell for cell in cells))
        if number and (changes or number == numbers[-1]):
            heads.append("")
            rows.append(tuple(ratio(before, after) for before, after in zip(base, cells, strict=True)))
    made = Table("", "", FIGURES, lambda: iter(rows))
    _, head, dashes, *lines = "".join(table(made, width - len(INDENT))).split("\n")[:-1]
    yield from (f"{INDENT}{head}", f"{INDENT}{dashes}")
    skipped = len(model.steps) - len(numbers)
    for label, line in zip(heads, lines, strict=True):
        if label:
            yield label
        yield f"{INDENT}{line}".rstrip()
        if skipped and label == GIVEN:
            yield f"... {skipped} steps, in -f json"


def _label(head: str, tail: str, width: int) -> str:
    return f"{printable(head, width - len(tail))}{tail}"


def _on_devices(model: ModelSteps, width: int, most: int) -> Iterator[str]:
    if not model.steps[0].devices:
        return
    kept = {str(number) if number else GIVEN for number in _shown(model, most)}
    made = placed(model)
    rows = [row for row in made.rows() if row[0] in kept]
    names = {str(row[1]) for row in rows}
    columns = [column.key for column in made.columns if column.key != "device" or len(names) > 1]
    if all(row[-1] is None for row in rows):
        columns.remove("energy_j")
    made = msgspec.structs.replace(made, title="", rows=lambda: iter(rows))
    first = model.steps[0].devices[0]
    yield ""
    if len(names) == 1:
        yield f"on {printable(first.device, 60)} ({printable(first.runtime, 40)})"
    yield from "".join(table(arranged(made, Shown(columns=tuple(columns))), width)).split("\n")[1:-1]


def _said(model: ModelSteps) -> list[str]:
    """What is not known and why, what was left as it was, the worst of what was done, and notes: lines of a screen."""
    lines: list[str] = []
    for why in unknown(model):
        lines += wrapped("?      ", why)
    if model.missing:
        lines += wrapped("note   ", f"weights are not here ({model.missing}): what reads them cannot be done")
    if said := as_written(model):
        lines += wrapped("note   ", said)
    for number, step in enumerate(model.steps):
        if step.blocked:
            named = "; ".join(f"{printable(one.group, 40)}: {printable(one.reason, 100)}" for one in step.blocked[:2])
            more = f"; {len(step.blocked) - 2:,} more" if len(step.blocked) > 2 else ""
            lines += wrapped("left   ", f"step {number} left {len(step.blocked):,} as it was: {named}{more}")
        for note in step.notes:
            lines += wrapped("note   ", f"step {number}: {printable(note, 400)}")
        for name, rows in worst(step, NAMED - 1):
            if rows:
                lines += wrapped("worst  ", f"step {number}, {printable(name, 30)}: {', '.join(rows)}")
    if any(step.blocked or step.details for step in model.steps):
        lines.append("all    every group and tensor: --details")
    return lines


def _details(model: ModelSteps, shown: Shown) -> Iterator[str]:
    found = False
    for number, step in enumerate(model.steps):
        for made in (*details(step), *([blocked(step)] if step.blocked else [])):
            found = True
            titled = msgspec.structs.replace(made, title=f"step {number}, {step.whatif}: {made.title}")
            yield from table(arranged(titled, Shown(top=shown.top)), shown.width)
    if not found:
        yield "\nno step says anything of single tensors or groups\n"


def _several(document: WhatIfDocument, shown: Shown) -> Iterator[str]:
    """A row for each step of each model."""
    models = document.models
    yield from (f"{line}\n" for line in wrapped("", f"{len(models)} models {how(models[0])}   {document.counting}"))
    for number, step in enumerate(models[0].steps[1:], 1):
        yield f"{printable(called(number, step), shown.width)}\n"
    judged = bool(models[0].steps[0].devices)
    device = (Column("verdict", "verdict", width=12), Column("time", "time", "s", spare=True)) if judged else ()
    spare = ("ops", "moved_bytes", "live_bytes", "params") if judged else ("ops", "moved_bytes")
    numbers = (msgspec.structs.replace(column, spare=column.key in spare) for column in FIGURES)
    columns = (Column("model", "model", width=20), Column("step", "step", TEXT, 8), *numbers, *device)

    def rows() -> Iterator[tuple[Cell, ...]]:
        for model in models:
            for number, step in enumerate(model.steps):
                cells = tuple(UNKNOWN if cell is None else cell for cell in figures(step))
                found = ((BRIEF[one.status], one.latency_s.value) for one in step.devices[:1])
                name = str(number) if number else GIVEN
                yield (model.path, name, *cells, *next(found, ()))

    yield from table(Table("", "", columns, rows), shown.width)


def _next(model: ModelSteps) -> list[str]:
    """The next sensible command, whole and ready to paste."""
    if model.path == "-":
        return []
    if model.saved is not None:
        command = "fit" if model.steps[0].devices else "report"
        words = [f"effaudit {command}", shlex.quote(model.saved), *map(shlex.quote, model.options)]
        words = words if model.steps[0].devices else words[:2]
        return ["", f"next   {printable(' '.join(words), None)}"]
    words = ["effaudit whatif", shlex.quote(model.path), *(step.option for step in model.steps[1:])]
    unsaved = any(UNSAVED in note for step in model.steps for note in step.notes)
    words += [
        *options(model.given),
        *map(shlex.quote, model.options),
        "--details" if unsaved else "--save changed.onnx",
    ]
    return ["", f"next   {printable(' '.join(words), None)}"]
