"""JSON: the whole document in ASCII, one kernel a line."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.fit.types import FitDocument, FitReport
from effaudit.render.json import encode
from effaudit.tables.table import Shown


def render(document: FitDocument, shown: Shown) -> Iterator[str]:
    """Everything is always present, whatever is shown."""
    for field in ("schema", "version", "counting", "exit_code"):
        yield ("{" if field == "schema" else "") + f'"{field}": {encode(getattr(document, field))},\n'
    yield f'"pipelines": {encode(document.pipelines)},\n"verdicts": ['
    for i, report in enumerate(document.verdicts):
        yield "\n{" if i == 0 else ",\n{"
        yield from _fields(report)
        yield "}"
    yield "]}\n"


def _fields(report: FitReport) -> Iterator[str]:
    for i, field in enumerate(report.__struct_fields__):
        yield ("" if i == 0 else ",\n") + f'"{field}": '
        if field == "rows":
            yield "[" + ",".join("\n" + encode(row) for row in report.rows) + "]"
        else:
            yield encode(getattr(report, field))
