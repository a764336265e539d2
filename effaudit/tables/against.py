"""A published figure explained: what reproduces it, or what comes nearest, what was tried, and the rows."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.report import ModelReport
from effaudit.tables.table import COUNT, SHARE, Cell, Column, Table
from effaudit.views.against import Against, Candidate, Explanation

_COLUMNS = (
    Column("figure", "figure", width=10),
    Column("name", "this counts", width=20),
    Column("value", "value", COUNT, 8),
    Column("difference", "off", COUNT, 8),
    Column("share", "off %", SHARE, 8),
    Column("formula", "which is", width=24),
)
_ROWS = (
    Column("node", "node", width=30),
    Column("kind", "kind", width=14),
    Column("macs", "MACs", COUNT, 8),
    Column("share", "share", SHARE, 8),
)
SHOWN_OUT = 8  # nodes left out that are named


def against(model: ModelReport) -> tuple[Table, ...]:
    """For each figure, the counts that reproduce it or come nearest; then every node that has MACs, where none does."""
    made: list[Table] = []
    for found in model.against:
        made.extend(_figure(found, figure) for figure in found.figures)
        if not found.reproduced:
            made.append(_shares(found))
    return tuple(made)


def _figure(found: Against, figure: Explanation) -> Table:
    candidates = figure.hits or figure.nearest
    what = figure.figure.text if found.architecture is None else f"{found.architecture.name}, {figure.figure.text}"
    state = "is reproduced" if figure.reproduced else "is not reproduced"
    if figure.hits:
        title = f"{what} {state}" + ("" if figure.reproduced else " by this graph; a variant of it would count:")
    else:
        title = f"{what} {state}" + ("; nearest:" if candidates else "")

    def rows() -> Iterator[tuple[Cell, ...]]:
        for c in candidates:
            yield (
                figure.figure.text,
                c.name,
                c.value,
                c.difference,
                c.share,
                _formula(c),
            )

    return Table("against", title, _COLUMNS, rows, _tried(figure), "counts")


def _formula(candidate: Candidate) -> str:
    out = candidate.left_out
    more = f" and {len(out) - SHOWN_OUT} more" if len(out) > SHOWN_OUT else ""
    without = f"; without {', '.join(out[:SHOWN_OUT])}{more}" if out else ""
    digits = f" ({candidate.reading})" if candidate.reading not in ("", "rounded") else ""
    return candidate.formula + without + digits


def _tried(figure: Explanation) -> str:
    """What was tried, and how many hits chance alone would give."""
    searched = [
        f"{s.what} ({s.tried:,} tried, {s.hits:,} hits, {_few(s.expected)} expected by chance)" for s in figure.searches
    ]
    parts = [f"Tried {figure.named} named counts"]
    if searched:
        parts.append("; ".join(searched))
    return "; ".join([*parts, *figure.note]) + "."


def _few(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _shares(found: Against) -> Table:
    def rows() -> Iterator[tuple[Cell, ...]]:
        for row in found.rows:
            yield row.node, row.kind, row.macs, row.share

    return Table("against", "every node that has MACs", _ROWS, rows, part="nodes")
