"""Several verdicts: a row each, in one table."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.fit.types import FitDocument
from effaudit.render.plain import table
from effaudit.tables.fit import summary
from effaudit.tables.table import Shown, arranged


def matrix(document: FitDocument, width: int) -> Iterator[str]:
    """Model, device, verdict, what decides, and the figures that decide most often."""
    yield f"effaudit fit   {len(document.verdicts)} verdicts"
    yield from table(arranged(summary(document), Shown()), width)
