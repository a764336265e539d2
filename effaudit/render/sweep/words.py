"""A sweep for people: what varies, and what all points have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from effaudit.printable import printable
from effaudit.render.fit.words import BRIEF
from effaudit.search.sweep.types import SweepDocument
from effaudit.tables.before_after import FIGURES
from effaudit.tables.sweep import KEYS, points
from effaudit.tables.table import NONE, Cell, Column, Shown, Table, arranged

SHOWN: Final = ("loss", *(column.key for column in FIGURES), "status", "latency_s")
SPARE: Final = ("params", "weight_bytes", "ops", "live_bytes", "moved_bytes")
WIDEST: Final = 40  # characters of a value that is never cut
REASONS: Final = 4
WORDS: Final[Mapping[str, str]] = {**BRIEF}


def in_common(document: SweepDocument) -> str:
    """ "sample:ic, quantize int8, device cortex-m7"; "" where everything varies."""
    same = [f"{axis.name} {axis.values[0]}" for axis in document.axes if len(axis.values) == 1]
    return ", ".join(printable(one, 80) for one in [*(document.models if len(document.models) == 1 else ()), *same])


def people(document: SweepDocument, shown: Shown) -> Table:
    """What varies, and the figures that are known of any point; sorted as is asked."""
    made = arranged(points(document), Shown(sort=shown.sort))
    keys, found = [column.key for column in made.columns], list(made.rows())
    varies = [axis.name for axis in document.axes if len(axis.values) > 1]
    kept = [*(["model"] if len(document.models) > 1 else []), *varies, *SHOWN]
    empty = {key for i, key in enumerate(keys) if all(row[i] == NONE for row in found)}
    if all(point.loss in (None, 0) for point in document.points):
        empty.add("loss")
    columns = tuple(_column(column, [row[i] for row in found]) for i, column in enumerate(made.columns))
    names = {i: column.title for i, column in enumerate(columns) if column.key not in KEYS}
    short = {i: f"{title}=" for i, title in names.items() if title != printable(made.columns[i].title, WIDEST)}

    def rows() -> Iterator[tuple[Cell, ...]]:
        at = keys.index("status")
        for row in found:
            cells: list[Cell] = [str(c).removeprefix(short[i]) if i in short else c for i, c in enumerate(row)]
            cells[at] = WORDS.get(str(row[at]), row[at])
            yield tuple(cells)

    whole = replace(made, columns=columns, rows=rows)
    return arranged(whole, Shown(columns=tuple(key for key in kept if key not in empty)))


def _column(column: Column, cells: Sequence[Cell]) -> Column:
    """A column of figures gives way on a narrow screen; one of an axis never does. Where each of its values is that of
    one key, it stands in the heading."""
    if column.key in KEYS:
        return replace(column, spare=column.key in SPARE)
    texts = [str(cell) for cell in cells]
    parts = [text.split("=") for text in texts if text != "none"]
    alone = bool(parts) and {part[0] for part in parts} == {parts[0][0]} and all(len(part) == 2 for part in parts)
    title = (
        parts[0][0] if alone and column.key not in ("model", "shape") and "," not in "".join(texts) else column.title
    )
    shown = [text.removeprefix(f"{title}=") for text in texts]
    width = min(max(len(printable(text, None)) for text in [*shown, title]), WIDEST)
    return replace(column, title=printable(title, WIDEST), width=width)


def reasons(document: SweepDocument) -> list[tuple[str, str]]:
    """(what is wrong, of which points and why): points that could not be made, then figures that are not known; each
    reason once, with the first point it is of."""
    failed: dict[str, list[str]] = {}
    open_ones: dict[str, list[str]] = {}
    for point in document.points:
        values = ", ".join(f"{name} {value}" for name, value in point.values.items())
        name = printable(f"{point.model} {values}".strip(), 100)
        if point.totals is None or point.memory is None:
            failed.setdefault(printable(point.error or "", 300), []).append(name)
            continue
        why = point.totals.why or point.memory.why or (None if point.device is None else point.device.why)
        if why:
            open_ones.setdefault(printable(why, 200), []).append(name)
    return [*_named("error", failed), *_named("?", open_ones)]


def _named(what: str, found: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    for why, names in list(found.items())[:REASONS]:
        more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
        yield what, f"{names[0]}{more}: {why}"
    if len(found) > REASONS:
        yield what, f"{len(found) - REASONS:,} more reasons in -f json"
