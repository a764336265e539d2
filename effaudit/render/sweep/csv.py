"""CSV: a row per point, exact."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.render.csv import line
from effaudit.search.sweep.types import SweepDocument
from effaudit.tables.sweep import points
from effaudit.tables.table import Shown, arranged


def render(document: SweepDocument, shown: Shown) -> Iterator[str]:
    """Unknown numbers are empty cells, ranges two numbers "LOW..HIGH"."""
    made = arranged(points(document), shown)
    yield line([column.key for column in made.columns])
    yield from map(line, made.rows())
