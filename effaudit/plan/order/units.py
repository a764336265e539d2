"""Nodes that may as well run in one go: those that take memory and give none back wait until what they are for.

Let a unit keep K bytes, all for one other unit, and free at most I <= K whatever ran before. Moved from its place to
just before its reader, it takes K away from all the steps between and adds at most I. Its own steps then come behind
those, with at most I + p - K more than the reader has before it, where p is what they take at most; that is no worse
than the reader's first step, if that makes as many bytes. So some best order has the two in one go. A tensor that a
later reader waits for the unit to read is never freed by it.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from effaudit.plan.order.task import FOREVER, Task, outlives

MAX_REACHED: Final = 4096  # nodes of a problem in which it is known who waits for whom: n^2 / 8 bytes
MAX_READERS: Final = 64  # readers of a tensor that are looked at: of more, any may be the last
MAX_RUN: Final = 32  # nodes of a unit

# Of one step: the bytes it makes, those that are gone behind it in any case, and the tensors that the unit reads here
# for the last time.
Step: TypeAlias = tuple[int, int, tuple[int, ...]]


class Units(msgspec.Struct, frozen=True):
    """A problem whose nodes are runs of nodes. `names` are the nodes of a unit in their order, `before` and `after` the
    units around it, `readers` the units that read a tensor, of those that may be freed; `start` as in `Task`."""

    names: tuple[tuple[int, ...], ...]
    before: tuple[frozenset[int], ...]
    after: tuple[tuple[int, ...], ...]
    steps: tuple[tuple[Step, ...], ...]
    sizes: tuple[int, ...]
    readers: tuple[frozenset[int], ...]
    start: int


def units_of(task: Task) -> Units:
    """The problem with as many nodes as possible put together."""
    runs = _Runs(task)
    for v in range(len(task.names) - 1, -1, -1):
        u = v
        while (w := runs.reader(u)) is not None and runs.may_wait(u, w):
            runs.join(u, w)
            u = w
    return _units(task, [runs.members[v] for v in range(len(task.names)) if runs.members[v]])


class _Runs:
    """Runs of nodes under construction, each under the number of its last node; `members` of the others are empty."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.members = [[v] for v in range(len(task.names))]
        self.last = list(range(len(task.names)))
        self.maker = {t: v for v, tensors in enumerate(task.makes) for t in tensors}
        self.below = _below(task) if len(task.names) <= MAX_REACHED else None

    def reader(self, u: int) -> int | None:
        """The one run that reads what the run `u` leaves behind."""
        found = {self.last[r] if r != FOREVER else r for t in self._kept(u) for r in self.task.readers[t]} - {u}
        return found.pop() if len(found) == 1 and FOREVER not in found else None

    def may_wait(self, u: int, w: int) -> bool:
        """Whether the run `u` may as well come just before `w`, its only reader."""
        if len(self.members[u]) + len(self.members[w]) > MAX_RUN:
            return False
        kept = sum(self.task.sizes[t] for t in self._kept(u))
        freed = self._freed(u, w)
        if freed > kept:
            return False
        first = self.task.made[self.members[w][0]]
        return freed + _peak(_steps(self.task, self.members[u])) - kept <= first

    def join(self, u: int, w: int) -> None:
        self.members[w] = self.members[u] + self.members[w]
        for v in self.members[u]:
            self.last[v] = w
        self.members[u] = []

    def _kept(self, u: int) -> list[int]:
        """The tensors the run makes that are read outside it."""
        readers = self.task.readers
        return [t for v in self.members[u] for t in self.task.makes[v] if any(self._outside(r, u) for r in readers[t])]

    def _outside(self, r: int, u: int) -> bool:
        return r == FOREVER or self.last[r] != u

    def _freed(self, u: int, w: int) -> int:
        """The bytes that the run reads from outside and may be the last to read."""
        total = 0
        for t in {t for v in self.members[u] for t in self.task.reads[v]}:
            if (t not in self.maker or self.last[self.maker[t]] != u) and self._may_be_last(t, u, w):
                total += self.task.sizes[t]
        return total

    def _may_be_last(self, t: int, u: int, w: int) -> bool:
        readers = self.task.readers[t]
        if len(readers) > MAX_READERS:
            return not outlives(self.task, t)
        for r in readers:
            if r == FOREVER or self.last[r] == w:
                return False
            if self.last[r] != u and self.below is not None and any(self.below[v] >> r & 1 for v in self.members[u]):
                return False
        return True


def _below(task: Task) -> list[int]:
    """Of every node, the mask of those that wait for it."""
    below = [0] * len(task.names)
    for v in range(len(below) - 1, -1, -1):
        for w in task.after[v]:
            below[v] |= below[w] | 1 << w
    return below


def _steps(task: Task, members: list[int]) -> tuple[Step, ...]:
    inside = set(members)
    made = {t for v in members for t in task.makes[v]}
    behind: set[int] = set()  # tensors read at a later step
    steps: list[Step] = []
    for v in reversed(members):
        gone, last = task.dropped[v], []
        for t in task.reads[v]:
            if t not in behind and not outlives(task, t):
                behind.add(t)
                if t in made and inside.issuperset(task.readers[t]):
                    gone += task.sizes[t]
                else:
                    last.append(t)
        steps.append((task.made[v], gone, tuple(last)))
    return tuple(reversed(steps))


def _peak(steps: tuple[Step, ...]) -> int:
    """The most that the steps take beyond what was there, if they free nothing that they did not make."""
    most = memory = 0
    for made, gone, _ in steps:
        most = max(most, memory + made)
        memory += made - gone
    return most


def _units(task: Task, members: list[list[int]]) -> Units:
    unit = {v: i for i, run in enumerate(members) for v in run}
    before = tuple(frozenset(unit[u] for v in run for u in task.before[v]) - {i} for i, run in enumerate(members))
    after: list[list[int]] = [[] for _ in members]
    for i, earlier in enumerate(before):
        for j in sorted(earlier):
            after[j].append(i)
    return Units(
        names=tuple(map(tuple, members)),
        before=before,
        after=tuple(map(tuple, after)),
        steps=tuple(_steps(task, run) for run in members),
        sizes=task.sizes,
        readers=tuple(
            frozenset() if outlives(task, t) else frozenset(unit[r] for r in readers)
            for t, readers in enumerate(task.readers)
        ),
        start=task.start,
    )
