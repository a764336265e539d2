"""Several verdicts: a row each, in one table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from effaudit.fit.types import FitDocument, FitReport
from effaudit.printable import printable
from effaudit.render.cells import text
from effaudit.render.fit.words import BRIEF, brief, decides, names_memory
from effaudit.render.plain import table
from effaudit.tables.fit import AS_WRITTEN, decided_by, summary
from effaudit.tables.table import NONE, SECONDS, Cell, Column, Shown, Table, arranged
from effaudit.wrapping import wrapped

NAMED: Final = 6  # verdicts that are explained below the table
NAMES: Final = ("model", "device")  # the key to the next command: never cut
# In the order in which they are worth their room: where a line is too long, the last one goes first.
COLUMNS: Final = (
    *("model", "device", "as", "times", "weight_bytes", "status", "bottleneck", "margin_bytes", "margin_memory"),
    *("tokens_per_s", "longest_context", "latency_s", "all_s", "low_s", "high_s", "energy_j", "runtime", "exit_code"),
    *("need_bytes", "arena_bytes", "bound"),
)
OF: Final = "margin_memory"
DECIDES: Final = 16  # characters of what decides, at the least
SPARE: Final = COLUMNS[COLUMNS.index("low_s") :]
ALONE: Final = ("status", "exit_code", "bottleneck")  # columns of a verdict that stands alone, not in a pipeline


def matrix(document: FitDocument, width: int) -> Iterator[str]:
    """Verdict, what decides, and the figures that decide most often. What is the same in every row stands above it."""
    made, same = verdicts(document)
    parts = bool(document.pipelines)
    what = "parts, one run of each" if parts else "verdicts"
    yield "\n".join(wrapped("effaudit fit   ", f"{len(document.verdicts)} {what}{in_common(same)}")) + "\n"
    yield from _fitted(made, width, [names_memory(report.bottleneck) for report in document.verdicts])
    missed = [] if parts else [report for report in document.verdicts if report.status != "fits"]
    yield "\n" if missed else ""
    for report in missed[:NAMED]:
        as_if = f", as if {report.quantize}" if report.quantize else ""
        head = printable(f"{report.model} on {report.device}{as_if}", 120)
        yield from (f"{line}\n" for line in wrapped("", f"{head}: {decides(report)}", 8))
    if len(missed) > NAMED:
        yield f"{len(missed) - NAMED} more in -f json\n"


def _fitted(made: Table, width: int, deciding: Sequence[bool]) -> Iterator[str]:
    """The table; where names and figures do not fit a line, without margins of memories that decide nothing, else with
    the names on a line of their own above each row. `deciding`: of every row, whether the memory of its margin does."""
    whole = _narrowest(made)
    if not _fits(whole, width) and {OF, "bottleneck"} <= set(_keys(made)):
        whole = _narrowest(_of_what_decides(made, deciding))
    if _fits(whole, width) or not set(NAMES) & set(_keys(made)):
        yield from table(whole, width)
        return
    keys = _keys(made)
    names, found = [i for i, key in enumerate(keys) if key in NAMES], list(made.rows())
    rest = arranged(_narrowest(made), Shown(columns=tuple(key for key in keys if key not in NAMES)))
    first, head, dashes, *rows = table(rest, width - 2)
    yield from (first, f"  {head}", f"  {dashes}")
    above = ""
    for row, line in zip(found, rows, strict=True):
        name = " on ".join(printable(str(row[i]), None) for i in names)
        if name != above:
            yield f"{name}\n"
        above = name
        yield f"  {line}"


def _keys(made: Table) -> list[str]:
    return [column.key for column in made.columns]


def _narrowest(made: Table) -> Table:
    """With every column as wide as all that it holds, so that nothing of it is cut, but for what decides."""
    found, columns = list(made.rows()), []
    for i, column in enumerate(made.columns):
        widest = max((len(column.title), *(len(text(row[i], column)) for row in found)))
        limit = DECIDES if column.key == "bottleneck" else widest
        columns.append(msgspec.structs.replace(column, width=min(widest, limit)))
    return msgspec.structs.replace(made, columns=tuple(columns))


def _fits(made: Table, width: int) -> bool:
    """Whether a line holds all but the spare columns."""
    needed = [column.width for column in made.columns if not column.spare]
    return sum(needed) + len(needed) - 1 <= width


def _of_what_decides(made: Table, deciding: Sequence[bool]) -> Table:
    """Without the column that names the memory of a margin, and without margins of memories that decide nothing."""
    keys = _keys(made)
    margin = keys.index("margin_bytes")

    def rows() -> Iterator[tuple[Cell, ...]]:
        for row, named in zip(made.rows(), deciding, strict=True):
            yield tuple(NONE if i == margin and not named else cell for i, cell in enumerate(row))

    kept = tuple(key for key in keys if key != OF)
    return arranged(msgspec.structs.replace(made, rows=rows), Shown(columns=kept))


def verdicts(document: FitDocument) -> tuple[Table, dict[str, str]]:
    """(the table with verdicts as words, without the model and device that all rows have in common; these)."""
    made = _with_totals(summary(document))
    keys = [column.key for column in made.columns]
    found = list(made.rows())
    same = {}
    for key in NAMES:
        values = {str(row[keys.index(key)]) for row in found}
        if len(values) == 1 and len(found) > 1:
            same[key] = values.pop()
    dropped = {*same, *_unneeded(document)}
    types = {str(row[keys.index("as")]) for row in found}
    if len(types) == 1:
        dropped.add("as")
        if types != {AS_WRITTEN}:
            same["as"] = f"as if {types.pop()}"

    def rows() -> Iterator[tuple[Cell, ...]]:
        for row, report in zip(found, document.verdicts, strict=True):
            words: dict[str, Cell] = {"status": BRIEF[report.status], "bottleneck": brief(report.bottleneck)}
            yield tuple(words.get(key, cell) for key, cell in zip(keys, row, strict=True))

    columns = tuple(msgspec.structs.replace(column, spare=column.key in SPARE) for column in made.columns)
    whole = msgspec.structs.replace(made, columns=columns, rows=rows)
    return arranged(whole, Shown(columns=tuple(key for key in COLUMNS if key not in dropped))), same


def _with_totals(made: Table) -> Table:
    """With a column for the time of all runs of a part."""
    keys = [column.key for column in made.columns]
    time, times = keys.index("latency_s"), keys.index("times")

    def rows() -> Iterator[tuple[Cell, ...]]:
        for row in made.rows():
            one, runs = row[time], row[times]
            yield (*row, one * runs if isinstance(one, float) and isinstance(runs, int) else None)

    return msgspec.structs.replace(made, columns=(*made.columns, Column("all_s", "in all", SECONDS)), rows=rows)


def _unneeded(document: FitDocument) -> Iterator[str]:
    """The columns that would say nothing here."""
    reports = document.verdicts
    if document.pipelines:  # the limits are those of the whole, and so is the verdict
        yield from ALONE
    else:
        yield from ("times", "all_s")
    if all(report.serving is None for report in reports):
        yield from ("tokens_per_s", "longest_context")
    if len({report.quantize for report in reports}) < 2 and not document.pipelines:
        yield "weight_bytes"
    if not document.pipelines and all(map(_said, reports)):
        yield "margin_memory"
    if len({report.runtime for report in reports}) == 1:
        yield "runtime"
    if all(report.energy_j is None for report in reports):
        yield "energy_j"


def _said(report: FitReport) -> bool:
    """Whether what decides names the memory that the margin is of."""
    return report.serving is not None or decided_by(report) is not None


def in_common(same: dict[str, str]) -> str:
    """ ", all of MODEL on DEVICE, as if int8"."""
    signs = {"model": ", all of ", "device": " on " if "model" in same else ", all on ", "as": ", "}
    return "".join(f"{signs[key]}{printable(value, 60)}" for key, value in same.items())
