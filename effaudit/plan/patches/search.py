"""The best stage and grid: of all places where one tensor alone leads from the first nodes to the others."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import Final

import msgspec

from effaudit.dataflow import Flow
from effaudit.graph import Graph
from effaudit.plan.patches.memory import Feed, Keeping, after_each, keeping, rest, waiting
from effaudit.plan.patches.patched import Part, Patched, assembled, kinds, most_of_a_patch, needs
from effaudit.plan.patches.spans import Blocked
from effaudit.plan.patches.stage import BlockedAt, Stage, compiled, settled
from effaudit.plan.storage import APART, Sharing
from effaudit.table import CostTable, price

MOST_PARTS: Final = 8  # along one axis
MOST_MISFITS: Final = 16  # tensors tried whose axes do not suit the operators before them
REST: Final = 4  # what a walk over the whole graph counts as, in nodes visited
WORK: Final = 2_000_000  # nodes visited


class Search(msgspec.Struct, frozen=True):
    """What a search found.

    `best` is None where no stage does what was asked: `why` says so. `blocked` is what no stage can reach past ("" if
    nothing is in the way). `cuts` is the number of tensors a stage can end at, `tried` that of stages and grids looked
    at; `complete` is False where the work allowed ended before all that could be better were.
    """

    best: Patched | None
    why: str
    blocked: str
    cuts: int
    tried: int
    complete: bool


class Cut(msgspec.Struct, frozen=True):
    """A tensor that alone leads from the nodes of a stage to all others. The stage ends with the node `last`."""

    tensor: str
    last: int


class _Spent(Exception):
    """The work allowed is done."""


class _Work:
    """Counts nodes visited."""

    def __init__(self, allowed: int) -> None:
        self.left = allowed

    def spend(self, nodes: int) -> None:
        if nodes > self.left:
            raise _Spent
        self.left -= nodes


def best_patches(
    graph: Graph,
    flow: Flow,
    *,
    budget: int | None = None,
    feed: Feed = "resident",
    sharing: Sharing = APART,
    table: CostTable | None = None,
    work: int = WORK,
) -> Search:
    """The stage and grid of the least `patched_bytes`, of these the least extra MACs; with a `budget` in bytes, of
    those within it the least extra MACs, of these the least bytes.

    Stages end at spatial tensors that alone lead to all nodes after them in the graph's order. Grids are 2x2 to 8x8
    on square maps, and up to 8 by up to 8 in any combination on others. The best may still take more than the graph
    without patches: the caller compares. `feed`, `sharing`, `table` as in `patched`; `work` bounds the nodes visited.
    """
    table, flow = table or price(graph, flow), settled(graph, flow)
    found = cuts(graph, flow)
    deepest, blocked = _deepest(graph, flow, found, table)
    if deepest is None or not deepest.steps:
        why = blocked or "no tensor alone leads from the first nodes to the others"
        return Search(None, why, blocked, 0, 0, complete=True)
    found = [cut for cut in found if cut.last <= deepest.steps[-1].index and _laid_out(graph, deepest, cut.tensor)]
    searching = _Searching(graph, flow, feed, sharing, table, budget, _Work(work))
    complete = True
    try:
        searching.all(deepest, found)
    except _Spent:
        complete = False
    except Blocked as doubt:
        return Search(None, str(doubt), blocked, len(found), searching.tried, complete=False)
    best = searching.best
    why = "" if best is not None else _none(budget, searching, complete)
    return Search(best, why, blocked, len(found), searching.tried, complete)


def _laid_out(graph: Graph, deepest: Stage, tensor: str) -> bool:
    """Whether a tensor of the deepest stage has the same tiled axes where a stage ends at it."""
    shape, tiled = graph.values[tensor].shape, deepest.tensors.get(tensor)
    return shape is not None and tiled is not None and len(tiled.extents) == len(shape) - 2


def _none(budget: int | None, searching: _Searching, complete: bool) -> str:
    if not complete:
        return f"the work allowed ended after {searching.tried} stages and grids"
    if searching.doubt:
        return searching.doubt
    if budget is not None and searching.fits:
        return f"no stage and grid takes {budget} bytes or less"
    return "no stage can be split into tiles"


def cuts(graph: Graph, flow: Flow) -> list[Cut]:
    """Where one tensor alone leads on, in order: all nodes up to there that depend on the model's input make it."""
    born: dict[str, int] = {}
    dies: dict[str, int] = {}
    for i, (node, read, runs) in enumerate(zip(graph.nodes, flow.reads, flow.live, strict=True)):
        if runs:
            for name in read:
                if name in flow.varying:
                    born.setdefault(name, i)  # a graph input, from its first reader on
                    dies[name] = i
            for name in node.outputs:
                if name in flow.varying:
                    born[name] = i
    end = len(graph.nodes)
    for name in graph.outputs:
        if name in born:
            dies[name] = end
    names = [name for name in born if dies.get(name, born[name]) > born[name]]
    count, which = [0] * (end + 1), [0] * (end + 1)
    for number, name in enumerate(names):
        for at, sign in ((born[name], 1), (dies[name], -1)):
            count[at] += sign
            which[at] += sign * number
    return list(_alone(graph, flow, names, count, which))


