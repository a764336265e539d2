"""JSON lines: one record per line, for tools that read streams.

Each record has `record`, `schema` and `model`; then the fields of a model without its lists ("model"), of a node
("node"), of a group ("group") or of a row of a view that was asked for (the view's name).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from effaudit.render.json import encode
from effaudit.report import ModelReport, Report
from effaudit.tables import listed
from effaudit.tables.table import NONE, Shown, Span

_LEFT_OUT = ("nodes", "groups", "transformer", "receptive_field", "winograd", "weights", "movement", "against", "hot")


def render(document: Report, shown: Shown) -> Iterator[str]:
    """A "model" record for each model, or the rows of what was asked for; then one record per baseline, and one per
    model that is compared by accuracy."""
    lists = [name for name in shown.tables if name not in ("hot", "totals")]
    for model in document.models:
        head = {"schema": document.schema, "model": model.path}
        if not lists or "totals" in shown.tables:
            yield _line({"record": "model", **head, "counting": document.counting, **_flat(model)})
        for name in lists:
            yield from _rows(model, name, shown, head)
    for baseline in document.baselines:
        yield _line({"record": "baseline", "schema": document.schema, **msgspec.to_builtins(baseline)})
    for one in document.pareto.models if document.pareto is not None else ():
        yield _line({"record": "pareto", "schema": document.schema, **msgspec.to_builtins(one)})


def _rows(model: ModelReport, name: str, shown: Shown, head: dict[str, str]) -> Iterator[str]:
    record = name.removesuffix("s") if name in ("nodes", "groups") else name
    for found in listed(model, name, shown):
        part = {"table": found.part} if found.part else {}
        keys = [column.key for column in found.columns]
        for row in found.rows():
            yield _line({"record": record, **head, **part, **dict(zip(keys, map(_cell, row), strict=True))})


def _cell(cell: Any) -> Any:
    if isinstance(cell, Span):
        return [cell.low, cell.high]
    return None if cell == NONE else cell


def _flat(model: ModelReport) -> dict[str, Any]:
    made = {
        field: msgspec.to_builtins(getattr(model, field))
        for field in model.__struct_fields__
        if field not in (*_LEFT_OUT, "path")
    }
    made.get("device", {}).pop("kernels", None)  # a list: --roofline and --nodes have its rows
    return made


def _line(record: dict[str, Any]) -> str:
    return encode(record) + "\n"
