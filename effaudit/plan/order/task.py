"""A graph as a problem of ordering: nodes that cost memory, what each must wait for, and how many bytes it adds."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from effaudit.dataflow import Flow
from effaudit.graph import Graph

Tuples: TypeAlias = tuple[tuple[int, ...], ...]
FOREVER: Final = -1  # in `Task.readers`: a graph output, alive to the end


class Task(msgspec.Struct, frozen=True):
    """Nodes 0, 1, ... in a valid order, and the tensors they make and read, by number.

    `names[v]` is node v's index in the graph. `before` and `after` are its direct predecessors and successors. `reads`
    and `makes` are its tensors, `made[v]` the bytes of all it makes, of which `dropped[v]` are read by nobody. `sizes`
    are bytes, `readers` the nodes that read a tensor, in order, with `FOREVER` at the end where it outlives the last
    node. `start` is what is alive before the first node.
    """

    names: tuple[int, ...]
    before: tuple[tuple[int, ...], ...]
    after: tuple[tuple[int, ...], ...]
    reads: tuple[tuple[int, ...], ...]
    made: tuple[int, ...]
    dropped: tuple[int, ...]
    sizes: tuple[int, ...]
    makes: tuple[tuple[int, ...], ...]
    readers: tuple[tuple[int, ...], ...]
    start: int


def task_of(graph: Graph, known: Flow, size: Mapping[str, int]) -> Task:
    """The problem of a graph; `size` holds the bytes of its activations.

    Nodes that never run are left out, and so are those that compute only what no input reaches: they read no
    activation and make none, wait for none of the others, and are alive beside what their neighbours hold anyway.
    """
    names = [
        i
        for i, (node, runs) in enumerate(zip(graph.nodes, known.live, strict=True))
        if runs and any(name in known.varying for name in node.outputs)
    ]
    number: dict[str, int] = {}
    maker: list[int] = []
    made_by: list[list[int]] = [[] for _ in names]
    for name in graph.inputs:
        if name in size and name not in number:
            number[name] = len(maker)
            maker.append(-1)
    for v, i in enumerate(names):
        for name in graph.nodes[i].outputs:
            if name in size and name not in number:
                number[name] = len(maker)
                made_by[v].append(len(maker))
                maker.append(v)
    reads = tuple(tuple(number[name] for name in known.reads[i] if name in number) for i in names)
    readers: list[list[int]] = [[] for _ in maker]
    for v, tensors in enumerate(reads):
        for t in tensors:
            readers[t].append(v)
    for name in graph.outputs:
        if name in number and readers[number[name]][-1:] != [FOREVER]:
            readers[number[name]].append(FOREVER)
    sizes = tuple(size[name] for name in number)
    before = tuple(tuple(sorted({maker[t] for t in tensors} - {-1})) for tensors in reads)
    start = sum(sizes[t] for t, v in enumerate(maker) if v < 0)
    return _task(names, before, reads, tuple(map(tuple, made_by)), sizes, tuple(map(tuple, readers)), start)


def part(task: Task, begin: int, end: int, start: int) -> Task:
    """The nodes begin..end between two cuts, with the `start` bytes that are alive before them; `names` are then the
    numbers they have in `task`."""
    number: dict[int, int] = {}
    for v in range(begin, end):
        for t in (*task.reads[v], *task.makes[v]):
            number.setdefault(t, len(number))
    readers = []
    for t in number:
        known = task.readers[t]
        count = len(known) - outlives(task, t)
        first, last = (bisect_left(known, place, 0, count) for place in (begin, end))
        own = tuple(r - begin for r in known[first:last])
        readers.append((*own, FOREVER) if last < len(known) else own)
    return _task(
        range(begin, end),
        tuple(tuple(u - begin for u in task.before[v] if u >= begin) for v in range(begin, end)),
        tuple(tuple(number[t] for t in task.reads[v]) for v in range(begin, end)),
        tuple(tuple(number[t] for t in task.makes[v]) for v in range(begin, end)),
        tuple(task.sizes[t] for t in number),
        tuple(readers),
        start,
    )


def outlives(task: Task, t: int) -> bool:
    """Whether a tensor is kept behind the last node."""
    return task.readers[t][-1:] == (FOREVER,)


def _task(
    names: Sequence[int],
    before: Tuples,
    reads: Tuples,
    makes: Tuples,
    sizes: tuple[int, ...],
    readers: Tuples,
    start: int,
) -> Task:
    after: list[list[int]] = [[] for _ in names]
    for v, earlier in enumerate(before):
        for u in earlier:
            after[u].append(v)
    return Task(
        names=tuple(names),
        before=before,
        after=tuple(map(tuple, after)),
        reads=reads,
        makes=makes,
        made=tuple(sum(sizes[t] for t in tensors) for tensors in makes),
        dropped=tuple(sum(sizes[t] for t in tensors if not readers[t]) for tensors in makes),
        sizes=sizes,
        readers=readers,
        start=start,
    )


def profile(task: Task, order: Sequence[int]) -> tuple[list[int], list[int]]:
    """(bytes alive at each step of an order, bytes left behind it)."""
    waiting = list(map(len, task.readers))
    memory = task.start
    at, left = [], []
    for v in order:
        at.append(memory + task.made[v])
        memory += task.made[v] - task.dropped[v]
        for t in task.reads[v]:
            waiting[t] -= 1
            if not waiting[t]:
                memory -= task.sizes[t]
        left.append(memory)
    return at, left
