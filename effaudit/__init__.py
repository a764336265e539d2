"""effaudit says exactly what a neural network costs.

Public names: `audit` (path -> ModelReport), `load` and `Given` (path -> Graph under given sizes). Imported on first
use, so that `import effaudit` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Given", "ModelReport", "__version__", "audit", "load"]

if TYPE_CHECKING:
    from effaudit.load import Given, load
    from effaudit.report import ModelReport, audit


def __getattr__(name: str) -> object:
    if name in ("Given", "load"):
        from effaudit import load as module

        return getattr(module, name)
    if name in ("audit", "ModelReport"):
        from effaudit import report

        return getattr(report, name)
    raise AttributeError(f"module 'effaudit' has no attribute {name!r}")
