"""Several verdicts: a row each, in one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from effaudit.fit.types import FitDocument
from effaudit.printable import printable
from effaudit.render.fit.words import VERDICTS, decides, once
from effaudit.render.plain import table
from effaudit.tables.fit import AS_WRITTEN, summary
from effaudit.tables.table import Cell, Column, Shown, Table, arranged
from effaudit.wrapping import wrapped

NAMED: Final = 6  # verdicts that are explained below the table


def matrix(document: FitDocument, width: int) -> Iterator[str]:
    """Verdict, what decides, and the figures that decide most often. What is the same in every row stands above it."""
    made, same = verdicts(document)
    yield "\n".join(wrapped("effaudit fit   ", f"{len(document.verdicts)} verdicts{in_common(same)}")) + "\n"
    yield from table(made, width)
    missed = [report for report in document.verdicts if report.status != "fits"]
    yield "\n" if missed else ""
    for report in missed[:NAMED]:
        as_if = f", as if {report.quantize}" if report.quantize else ""
        head = printable(f"{report.model} on {report.device}{as_if}", 120)
        yield from (f"{line}\n" for line in wrapped("", f"{head}: {decides(report)}", 8))
    if len(missed) > NAMED:
        yield f"{len(missed) - NAMED} more in -f json\n"


def verdicts(document: FitDocument) -> tuple[Table, dict[str, str]]:
    """(the table with verdicts as words, without the model and device that all rows have in common; these)."""
    made = summary(document)
    keys = [column.key for column in made.columns]
    found = list(made.rows())
    same = {}
    for key in ("model", "device"):
        values = {str(row[keys.index(key)]) for row in found}
        if len(values) == 1 and len(found) > 1 and not (key == "device" and "model" not in same):
            same[key] = values.pop()
    dropped = set(same)
    types = {str(row[keys.index("as")]) for row in found}
    if len(types) == 1:
        dropped.add("as")
        if types != {AS_WRITTEN}:
            same["as"] = f"as if {types.pop()}"
    dropped |= {"runtime"} if len({row[keys.index("runtime")] for row in found}) == 1 else set()
    words: dict[str, Callable[[str], str]] = {"status": VERDICTS.__getitem__, "bottleneck": once}

    def rows() -> Iterator[tuple[Cell, ...]]:
        for row in found:
            yield tuple(words[k](str(cell)) if k in words else cell for k, cell in zip(keys, row, strict=True))

    columns = tuple(_column(column) for column in made.columns)
    whole = msgspec.structs.replace(made, columns=columns, rows=rows)
    return arranged(whole, Shown(columns=tuple(key for key in keys if key not in dropped))), same


def in_common(same: dict[str, str]) -> str:
    """ ", all of MODEL on DEVICE, as if int8"."""
    signs = {"model": ", all of ", "device": " on ", "as": ", "}
    return "".join(f"{signs[key]}{printable(value, 60)}" for key, value in same.items())


def _column(column: Column) -> Column:
    """Narrow enough for people: verdicts are words, and may be cut as other text."""
    return msgspec.structs.replace(column, width=13) if column.key == "status" else column
