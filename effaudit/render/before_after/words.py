"""Figures before and after, in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from effaudit.before_after.types import ModelSteps, StepRow
from effaudit.printable import printable
from effaudit.render.cells import text
from effaudit.render.fit.words import BRIEF, brief
from effaudit.runtimes import DEFAULT, find
from effaudit.tables.before_after import GIVEN, WORST, change, details, on_devices
from effaudit.tables.table import NONE, Cell, Table

UNKNOWN: Final = "?"


def ratio(before: Cell, after: Cell) -> str:
    """ "-73.0 %", "x4.00" where percents read badly, "=" where nothing changed, "" where it cannot be told."""
    found = change(before, after)
    if not isinstance(found, int | float):
        return "" if found is None else "new"
    if found == 1:
        return "="
    if 0.1 <= found < 2:
        percent = f"{100 * (found - 1):+.1f} %"
        return "~" if percent in ("+0.0 %", "-0.0 %") else percent
    return f"x{found:.3g}"


def losing(step: StepRow) -> str:
    """What the step may cost in accuracy, as far as a rewrite can tell; "" where nothing."""
    words = ["loss ?"] if step.loss is None else [f"loss {step.loss:.2g}"] if step.loss else []
    return ", ".join([*words, *(["re-train"] if step.retrain else [])])


def called(number: int, step: StepRow) -> str:
    """The step by its number and its option."""
    return printable(f"{number}  {step.option}", None) if number else GIVEN


def how(model: ModelSteps) -> str:
    """Under which rules memory is planned."""
    runtime = model.steps[0].memory.runtime
    placed = model.steps[0].devices
    title = "as written" if runtime == DEFAULT else f"as {find(runtime).title} runs it ({runtime})"
    return f"{title}, on {printable(placed[0].device, 60)}" if placed else title


def placed(model: ModelSteps) -> Table:
    """The steps on the devices, in words; names of devices are never cut."""
    made = on_devices(model)
    keys = [column.key for column in made.columns]
    found = [one for step in model.steps for one in step.devices]

    def rows() -> Iterator[tuple[Cell, ...]]:
        for row, one in zip(made.rows(), found, strict=True):
            words: dict[str, Cell] = {"status": BRIEF[one.status], "bottleneck": brief(one.bottleneck)}
            yield tuple(words.get(key, cell) for key, cell in zip(keys, row, strict=True))

    widest = max((len(printable(one.device, None)) for one in found), default=0)
    columns = (replace(column, width=widest) if column.key == "device" else column for column in made.columns)
    return replace(made, columns=tuple(columns), rows=rows)


def unknown(model: ModelSteps) -> list[str]:
    """Why figures are not known, each reason once."""
    reasons: dict[str, None] = {}
    for step in model.steps:
        found = [step.totals.why, step.memory.why, *(one.why for one in step.devices)]
        reasons.update(dict.fromkeys(printable(why, 300) for why in found if why))
    return list(reasons)


def as_written(model: ModelSteps) -> str:
    """What quantized memory means where no runtime is named; "" where it needs no word."""
    if model.steps[0].memory.runtime != DEFAULT or all(step.whatif != "quantize" for step in model.steps):
        return ""
    return (
        "ops, live, arena, moved: of the quantized graph as written, conversions and all; --runtime names who runs it"
    )


def worst(step: StepRow, most: int) -> list[tuple[str, list[str]]]:
    """Of every table of details that has a worst, the first rows: (its name, "name figure value")."""
    found = []
    for table in details(step):
        keys = [column.key for column in table.columns]
        key = next((key for key in WORST if key in keys), None)
        if key is None:
            continue
        at = keys.index(key)
        rows = [row for row in table.rows() if row[at] is not None and row[at] != NONE][:most]
        column = table.columns[at]
        said = [f"{printable(str(row[0]), 40)} {column.title} {text(row[at], column)}" for row in rows]
        found.append((table.name, said))
    return found
