"""CSV: one table over all verdicts, with exact numbers in bytes, seconds and joules: the verdicts, or the list asked
for."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.errors import UsageError
from effaudit.fit.types import FitDocument
from effaudit.render.csv import line
from effaudit.tables.fit import AS_WRITTEN, LISTS, summary
from effaudit.tables.table import Shown, arranged


def render(document: FitDocument, shown: Shown) -> Iterator[str]:
    """Every row begins with its model and device; of a list, then the element type. Raises UsageError for several
    lists."""
    if len(shown.tables) > 1:
        raise UsageError(f"csv holds one table; ask for one of {', '.join(shown.tables)}")
    if not shown.tables:
        made = summary(document)
        yield line([column.key for column in made.columns])
        yield from map(line, made.rows())
        return
    for i, report in enumerate(document.verdicts):
        found = arranged(LISTS[shown.tables[0]](report), Shown(top=shown.top))
        if i == 0:
            yield line(["model", "device", "as", *(column.key for column in found.columns)])
        head = [report.model, report.device, report.quantize or AS_WRITTEN]
        yield from (line([*head, *row]) for row in found.rows())
