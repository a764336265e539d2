"""Which rows of a model add up to a published figure: searches over groups of rows, and over every subset of them.

A search proves something only where it could have failed. Of `tried` sums, those within 10 % of the figure show how
densely sums lie there; were the figure placed at random within that window, `expected` of them would fall into it by
chance: sums in the window x numbers in the figure's interval / numbers in the window. Searches run from the most
natural to the most arbitrary; the hits of one are accepted only while the chance hits expected of it and of all
searches before it add up to at most `CHANCE`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, islice
from typing import Final

import msgspec

from effaudit.printable import printable
from effaudit.views.published.candidate import SUBSET, Count
from effaudit.views.published.figure import Reading
from effaudit.views.published.parts import Part

CHANCE: Final = 0.05
MAX_GROUPS: Final = 12  # 4,094 subsets
MAX_HALF: Final = 1 << 15  # sums of each half of the rows: every subset of 30 different rows
MAX_HITS: Final = 8
WINDOW: Final = 10  # the window is the figure +- 1 / WINDOW

Weigh = Callable[[Part], int]
Trial = tuple[int, Sequence[int]]  # the sum, and the groups left out


class Search(msgspec.Struct, frozen=True):
    """One search: what was tried, how many sums, how many hit, and how many hits chance alone would give (of this
    search, and of this one and all before it). `accepted` says whether the hits count as an explanation."""

    what: str
    tried: int
    hits: int
    expected: float
    expected_so_far: float
    accepted: bool


class Group(msgspec.Struct, frozen=True):
    """Rows that are left out together."""

    name: str
    rows: tuple[Part, ...]


class Axis(msgspec.Struct, frozen=True):
    """A partition of the rows: "kind", "operator", "scope" or "node"; `subsets` says to try every subset of it."""

    noun: str
    groups: tuple[Group, ...]
    subsets: bool


def searches(
    rows: tuple[Part, ...], weigh: Weigh, unit: str, reading: Reading, spent: float
) -> tuple[list[Search], list[Count]]:
    """Every search over the rows, and the subsets of the accepted ones that hit.

    `weigh` gives what a row counts, `unit` is its name ("macs"), `spent` the chance hits expected of searches before.
    """
    found: list[Search] = []
    hits: list[Count] = []
    rows = tuple(row for row in rows if weigh(row))
    if reading.low > sum(map(weigh, rows)) or reading.high < 1:
        return found, hits
    for axis in _axes(rows):
        search, counts = _over(axis, rows, weigh, unit, reading, spent)
        spent = search.expected_so_far
        found.append(search)
        hits += counts
    if len(rows) > 1:
        search, counts = _every(rows, weigh, unit, reading, spent)
        found.append(search)
        hits += counts
    return found, hits


# ---- groups
def _axes(rows: tuple[Part, ...]) -> Iterator[Axis]:
    """Partitions by kind, by operator, by scope and by node; one that an earlier one equals is skipped."""
    seen: set[tuple[int, ...]] = set()
    makers: tuple[tuple[str, Callable[[Part], str], bool], ...] = (
        ("kinds", lambda r: r.kind, True),
        ("operators", lambda r: r.node.op, True),
        ("scopes at depth 1", lambda r: scope(r, 1), False),
        ("scopes at depth 2", lambda r: scope(r, 2), False),
    )
    for noun, name, subsets in makers:
        groups = _grouped(rows, name)
        label = {id(row): i for i, group in enumerate(groups) for row in group.rows}
        pattern = tuple(label[id(row)] for row in rows)
        if len(groups) > 1 and pattern not in seen:
            seen.add(pattern)
            yield Axis(noun, groups, subsets)
    if tuple(range(len(rows))) not in seen and len(rows) > 1:
        yield Axis("nodes", tuple(Group(row.node.label, (row,)) for row in rows), False)


def _grouped(rows: tuple[Part, ...], name: Callable[[Part], str]) -> tuple[Group, ...]:
    found: dict[str, list[Part]] = {}
    for row in rows:
        found.setdefault(name(row), []).append(row)
    return tuple(Group(key, tuple(members)) for key, members in found.items())


def scope(row: Part, depth: int) -> str:
    """The first `depth` parts of a node's name that stand for modules: of "/a/a.0/conv/Conv", "a/a.0"."""
    label = row.node.name
    separator = "/" if "/" in label.strip("/") else "."
    names = [name for name in label.split(separator) if name]
    return separator.join(names[: min(depth, max(len(names) - 1, 0))])


