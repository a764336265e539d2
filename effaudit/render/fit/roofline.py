"""placeholder"""

from __future__ import annotations

from effaudit.fit.types import FitReport


def roofline(report: FitReport, width: int) -> list[str]:
    """The roofline of a report."""
    return []
