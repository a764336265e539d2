"""Against: what in a model a published figure counts, if anything does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from effaudit.audited import Audited
from effaudit.views.published.architectures import Architecture, find, known
from effaudit.views.published.candidate import FIGURE, SUBSET, VARIANT, Count
from effaudit.views.published.conventions import conventions
from effaudit.views.published.figure import BYTES, COMPUTE, ELEMENTS, PARAMS, Figure, Reading, parse
from effaudit.views.published.parts import Part, Parts, parts
from effaudit.views.published.subsets import Search, searches
from effaudit.views.published.totals import totals

_ORDER: Final = {FIGURE: 0, "convention": 1, VARIANT: 2, SUBSET: 3}
_NEAREST: Final = 5
_MEANT: Final = {
    COMPUTE: (COMPUTE,),
    PARAMS: (PARAMS,),
    BYTES: (BYTES,),
    "": (COMPUTE, PARAMS, ELEMENTS),
}


class Candidate(msgspec.Struct, frozen=True):
    """Something the figure may count.

    `group`: "figure" (a total as this program counts), "convention" (another way to count), "variant" (another graph)
    or "subset" (some rows). `counts`: "compute", "params", "bytes" or "elements". `difference` is value - published,
    `share` the same over the published value (0.01: one percent more; null where that is 0). `reading` says how the
    digits must be read for a hit, "" for no hit. `kept` is the number of nodes in the sum (0: it is no sum over nodes),
    `left_out` the labels of those that a hit leaves out, as in the file (not made printable).
    """

    name: str
    group: str
    counts: str
    value: int
    formula: str
    difference: int
    share: float | None
    reading: str
    left_out: tuple[str, ...] = ()
    kept: int = 0


class RowShare(msgspec.Struct, frozen=True):
    """A node with its multiply-accumulates (the fewest, where they are not exact) and its share of the total."""

    node: str
    op: str
    kind: str
    macs: int
    share: float


class Explanation(msgspec.Struct, frozen=True):
    """One published figure and what explains it.

    `reproduced` is True where a count of this very graph gives the figure. `hits` are best first; `nearest` are the
    closest counts that miss. `searches` say what was tried beside the `named` counts, `note` what was not and why, and
    what the numbers depend on.
    """

    figure: Figure
    reproduced: bool
    hits: tuple[Candidate, ...]
    nearest: tuple[Candidate, ...]
    named: int
    searches: tuple[Search, ...]
    note: tuple[str, ...]


class Against(msgspec.Struct, frozen=True):
    """A model against a published figure, or against the figures of a published architecture.

    `reproduced` is True where every figure is. `rows` are all nodes with multiply-accumulates, in execution order.
    """

    model: str
    text: str
    architecture: Architecture | None
    reproduced: bool
    figures: tuple[Explanation, ...]
    rows: tuple[RowShare, ...]


def against(audited: Audited, text: str) -> Against:
    """What in the model gives a published figure ("3.8G", "25.6M", "98MB") or an architecture's ("resnet50").

    Raises UsageError where the text is neither a figure nor an architecture's name.
    """
    architecture = known(text)
    if architecture is None and text[:1].isalpha():
        architecture = find(text)
    figures = _figures(architecture) if architecture else (parse(text),)
    own = parts(audited)
    explain = _explain if architecture is None else _compare
    found = tuple(explain(figure, own) for figure in figures)
    rows = tuple(_share(row, own) for row in own.computing)
    return Against(audited.name, text, architecture, all(e.reproduced for e in found), found, rows)


def _figures(architecture: Architecture) -> tuple[Figure, ...]:
    return tuple(f for f in (architecture.published_params, architecture.published_macs) if f is not None)


def _share(row: Part, own: Parts) -> RowShare:
    total = own.macs.low
    return RowShare(row.node.label, row.node.op, row.kind, row.macs, row.macs / total if total else 0.0)


def _compare(figure: Figure, own: Parts) -> Explanation:
    """With a published architecture: named counts only. Some part of any large graph has some architecture's count."""
    named, hits = _named(figure, own)
    return _explained(figure, named, hits, (), [*_notes(own), "subsets are not searched for an architecture"])


def _explain(figure: Figure, own: Parts) -> Explanation:
    named, hits = _named(figure, own)
    notes = _notes(own)
    tried: list[Search] = []
    if figure.counts == BYTES:
        notes.append("subsets are searched for operations and parameters only")
    elif any(_exact(hit, figure) for hit in hits):
        notes.append("a named count gives the figure: no subsets tried")
    else:
        tried, counts = _search(figure, own, notes)
        hits += [hit for count in counts if (hit := _hit(count, figure)) is not None]
    return _explained(figure, named, hits, tried, notes)


