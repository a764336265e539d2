"""Report: everything a renderer may see of one or several audited models; `audit` is the whole pipeline."""

from effaudit.report.model import audit, check, describe, report
from effaudit.report.types import (
    SCHEMA,
    TOP,
    VIEWS,
    Asked,
    DimReport,
    LiveTensor,
    MemoryReport,
    ModelReport,
    NodeReport,
    NodeReports,
    Report,
    TensorType,
    Totals,
    size,
)

__all__ = [
    "SCHEMA",
    "TOP",
    "VIEWS",
    "Asked",
    "DimReport",
    "LiveTensor",
    "MemoryReport",
    "ModelReport",
    "NodeReport",
    "NodeReports",
    "Report",
    "TensorType",
    "Totals",
    "audit",
    "check",
    "describe",
    "report",
    "size",
]