def _alone(graph: Graph, flow: Flow, names: Sequence[str], count: list[int], which: list[int]) -> Iterator[Cut]:
    """The tensors that are the only ones open after their node."""
    opened = total = 0
    inputs = set(graph.inputs)
    for i, node in enumerate(graph.nodes):
        opened += count[i]
        total += which[i]
        if opened == 1 and flow.live[i] and names[total] in node.outputs and names[total] not in inputs:
            yield Cut(names[total], i)


def _deepest(graph: Graph, flow: Flow, found: Sequence[Cut], table: CostTable) -> tuple[Stage | None, str]:
    """The stage of the last cut that one can end at, and what blocks the way further."""
    indices = [i for i, read in enumerate(flow.reads) if flow.live[i] and not flow.varying.isdisjoint(read)]
    blocked, limit, misfits = "", len(graph.nodes), 0
    for cut in reversed(found):
        if cut.last >= limit:
            continue
        # A try ends at the node that blocks, and the next begins before that: together they visit every node once.
        back = (indices[k] for k in range(bisect_right(indices, cut.last) - 1, -1, -1))
        try:
            return compiled(graph, flow, back, cut.tensor, table), blocked
        except BlockedAt as why:
            blocked = str(why)
            misfits += why.axes
            if not why.axes or misfits > MOST_MISFITS:
                limit = why.index
        except Blocked as why:  # this tensor is no map of positions
            blocked = blocked or str(why)
    return None, blocked