def _named(figure: Figure, own: Parts) -> tuple[list[Count], list[Candidate]]:
    """The counts with a name that the figure may mean, and those that meet it."""
    named = [count for count in (*totals(own), *conventions(own)) if count.counts in _meant(figure)]
    return named, [hit for count in named if (hit := _hit(count, figure)) is not None]


def _explained(
    figure: Figure, named: Sequence[Count], met: Sequence[Candidate], tried: Sequence[Search], notes: Sequence[str]
) -> Explanation:
    hits = _unique(sorted(met, key=lambda hit: _rank(hit, figure)))
    taken = {hit.name for hit in hits}
    missed = sorted((c for c in named if c.name not in taken), key=lambda c: abs(c.value - figure.value))
    nearest = tuple(_candidate(c, figure, "") for c in missed[:_NEAREST])
    reproduced = any(hit.group != VARIANT for hit in hits)
    return Explanation(figure, reproduced, tuple(hits), nearest, len(named), tuple(tried), tuple(notes))


def _meant(figure: Figure) -> tuple[str, ...]:
    """What the figure may count; a bare whole number may be a number of bytes too."""
    bare = not figure.counts and figure.text.replace(",", "").isdigit()
    return (*_MEANT[figure.counts], BYTES) if bare else _MEANT[figure.counts]


def _notes(own: Parts) -> list[str]:
    """What every number of this model depends on."""
    notes = []
    if own.macs.value is None:
        notes.append(f"the model's macs are not exact, the rows hold the fewest: {own.macs.why}")
    for why in sorted({row.why for row in own.audited.table.unpriced})[:3]:
        notes.append(f"a node has no price: {why}")
    dims = own.audited.graph.dims
    assumed = [f"{name}={info.value}" for name, info in dims.items() if info.origin == "assumed"]
    if assumed:
        notes.append(f"dims assumed: {', '.join(assumed[:6])}")
    return notes


# ---- hits
def _hit(count: Count, figure: Figure) -> Candidate | None:
    """The count under the strictest reading that it meets; only totals and variants may meet the loose ones."""
    for reading in figure.readings:
        loose = reading not in figure.strict
        if reading.holds(count.value) and not (loose and count.group not in (FIGURE, VARIANT)):
            return _candidate(count, figure, reading.how)
    return None


def _candidate(count: Count, figure: Figure, reading: str) -> Candidate:
    difference = count.value - figure.value
    return Candidate(
        count.name,
        count.group,
        count.counts,
        count.value,
        count.formula,
        difference,
        difference / figure.value if figure.value else None,
        reading,
        tuple(row.node.label for row in count.left_out) if reading else (),
        len(count.rows) - len(count.left_out),
    )


def _exact(hit: Candidate, figure: Figure) -> bool:
    """True where the digits are met as given, by a count of this graph."""
    return hit.group != VARIANT and hit.reading in {reading.how for reading in figure.strict}


def _rank(hit: Candidate, figure: Figure) -> tuple[int, int, int, int]:
    """Strict readings first, then totals (in their order), conventions, variants and subsets; of these the one with
    the fewest rows left out, then the closest."""
    loose = hit.reading not in {reading.how for reading in figure.strict}
    off = 0 if hit.group == FIGURE else abs(hit.difference)
    return int(loose), _ORDER[hit.group], len(hit.left_out), off


def _unique(hits: Iterable[Candidate]) -> list[Candidate]:
    """One hit per value, what it counts and rows left out: the first."""
    found: dict[tuple[object, ...], Candidate] = {}
    for hit in hits:
        found.setdefault((hit.counts, hit.value, hit.left_out), hit)
    return list(found.values())


# ---- subsets
def _search(figure: Figure, own: Parts, notes: list[str]) -> tuple[list[Search], list[Count]]:
    """The searches that the figure's unit allows, each on top of the chance hits of those before."""
    reading = figure.strict[0]
    found: list[Search] = []
    hits: list[Count] = []
    runs: list[tuple[str, tuple[Part, ...], Reading]] = []
    if figure.counts in (COMPUTE, "") and own.macs.value is not None:
        runs.append(("macs", own.computing, reading))
        if figure.flops:
            runs.append(("2 x macs", own.computing, reading))
    elif figure.counts != PARAMS:
        notes.append("subsets are searched only where the macs are exact")
    if figure.counts in (PARAMS, ""):
        runs.append(("params", own.holding, reading))
    for unit, rows, wanted in runs:
        spent = found[-1].expected_so_far if found else 0.0
        searched, counts = searches(rows, _WEIGHTS[unit], unit, wanted, spent)
        if not searched:
            notes.append(f"no subset has that many {unit}")
        found += searched
        hits += counts
    if any(search.hits and not search.accepted for search in found):
        notes.append("subsets that hit are not shown where chance alone would give as many")
    return found, hits


_WEIGHTS: Final = {
    "macs": lambda row: row.macs,
    "2 x macs": lambda row: 2 * row.macs,
    "params": lambda row: row.params,
}
