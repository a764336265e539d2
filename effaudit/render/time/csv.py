"""CSV: a row per model, or size of a sweep, with exact numbers; the nodes or kernels asked for; comparisons."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.render.csv import line
from effaudit.tables.table import Shown, arranged
from effaudit.tables.time import LISTS, models, sizes, sweep, versus
from effaudit.timing.types import TimeDocument


def render(document: TimeDocument, shown: Shown) -> Iterator[str]:
    """Unknown numbers are empty cells. Rows of a list begin with their model, its sizes and threads."""
    if not shown.tables:
        made = versus(document) if not document.models else sweep(document) if document.sweep else models(document)
        yield line([column.key for column in made.columns])
        yield from map(line, made.rows())
        return
    for i, model in enumerate(document.models):
        found = arranged(LISTS[shown.tables[0]](model), Shown(top=shown.top))
        if i == 0:
            yield line(["model", "sizes", "threads", *(column.key for column in found.columns)])
        yield from (line([model.path, sizes(model), model.threads, *row]) for row in found.rows())