def _trials(axis: Axis, sums: Sequence[int]) -> Iterator[Trial]:
    """Every proper subset of few groups; else each group left out or alone, the first groups, the last groups."""
    n, total = len(sums), sum(sums)
    if axis.subsets and n <= MAX_GROUPS:
        for mask in range(1, (1 << n) - 1):
            out = tuple(i for i in range(n) if mask >> i & 1)
            yield total - sum(sums[i] for i in out), out
        return
    for i, value in enumerate(sums):
        yield total - value, (i,)
    so_far = list(accumulate(sums))
    for k in range(1, n - 1):  # the first k groups; all but the last one are tried above
        yield so_far[k - 1], range(k, n)
    for k in range(2, n):  # the last n - k groups
        yield total - so_far[k - 1], range(k)


def _over(
    axis: Axis, rows: tuple[Part, ...], weigh: Weigh, unit: str, reading: Reading, spent: float
) -> tuple[Search, list[Count]]:
    sums = [sum(map(weigh, group.rows)) for group in axis.groups]
    low, high = _window(reading)
    tried = near = met = 0
    kept: list[Trial] = []
    for value, out in _trials(axis, sums):
        tried += 1
        near += low <= value <= high
        if reading.holds(value):
            met += 1
            kept.append((value, out))
            if len(kept) > 4 * MAX_HITS:
                kept = sorted(kept, key=lambda trial: len(trial[1]))[:MAX_HITS]
    how = "all subsets" if axis.subsets and len(sums) <= MAX_GROUPS else "one left out, the first and the last ones"
    what = f"{unit} of the {len(sums):,} {axis.noun}: {how}"
    search = _judged(what, tried, near, met, reading, spent)
    if not search.accepted:
        return search, []
    kept = sorted(kept, key=lambda trial: len(trial[1]))[:MAX_HITS]
    return search, [_count(axis, out, value, rows, unit) for value, out in kept]


def _count(axis: Axis, out: Sequence[int], value: int, rows: tuple[Part, ...], unit: str) -> Count:
    dropped = [axis.groups[i] for i in out]
    names = ", ".join(printable(group.name or "(no scope)", 60) for group in islice(dropped, 4))
    more = f" and {len(dropped) - 4} more" if len(dropped) > 4 else ""
    name = f"without {names}{more}"
    left = tuple(row for group in dropped for row in group.rows)
    formula = f"{unit} of the {axis.noun} less {len(dropped)} of {len(axis.groups)}"
    return Count(name, SUBSET, _counts(unit), value, formula, rows, left)


def _counts(unit: str) -> str:
    return "params" if unit == "params" else "compute"


# ---- chance
def _window(reading: Reading) -> tuple[int, int]:
    margin = (reading.low + reading.high) // (2 * WINDOW)
    return reading.low - margin, reading.high + margin


def _judged(what: str, tried: int, near: int, hits: int, reading: Reading, spent: float) -> Search:
    low, high = _window(reading)
    expected = near * (reading.high - reading.low + 1) / (high - low + 1)
    so_far = spent + expected
    return Search(what, tried, hits, expected, so_far, bool(hits) and so_far <= CHANCE)


# ---- every subset
class _Class(msgspec.Struct, frozen=True):
    """Rows that weigh the same: which of them are left out makes no difference to the sum."""

    weight: int
    rows: tuple[Part, ...]


