"""effaudit says exactly what a neural network costs.

Public names: `audit` (path -> ModelReport) under the sizes of a `Given`, imported on first use: `import effaudit` alone
costs nothing. The graph itself is in `effaudit.load`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Given", "ModelReport", "__version__", "audit"]

if TYPE_CHECKING:
    from effaudit.load.binding import Given
    from effaudit.report import ModelReport, audit

_HOMES = {"Given": "effaudit.load.binding", "ModelReport": "effaudit.report", "audit": "effaudit.report"}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'effaudit' has no attribute {name!r}")
