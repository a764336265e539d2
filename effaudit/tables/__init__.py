"""Tables: a report as rows and columns, one file per table. What a cell looks like is the renderer's affair."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Final

from effaudit.errors import UsageError
from effaudit.report import ModelReport
from effaudit.tables.table import Shown, Table

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


def check(shown: Shown, by: Sequence[str]) -> None:
    """Raises UsageError for a column to show or sort by that the listed nodes, or else groups, do not have."""
    if not shown.columns and not shown.sort:
        return
    from effaudit.tables import groups, nodes

    keys = nodes.KEYS if "nodes" in shown.tables else groups.keys(by)
    what = "nodes" if "nodes" in shown.tables else "groups"
    for option, names in (("--columns", shown.columns), ("--sort", (shown.sort,) if shown.sort else ())):
        for name in names:
            if name not in keys:
                raise UsageError(f"{option} {name!r}: {what} have {', '.join(keys)}")


def of(model: ModelReport, name: str) -> tuple[Table, ...]:
    """The tables of one name; none where the model has nothing of the kind."""
    module = import_module(f"effaudit.tables.{NAMES[name]}")
    made: Table | tuple[Table, ...] = getattr(module, NAMES[name])(model)
    return made if isinstance(made, tuple) else (made,)
