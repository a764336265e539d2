"""effaudit says exactly what a neural network costs.

Public names: `audit` (path -> Audit, a ModelReport with methods), imported on first use: `import effaudit` alone costs
nothing. The graph itself is in `effaudit.load`, under the sizes of a `Given`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Audit", "Given", "ModelReport", "__version__", "audit"]

if TYPE_CHECKING:
    from effaudit.api import Audit, audit
    from effaudit.load.binding import Given
    from effaudit.report import ModelReport

_HOMES = {
    "Audit": "effaudit.api",
    "Given": "effaudit.load.binding",
    "ModelReport": "effaudit.report",
    "audit": "effaudit.api",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'effaudit' has no attribute {name!r}")
