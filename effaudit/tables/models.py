"""The tables with a row per model that a document begins with."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.report import Report
from effaudit.tables.summary import summary
from effaudit.tables.table import Shown, Table


def of_models(document: Report, shown: Shown) -> Iterator[Table]:
    """The totals, or accuracies and costs where accuracies are given; both where the totals are asked for or have rows
    of published architectures."""
    if document.pareto is None or document.baselines or "totals" in shown.tables:
        yield summary(document)
    if document.pareto is not None:
        from effaudit.tables.pareto import pareto  # few reports have accuracies

        yield pareto(document.pareto)
