"""Search for plans that no greedy planner finds, and for proofs that there are none.

First the complete search of `_branch` at the floor: it finds a plan there, or that there is none and how high the next
attempt must be, or runs out of steps. Then many short searches below the best plan known, each in another order:
buffers that stood in the sections that failed before come earlier (as constraint solvers weigh the constraints that
failed; Boussemart et al. 2004, "Boosting systematic search by weighting constraints").
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import msgspec

from effaudit.plan.offsets import _greedy, _kernel, _start
from effaudit.plan.offsets._branch import Outcome, branch
from effaudit.plan.offsets._instance import Instance, instance
from effaudit.plan.problem import Plan, Problem

# Looks at a buffer or a section, about 20 million a second.
STEPS = {"low": 4_000_000, "normal": 30_000_000, "high": 850_000_000}
MAX_PAIRS = 500_000  # of the buffers left to search
PROOF_SHARE = 20  # one of so many steps goes into the complete search
TARGETS = (7, 7, 7, 4, 7, 7, 7, 0)  # capacities of short searches in turn, in eighths from the floor to the best plan
CHANCE = 10  # steps of a short search, in walks from the bottom to the top


def solve(problem: Problem, effort: str = "normal") -> Plan:
    """The best plan found from the best greedy one on; its floor is raised where the search proves more."""
    compiled = instance(problem)
    found = improve(compiled, _start.best(compiled), STEPS[effort])
    return compiled.plan(problem, found.start.offsets, "search", found.floor)


class Found(msgspec.Struct, frozen=True):
    """The best plan and the best lower bound."""

    start: _start.Start
    floor: int


def improve(compiled: Instance, start: _start.Start, steps: int) -> Found:
    """From a plan to a lower one, in about `steps` steps at most."""
    if start.height <= compiled.floor or compiled.pairs > _start.ONE_GREEDY:
        return Found(start, compiled.floor)
    run = _Run(compiled, start, steps)
    run.prove(steps // PROOF_SHARE)
    run.descend()
    return Found(run.best, run.floor)


class _Part:
    """The hard part at one capacity, ready for searches."""

    def __init__(self, compiled: Instance, neighbours: Sequence[Sequence[int]], capacity: int) -> None:
        self.capacity = capacity
        self.kept, self.easy = _kernel.split(compiled, neighbours, capacity)
        whole = not self.easy
        self.compiled = compiled if whole else _kernel.subset(compiled, self.kept)
        self.small = self.compiled.pairs <= MAX_PAIRS
        self.neighbours = neighbours if whole or not self.small else self.compiled.neighbours()
        self.members: list[list[int]] = [[] for _ in self.compiled.totals]
        if self.small:
            for i, (a, b) in enumerate(zip(self.compiled.first, self.compiled.last, strict=True)):
                for k in range(a, b):
                    self.members[k].append(i)

    @property
    def walk(self) -> int:
        """About the steps of placing each buffer once."""
        c = self.compiled
        return c.count * (c.count + len(c.totals)) // 2 + 4 * c.pairs + 1

    def search(self, order: Sequence[int], steps: int) -> Outcome:
        return branch(self.compiled, self.neighbours, self.members, order, self.capacity, steps)


class _Run:
    def __init__(self, compiled: Instance, start: _start.Start, steps: int) -> None:
        self.compiled = compiled
        self.neighbours = compiled.neighbours()
        self.best = start
        self.floor = compiled.floor
        self.left = steps

    def prove(self, steps: int) -> None:
        """The complete search, from the floor upwards, for so many steps."""
        end = self.left - steps
        while self.left > end and self.floor < self.best.height:
            part = _Part(self.compiled, self.neighbours, self.floor)
            if not part.small:
                return
            outcome = part.search(_by_peak(part.compiled), self.left - end)
            self._take(part, outcome)
            if outcome.offsets is None:
                self.floor = min(max(self.floor, outcome.bound), self.best.height)

    def descend(self) -> None:
        """Short searches between the floor and the best plan, until one meets the floor or the steps are used."""
        rng = random.Random(1)
        weights: dict[tuple[str, int], list[float]] = {}
        turn = 0
        while self.left > 0 and self.floor < self.best.height:
            gap = self.best.height - 1 - self.floor
            eighths = TARGETS[turn % len(TARGETS)]
            part = _Part(self.compiled, self.neighbours, self.floor + gap * eighths // 8)
            if not part.small:
                return
            for name, key in _KEYS.items():
                weight = weights.setdefault((name, eighths), [0.0] * self.compiled.count)
                order = _order(part, key(part.compiled), weight, rng, lexical=turn // len(TARGETS) % 2 == 0)
                outcome = part.search(order, min(CHANCE * part.walk, max(self.left, 1)))
                _learn(part, weight, outcome)
                if self._take(part, outcome) or self.left <= 0:
                    break
            turn += 1

    def _take(self, part: _Part, outcome: Outcome) -> bool:
        self.left -= outcome.steps + part.walk // 8
        if outcome.offsets is None:
            if outcome.bound:
                self.floor = min(max(self.floor, outcome.bound), self.best.height)
            return False
        offsets = [-1] * self.compiled.count
        for i, offset in zip(part.kept, outcome.offsets, strict=True):
            offsets[i] = offset
        self._fill(part, offsets)
        height = self.compiled.height(offsets)
        if height < self.best.height:
            self.best = _start.Start(height, offsets, "search")
        return True

    def _fill(self, part: _Part, offsets: list[int]) -> None:
        sizes = self.compiled.sizes
        for i in part.easy:
            spans = [(offsets[j], offsets[j] + sizes[j]) for j in self.neighbours[i] if offsets[j] >= 0]
            offsets[i] = _greedy.lowest(sorted(spans), sizes[i])


_KEYS: dict[str, Callable[[Instance], list[int]]] = {
    "width": lambda c: [end - start for start, end in zip(c.starts, c.ends, strict=True)],
    "area": lambda c: [size * (b - a) for size, a, b in zip(c.sizes, c.starts, c.ends, strict=True)],
    "sections": lambda c: [b - a for a, b in zip(c.first, c.last, strict=True)],
    "size": lambda c: list(c.sizes),
}


def _by_peak(compiled: Instance) -> list[int]:
    """The busiest section first, then the longest, then the largest lifetime times size (MiniMalloc's "TWA")."""
    return _greedy.sort(compiled, compiled.peaks, _KEYS["width"](compiled), _KEYS["area"](compiled))


def _order(part: _Part, key: list[int], weight: list[float], rng: random.Random, *, lexical: bool) -> list[int]:
    """By weight and key, a little shuffled; `lexical`: the key only between equal weights."""
    most = max(weight) or 1.0
    if lexical:
        shuffled = [weight[i] / most * rng.uniform(0.8, 1.2) for i in part.kept]
        return sorted(range(len(key)), key=lambda i: (shuffled[i], key[i]), reverse=True)
    shuffled = [k * (1 + 9 * weight[i] / most) * rng.uniform(0.8, 1.2) for k, i in zip(key, part.kept, strict=True)]
    return sorted(range(len(key)), key=shuffled.__getitem__, reverse=True)


def _learn(part: _Part, weight: list[float], outcome: Outcome) -> None:
    total = sum(outcome.blame) or 1
    for i, blame in zip(part.kept, outcome.blame, strict=True):
        weight[i] = weight[i] * 0.8 + blame / total
