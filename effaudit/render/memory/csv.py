"""CSV: one table over all models, with exact numbers: the timeline, or the list that is asked for."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.memory.types import MemoryDocument
from effaudit.render.csv import line
from effaudit.tables.memory import LISTS, summary
from effaudit.tables.table import Shown, arranged


def render(document: MemoryDocument, shown: Shown) -> Iterator[str]:
    """Every row begins with its model and runtime."""
    name = shown.tables[0] if shown.tables else "timeline"
    if name == "totals":
        made = summary(document)
        yield line([column.key for column in made.columns])
        yield from map(line, made.rows())
        return
    for i, model in enumerate(document.models):
        found = arranged(LISTS[name](model), Shown(top=shown.top))
        if i == 0:
            yield line(["model", "runtime", *(column.key for column in found.columns)])
        yield from (line([model.path, model.memory.runtime, *row]) for row in found.rows())
