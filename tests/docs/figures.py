"""The list of figures in docs/explain.md, from the code."""

from __future__ import annotations

from effaudit.explain.figures import figures


def table() -> str:
    """A row per figure: its name, its unit, and where more is said."""
    rows = ["| Figure | Unit | What it is |", "| --- | --- | --- |"]
    for figure in figures().values():
        first = figure.definition.split(". ")[0].rstrip(".")
        rows.append(f"| `{figure.name}` | {figure.unit or '-'} | {first}. |")
    return "\n".join(rows)
