"""Tables: a report as rows and columns, one file per table. What a cell looks like is the renderer's affair."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from effaudit.report import ModelReport
from effaudit.tables.table import Table

# name of a table a model may have -> module
NAMES: Final = {
    "hot": "hot",
    "groups": "groups",
    "transformer": "transformer",
    "movement": "movement",
    "receptive-field": "receptive_field",
    "winograd": "winograd",
    "weights": "weights",
    "against": "against",
    "nodes": "nodes",
}


def of(model: ModelReport, name: str) -> tuple[Table, ...]:
    """The tables of one name; none where the model has nothing of the kind."""
    module = import_module(f"effaudit.tables.{NAMES[name]}")
    made: Table | tuple[Table, ...] = getattr(module, NAMES[name])(model)
    return made if isinstance(made, tuple) else (made,)
