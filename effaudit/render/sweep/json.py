"""JSON: the whole document in ASCII, one point a line."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.render.json import encode
from effaudit.search.sweep.types import SweepDocument
from effaudit.tables.table import Shown


def render(document: SweepDocument, shown: Shown) -> Iterator[str]:
    """Every point is always present, whatever is shown."""
    for field in document.__struct_fields__:
        if field != "points":
            yield ("{" if field == "schema" else "") + f'"{field}": {encode(getattr(document, field))},\n'
    yield '"points": ['
    for i, point in enumerate(document.points):
        yield ("\n" if i == 0 else ",\n") + encode(point)
    yield "]}\n"
