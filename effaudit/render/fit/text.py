"""Text for a terminal: one screen for a model on a device, a matrix for several, and the lists that are asked for."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.fit.types import FitDocument
from effaudit.printable import printable
from effaudit.render.fit.batches import batches
from effaudit.render.fit.matrix import matrix
from effaudit.render.fit.pipeline import pipeline
from effaudit.render.fit.roofline import roofline
from effaudit.render.fit.screen import screen
from effaudit.render.plain import table
from effaudit.tables.fit import LISTS
from effaudit.tables.table import Shown, arranged
from effaudit.wrapping import wrapped


def render(document: FitDocument, shown: Shown) -> Iterator[str]:
    """A screen where there is one verdict; else a row for each, under the pipelines they are parts of."""
    one = len(document.verdicts) == 1 and not document.pipelines
    for whole in document.pipelines:
        yield "\n".join(pipeline(whole)) + "\n\n"
    if not one:
        yield from matrix(document, shown.width)
    for report in document.verdicts:
        if one:
            yield "\n".join(screen(report, more=bool(shown.tables))) + "\n"
        elif shown.tables or report.batches:
            as_if = f", as if {report.quantize}" if report.quantize else ""
            yield f"\n{printable(report.model, None)} on {report.device}{as_if}\n"
            yield from (f"{line}\n" for line in batches(report) if line)
        for name in shown.tables:
            if name == "roofline":
                yield "\n".join(["", *roofline(report, shown.width)]) + "\n"
                continue
            made = arranged(LISTS[name](report), Shown(top=shown.top))
            yield from table(made, shown.width)
            if made.note:
                yield "\n".join(wrapped("", made.note)) + "\n"
