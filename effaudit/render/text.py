"""Text for a terminal: the first screen of a model, or a row for each of several, and the tables that are asked for."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.render.screen import head, screen
from effaudit.report import Report
from effaudit.tables.table import Shown


def render(document: Report, shown: Shown) -> Iterator[str]:
    """Raises UsageError for a column that does not exist."""
    more = bool(set(shown.tables) - {"totals"} or shown.chart)
    alone = len(document.models) == 1 and not document.baselines and document.pareto is None
    one = alone and "totals" not in shown.tables
    if one:
        yield "\n".join(screen(document.models[0], document.counting, more, shown.width)) + "\n"
        if not more:
            return
    from effaudit.render.listing import details, side_by_side  # only where there are tables

    if not one:
        yield from side_by_side(document, shown)
    for model in document.models if more else ():
        if not one:
            yield "\n" + "\n".join(head(model, document.counting)) + "\n"
        yield from details(model, shown)
