"""What the positions of a tensor see of one axis of one graph input."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from effaudit.dims import Dim
from effaudit.errors import Undecided
from effaudit.views.reach import steps
from effaudit.views.reach.steps import IDENTITY, Budget, Steps, Taps

NOTHING: Final = steps.NOTHING
STILL: Final = Steps((0,), (0,), 0)


class Reach(msgspec.Struct, frozen=True, gc=False):
    """The interval low..high plus that of every term (axis of the tensor, its steps), at that axis' position.

    low > high: no path through windows leads there. `whole`: a path leads there that sees all of the axis' `extent`
    elements, whatever the position. `why`: the windowed paths are not known, for this reason.
    """

    extent: int | None
    low: float
    high: float
    terms: tuple[tuple[int, Steps], ...]
    whole: bool = False
    why: str = ""

    @property
    def local(self) -> bool:
        """Whether a windowed path is known."""
        return self.low <= self.high and not self.why


Field: TypeAlias = Mapping[str, tuple[Reach, ...]]  # by graph input: one Reach per axis of it


def source(shape: Sequence[Dim]) -> tuple[Reach, ...]:
    """What a graph input sees of itself."""
    return tuple(
        settled(Reach(d, 0, 0, () if d == 1 else ((i, IDENTITY),)))
        if isinstance(d, int)
        else Reach(None, 0, 0, ((i, IDENTITY),))
        for i, d in enumerate(shape)
    )


def settled(reach: Reach) -> Reach:
    """An interval that no position changes is cut to the input, and is `whole` where it covers that."""
    if reach.terms or reach.extent is None or reach.why or reach.low > reach.high:
        return reach
    low, high = max(reach.low, 0), min(reach.high, reach.extent - 1)
    if low > high or (low == 0 and high == reach.extent - 1):
        return Reach(reach.extent, *NOTHING, (), reach.whole or low <= high)
    return Reach(reach.extent, low, high, (), reach.whole)


def unknown(reach: Reach, why: str) -> Reach:
    """The same with its windowed paths lost."""
    return Reach(reach.extent, *NOTHING, (), reach.whole, reach.why or why)


def mixed(reach: Reach, axes: Iterable[int], shape: Sequence[Dim]) -> Reach:
    """What a mixture of all positions along `axes` sees. Raises Undecided where their number is not known."""
    terms = dict(reach.terms)
    chosen = [axis for axis in axes if axis in terms]
    if not chosen:
        return reach
    low, high = reach.low, reach.high
    for axis in chosen:
        size = shape[axis]
        if not isinstance(size, int):
            raise Undecided("the length of an axis that is mixed is not known")
        least, most = steps.hull(terms.pop(axis), range(size))
        low, high = low + least, high + most
    return settled(Reach(reach.extent, low, high, tuple(terms.items()), reach.whole, reach.why))


def renamed(reach: Reach, axes: Mapping[int, int]) -> Reach:
    """The same where the tensor's axes are called otherwise."""
    if not reach.terms or all(axes[axis] == axis for axis, _ in reach.terms):
        return reach
    terms = tuple(sorted(((axes[axis], term) for axis, term in reach.terms), key=lambda item: item[0]))
    return Reach(reach.extent, reach.low, reach.high, terms, reach.whole, reach.why)


def with_terms(reach: Reach, terms: Mapping[int, Steps], low: float, high: float) -> Reach:
    """Other terms, and `low` and `high` added to the base."""
    low, high, found = reach.low + low, reach.high + high, []
    for axis, term in sorted(terms.items(), key=lambda item: item[0]):
        if term.shift == 0 and len(term.low) == 1:  # no position changes it
            low, high = low + term.low[0], high + term.high[0]
        else:
            found.append((axis, term))
    return settled(Reach(reach.extent, low, high, tuple(found), reach.whole, reach.why))


def slid(reach: Reach, axis: int, taps: Taps, count: Dim, budget: Budget) -> Reach:
    """What an output sees whose `count` positions along `axis` read `taps` of it."""
    for i, (at, term) in enumerate(reach.terms):
        if at == axis:
            made = steps.composed(term, taps, count if isinstance(count, int) else None, budget)
            terms = (*reach.terms[:i], (axis, made), *reach.terms[i + 1 :])
            return Reach(reach.extent, reach.low, reach.high, terms, reach.whole, reach.why)
    return reach


