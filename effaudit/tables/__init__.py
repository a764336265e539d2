"""Tables: a report as rows and columns, one file per table. What a cell looks like is the renderer's affair."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from itertools import chain
from typing import Final

import msgspec

from effaudit.errors import UsageError
from effaudit.report import ModelReport
from effaudit.tables.table import Shown, Table, arranged

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
    "roofline": "roofline",
    "nodes": "nodes",
}


def check(shown: Shown, by: Sequence[str], *, on_device: bool = False) -> None:
    """Raises UsageError for a column to show or sort by that the listed nodes, or else groups, do not have; nodes have
    more `on_device`."""
    if not shown.columns and not shown.sort:
        return
    from effaudit.tables import groups, nodes

    keys = nodes.KEYS if "nodes" in shown.tables else groups.keys(by)
    if on_device and "nodes" in shown.tables:
        keys = (*keys, *nodes.ON_DEVICE)
    what = "nodes" if "nodes" in shown.tables else "groups"
    for option, names in (("--columns", shown.columns), ("--sort", (shown.sort,) if shown.sort else ())):
        for name in names:
            if name not in keys:
                raise UsageError(f"{option} {name!r}: {what} have {', '.join(keys)}")


def of(model: ModelReport, name: str) -> tuple[Table, ...]:
    """The tables of one list, whole; none where the model has nothing of the kind."""
    module = import_module(f"effaudit.tables.{NAMES[name]}")
    made: Table | tuple[Table, ...] = getattr(module, NAMES[name])(model)
    return made if isinstance(made, tuple) else (made,)


def listed(model: ModelReport, name: str, shown: Shown) -> tuple[Table, ...]:
    """The tables of one list as they are shown: `--columns` and `--sort` are about the nodes where these are listed,
    else about the groups; `--top` about all but the hot spots, which have as many already."""
    if name == "hot":
        return of(model, name)
    if name != ("nodes" if "nodes" in shown.tables else "groups"):
        shown = Shown(top=shown.top)
    return tuple(arranged(table, shown) for table in of(model, name))


def lists(shown: Shown) -> tuple[str, ...]:
    """The lists of each model in a document that begins with a row per model: hot spots where none is asked for."""
    return tuple(name for name in shown.tables if name != "totals") if shown.tables else ("hot",)


def joined(tables: Sequence[Table]) -> Table | None:
    """One table of all that are the same part as the first; None where there is none."""
    if not tables:
        return None
    same = [table for table in tables if table.part == tables[0].part]
    return msgspec.structs.replace(tables[0], rows=lambda: chain.from_iterable(table.rows() for table in same))
