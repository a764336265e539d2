"""CSV: one row per node of every model."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from effaudit.printable import printable
from effaudit.report import NodeReport, Report

COLUMNS = """model node op domain kind output dtype shape params macs ops weight_bytes read_bytes write_bytes intensity
live unpriced""".split()


def render(document: Report, nodes: bool) -> Iterator[str]:
    """Unknown numbers are empty cells, with the reason in `unpriced`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for model in document.models:
        for node in model.nodes:
            writer.writerow(_safe(cell) for cell in _row(model.path, node))
            yield out.getvalue()
            out.seek(0)
            out.truncate()
    yield out.getvalue()


def _row(path: str, node: NodeReport) -> tuple[object, ...]:
    first = node.outputs[0] if node.outputs else None
    shape = "" if first is None or first.shape is None else "x".join(map(str, first.shape)) or "scalar"
    return (
        path,
        node.name or (first.name if first else ""),
        node.op,
        node.domain,
        node.kind,
        first.name if first else "",
        first.dtype if first else "",
        shape,
        node.params,
        node.macs,
        node.ops,
        node.weight_bytes,
        node.read_bytes,
        node.write_bytes,
        node.intensity,
        str(node.live).lower(),
        node.unpriced or "",
    )


def _safe(cell: object) -> object:
    """Text that a spreadsheet would take for a formula gets a leading quote."""
    if not isinstance(cell, str):
        return "" if cell is None else cell
    text = printable(cell, None)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