def _every(
    rows: tuple[Part, ...], weigh: Weigh, unit: str, reading: Reading, spent: float
) -> tuple[Search, list[Count]]:
    """All subsets of the rows, by the sums of two halves (Horowitz and Sahni, https://doi.org/10.1145/321812.321823).

    Equal rows are counted, not told apart. Where there are too many sums, none is tried, and the search says so.
    """
    halves = _halves(_classes(rows, weigh))
    if halves is None:
        what = f"{unit}: every subset of the {len(rows):,} nodes that have {unit}: too many, none tried"
        return Search(what, 0, 0, 0.0, spent, False), []
    left, right = _sums(halves[0]), _sums(halves[1])
    order = sorted(range(len(right)), key=right.__getitem__)
    ordered = [right[i] for i in order]
    low, high = _window(reading)
    near = met = 0
    kept: list[tuple[int, int, int]] = []
    for i, value in enumerate(left):
        near += bisect_right(ordered, high - value) - bisect_left(ordered, low - value)
        first, after = bisect_left(ordered, reading.low - value), bisect_right(ordered, reading.high - value)
        met += after - first
        for j in islice(range(first, after), MAX_HITS):
            kept.append((value + ordered[j], i, order[j]))
        if len(kept) > 64 * MAX_HITS:
            kept = kept[: 32 * MAX_HITS]
    n, distinct = len(rows), len(left) * len(right)
    tried = f"{2**n:,}" if n <= 40 else f"2^{n}"
    what = f"{unit}: all {tried} subsets of the {n} node{'' if n == 1 else 's'} that have {unit}"
    if distinct < 2**n:
        what += f" ({distinct:,} different ones)"
    search = _judged(what, distinct, near, met, reading, spent)
    if not search.accepted:
        return search, []
    counts = [_subset(halves, i, j, value, rows, unit) for value, i, j in kept]
    return search, sorted(counts, key=lambda count: len(count.left_out))[:MAX_HITS]


def _classes(rows: Iterable[Part], weigh: Weigh) -> list[_Class]:
    found: dict[int, list[Part]] = {}
    for row in rows:
        found.setdefault(weigh(row), []).append(row)
    return [_Class(weight, tuple(members)) for weight, members in found.items()]


def _halves(classes: list[_Class]) -> tuple[list[_Class], list[_Class]] | None:
    """Two halves with about as many sums; None where one would have too many."""
    halves: tuple[list[_Class], list[_Class]] = ([], [])
    sizes = [1, 1]
    for item in sorted(classes, key=lambda c: -len(c.rows)):
        side = 0 if sizes[0] <= sizes[1] else 1
        halves[side].append(item)
        sizes[side] *= len(item.rows) + 1
        if sizes[side] > MAX_HALF:
            return None
    return halves


def _sums(classes: list[_Class]) -> list[int]:
    """The sum for each number of rows kept of each class; the last class varies fastest."""
    sums = [0]
    for item in classes:
        sums = [base + k * item.weight for base in sums for k in range(len(item.rows) + 1)]
    return sums


def _subset(
    halves: tuple[list[_Class], list[_Class]], i: int, j: int, value: int, rows: tuple[Part, ...], unit: str
) -> Count:
    kept: list[Part] = []
    interchangeable = False
    for classes, place in zip(halves, (i, j), strict=True):
        for item in reversed(classes):
            place, k = divmod(place, len(item.rows) + 1)  # noqa: PLW2901
            kept.extend(item.rows[:k])
            interchangeable = interchangeable or 0 < k < len(item.rows)
    inside = {id(row) for row in kept}
    left = tuple(row for row in rows if id(row) not in inside)
    names = ", ".join(printable(row.node.label, 60) for row in left[:4])
    more = f" and {len(left) - 4} more" if len(left) > 4 else ""
    words = f"{unit} of {len(kept)} of {len(rows)} nodes"
    if interchangeable:
        words += "; nodes that weigh the same are interchangeable"
    return Count(f"without {names}{more}" if left else unit, SUBSET, _counts(unit), value, words, rows, left)