def reshaped(reach: Reach, before: Sequence[Dim], after: Sequence[Dim], budget: Budget) -> Reach:
    """What the same elements see under another shape. Raises Undecided where that cannot be told."""
    if not reach.terms or reach.why:
        return reach
    low: float = 0
    high: float = 0
    terms: dict[int, Steps] = {}
    own = dict(reach.terms)
    for olds, news in _groups(before, after):
        here = [axis for axis in olds if axis in own]
        if not here:
            continue
        if len(olds) == 1 and len(news) == 1:
            terms[news[0]] = own[olds[0]]
        elif not news:  # axes of length 1
            for axis in here:
                least, most = own[axis].at(0)
                low, high = low + least, high + most
        else:
            terms.update(_regrouped(own, olds, news, before, after, budget))
    return with_terms(reach, terms, low, high)


def _regrouped(
    own: Mapping[int, Steps],
    olds: Sequence[int],
    news: Sequence[int],
    before: Sequence[Dim],
    after: Sequence[Dim],
    budget: Budget,
) -> dict[int, Steps]:
    """The terms of axes `olds` as terms of axes `news`, which hold the same elements."""
    whole: Steps | None = own.get(olds[0])
    for axis in olds[1:]:
        size = before[axis]
        if not isinstance(size, int):
            raise Undecided("a Reshape of axes of unknown length")
        if whole is not None or axis in own:
            whole = steps.merged(whole, own.get(axis), size, budget)
    assert whole is not None
    made: dict[int, Steps] = {}
    for axis in reversed(news[1:]):
        size = after[axis]
        if not isinstance(size, int):
            raise Undecided("a Reshape of axes of unknown length")
        whole, made[axis] = steps.parted(whole, size, budget)
    made[news[0]] = whole
    return made


def _groups(before: Sequence[Dim], after: Sequence[Dim]) -> list[tuple[list[int], list[int]]]:
    """The axes of both shapes in the smallest groups that hold the same elements; axes of length 1 by themselves.

    Raises Undecided where unknown lengths hide which.
    """
    olds = [i for i, d in enumerate(before) if d != 1]
    news = [i for i, d in enumerate(after) if d != 1]
    groups: list[tuple[list[int], list[int]]] = [([i], []) for i, d in enumerate(before) if d == 1]
    tail: list[tuple[list[int], list[int]]] = []
    while olds and news and before[olds[0]] == after[news[0]] and not _all_ints(before, after, olds, news):
        groups.append(([olds.pop(0)], [news.pop(0)]))
    while olds and news and before[olds[-1]] == after[news[-1]] and not _all_ints(before, after, olds, news):
        tail.append(([olds.pop()], [news.pop()]))
    if not _all_ints(before, after, olds, news):
        raise Undecided("a Reshape of axes of unknown length")
    while olds and news:
        left, right = [olds.pop(0)], [news.pop(0)]
        a, b = before[left[0]], after[right[0]]
        while a != b and (olds if a < b else news):
            if a < b:
                left.append(olds.pop(0))
                a = a * before[left[-1]]
            else:
                right.append(news.pop(0))
                b = b * after[right[-1]]
        groups.append((left, right))
    return groups + tail


def _all_ints(before: Sequence[Dim], after: Sequence[Dim], olds: Sequence[int], news: Sequence[int]) -> bool:
    return all(isinstance(before[i], int) for i in olds) and all(isinstance(after[i], int) for i in news)


def joined(a: Reach, b: Reach, shape: Sequence[Dim], budget: Budget, note: Callable[[str], None]) -> Reach:
    """What sees both, position by position. Branches whose steps differ are told to `note`."""
    if a is b or a == b:
        return a
    whole = a.whole or b.whole
    if a.why or b.why:
        return Reach(a.extent, *NOTHING, (), whole, a.why or b.why)
    for one, other in ((a, b), (b, a)):
        if one.low > one.high:
            return other if other.whole == whole else msgspec.structs.replace(other, whole=whole)
    left, right = dict(a.terms), dict(b.terms)
    differ = [axis for axis in {**left, **right} if left.get(axis) != right.get(axis)]
    if not differ:
        return settled(Reach(a.extent, min(a.low, b.low), max(a.high, b.high), a.terms, whole))
    if len(differ) > 1:  # rows see one part, columns another: all columns are taken together
        note("its branches move over the input along different axes; the later ones are taken together")
        rest = sorted(differ)[1:]
        return joined(mixed(a, rest, shape), mixed(b, rest, shape), shape, budget, note)
    axis = differ[0]
    first, second = left.get(axis, STILL), right.get(axis, STILL)
    if first.rate and second.rate and first.rate != second.rate:
        note(f"its branches differ in stride: {' and '.join(map(str, sorted([first.rate, second.rate])))}")
    size = shape[axis]
    first, second = steps.moved(first, a.low, a.high), steps.moved(second, b.low, b.high)
    left[axis] = steps.union(first, second, size if isinstance(size, int) else None, budget)
    return Reach(a.extent, 0, 0, tuple(sorted(left.items(), key=lambda item: item[0])), whole)
