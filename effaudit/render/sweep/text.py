"""Text for a terminal: what all points have in common, and a row for each."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.printable import printable
from effaudit.render.plain import table
from effaudit.render.sweep.words import in_common, people, reasons
from effaudit.search.sweep.types import SweepDocument
from effaudit.tables.table import Shown, arranged
from effaudit.wrapping import wrapped


def render(document: SweepDocument, shown: Shown) -> Iterator[str]:
    """The points in the order of the grid, or sorted."""
    count, same = len(document.points), in_common(document)
    what = f"{count:,} point{'s' if count != 1 else ''}{f', all of {same}' if same else ''}"
    yield "\n".join(wrapped("effaudit sweep   ", f"{what}   {document.counting}", 8)) + "\n"
    yield from table(arranged(people(document, shown), Shown(top=shown.top)), shown.width)
    if shown.top is not None and count > shown.top:
        yield f"{count - shown.top:,} more; leave out --top, or -f json\n"
    for i, (what, why) in enumerate(reasons(document)):
        yield "\n" * (i == 0) + "\n".join(wrapped(f"{what:<7}", why)) + "\n"
    yield from _next(document)


def _next(document: SweepDocument) -> Iterator[str]:
    """The command of the point that needs least: that fits where any does, then of the least loss and arena."""
    found = [
        (one.device is not None and one.device.status != "fits", one.loss or 0.0, one.memory.arena_bytes, one.command)
        for one in document.points
        if one.command and one.memory is not None and one.memory.arena_bytes is not None
    ]
    if found:
        yield f"\nnext   {printable(min(found)[3], None)}\n"