class _Searching:
    """The state of one search."""

    def __init__(
        self,
        graph: Graph,
        flow: Flow,
        feed: Feed,
        sharing: Sharing,
        table: CostTable,
        budget: int | None,
        work: _Work,
    ) -> None:
        self.graph, self.flow, self.feed, self.sharing, self.table = graph, flow, feed, sharing, table
        self.budget, self.work = budget, work
        self.best: Patched | None = None
        self.tried = 0
        self.fits = False  # whether any stage can be split at all
        self.doubt = ""  # why one could not be told
        self.cut_short = False  # whether some were never bounded

    def all(self, deepest: Stage, found: Sequence[Cut]) -> None:
        """Stages in the order of what they take at the least. Raises _Spent, Blocked."""
        inputs = sum(waiting(self.graph, self.flow, deepest)) if self.feed == "resident" else 0
        known = [(deepest.tensors[cut.tensor].whole + inputs, cut) for cut in found]
        known = [(least, cut) for least, cut in known if any(_grids(deepest.tensors[cut.tensor].extents))]
        self.fits = bool(known)
        for least, after, cut in self._bounded(deepest, known):
            if self._hopeless(least):
                break
            self.work.spend(REST * len(self.graph.nodes))
            self._stage(_up_to(deepest, cut), after)
        if self.cut_short:
            raise _Spent

    def _bounded(self, deepest: Stage, known: list[tuple[int, Cut]]) -> list[tuple[int, int, Cut]]:
        """(the least a stage takes, what the rest takes, the cut), in this order."""
        steps = [step.index for step in deepest.steps]
        suffix = after_each(self.graph, self.flow) if self.sharing == APART else None
        reserve = self.work.left // 2
        bounds = []
        for least, cut in sorted(known, key=lambda one: (one[0], one[1].last)):
            if self._hopeless(least):
                break
            try:
                if suffix is not None:
                    after = max(suffix[cut.last], deepest.tensors[cut.tensor].whole)
                elif self.work.left < reserve + REST * len(self.graph.nodes):
                    self.cut_short = True
                    break
                else:
                    self.work.spend(REST * len(self.graph.nodes))
                    inside = steps[: bisect_right(steps, cut.last)]
                    after = rest(self.graph, self.flow, inside, cut.tensor, self.sharing)
            except Blocked as why:
                self.doubt = self.doubt or str(why)
            else:
                bounds.append((max(least, after), after, cut))
        return sorted(bounds, key=lambda one: (one[0], one[2].last))

    def _hopeless(self, least: int) -> bool:
        if self.budget is not None:
            return least > self.budget
        return self.best is not None and least > self.best.patched_bytes

    def _stage(self, stage: Stage, after: int) -> None:
        """All grids of a stage."""
        held = keeping(self.graph, self.flow, stage, self.feed, self.sharing)
        alike = stage.alike
        known: dict[tuple[int, int], list[Part]] = {}
        for grid in _grids(stage.tensors[stage.tensor].extents):
            parts = []
            for axis, count in enumerate(grid):
                key = (0 if alike else axis, count)
                if key not in known:
                    self.work.spend(count * len(stage.steps))
                    try:
                        known[key] = needs(stage, axis, count)
                    except Blocked:  # a tile that would read nothing but padding
                        known[key] = []
                parts.append(known[key])
            if all(parts):
                self._grid(stage, held, parts, after)

    def _grid(self, stage: Stage, held: Keeping, parts: Sequence[Sequence[Part]], after: int) -> None:
        extra = stage.macs(parts) - sum(step.macs for step in stage.steps)
        best = self.best
        if self.budget is not None and best is not None and extra > best.extra_macs:
            return
        found = kinds(parts)
        self.work.spend(len(stage.steps) * prod(map(len, found)))
        self.tried += 1
        most = most_of_a_patch(stage, held, found)
        taken = max(most[0], after)
        if self.budget is not None and taken > self.budget:
            return
        key, other = (taken, extra), (best.patched_bytes, best.extra_macs) if best is not None else None
        if self.budget is not None:
            key, other = key[::-1], other and other[::-1]
        if other is None or key < other:
            self.best = assembled(self.graph, stage, parts, most, after, self.feed, self.table)


def _up_to(deepest: Stage, cut: Cut) -> Stage:
    """The stage that ends at an earlier cut."""
    steps = tuple(step for step in deepest.steps if step.index <= cut.last)
    names = {name for step in steps for name in (*step.outputs, *(reading.name for reading in step.readings))}
    tensors = {name: tiled for name, tiled in deepest.tensors.items() if name in names}
    return Stage(cut.tensor, steps, tensors, tuple(name for name in deepest.inputs if name in names))


def _grids(extents: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Grids of up to 8 parts along each axis, 2 at least along one; axes as long as each other are cut alike."""
    lengths = list(dict.fromkeys(extents))
    for counts in product(*(range(1, min(MOST_PARTS, length) + 1) for length in lengths)):
        if max(counts) > 1:
            yield tuple(counts[lengths.index(extent)] for extent in extents)
