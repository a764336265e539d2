"""Where an order has no choice: the places that split a problem into parts that can be ordered one by one."""

from __future__ import annotations

from effaudit.plan.order.task import FOREVER, Task

MAX_FORCED = 512  # nodes of a part whose forced tensors are looked for: the work grows with the square


def cuts(task: Task) -> list[int]:
    """The places k (0 and the number of nodes among them) where every order runs the same k nodes first.

    That is so at k, and at k + 1, where node k comes after all before it and before all behind it: where it is the only
    node of the first k + 1 that nothing among them reads, and the only one of the rest that waits for none of them.
    """
    n = len(task.names)
    ends = [0] * (n + 1)  # nodes that stop being the last of the nodes so far, by where they do
    begins = [0] * (n + 1)  # nodes that begin to be the first of the nodes from here on
    for v in range(n):
        ends[min(task.after[v], default=n)] += 1
        begins[max(task.before[v], default=-1) + 1] += 1
    found = {0, n}
    last = first = 0
    for v in range(n):
        last += 1 - ends[v]
        first += begins[v]
        if last == 1 and first == 1:
            found.update((v, v + 1))
        first -= 1
    return sorted(found)


def touched(task: Task) -> int:
    """The most bytes that one node reads and makes."""
    sizes = task.sizes
    return max(
        (made + sum(sizes[t] for t in read) for made, read in zip(task.made, task.reads, strict=True)), default=0
    )


def forced(task: Task) -> int:
    """Bytes that are alive at one node at least, in every order: a tensor whose maker comes before a node and one of
    whose readers comes behind it is alive there. Of a large problem: `touched`."""
    n = len(task.names)
    if n > MAX_FORCED:
        return touched(task)
    whole = (1 << n) - 1
    above, below = [0] * n, [0] * n  # a node with all it waits for; with all that wait for it
    for v in range(n):
        above[v] = 1 << v
        for u in task.before[v]:
            above[v] |= above[u]
    for v in range(n - 1, -1, -1):
        below[v] = 1 << v
        for w in task.after[v]:
            below[v] |= below[w]
    maker = {t: v for v, tensors in enumerate(task.makes) for t in tensors}
    spans = [0] * len(task.sizes)
    for t, readers in enumerate(task.readers):
        for r in readers:
            spans[t] |= whole if r == FOREVER else above[r]
        if t in maker:
            spans[t] &= below[maker[t]]
    # what no node of the problem touches, and what is read here but made before
    alive = [task.start - sum(size for t, size in enumerate(task.sizes) if t not in maker)] * n
    for v, dropped in enumerate(task.dropped):
        alive[v] += dropped
    for size, span in zip(task.sizes, spans, strict=True):
        rest = span if size else 0
        while rest:
            low = rest & -rest
            alive[low.bit_length() - 1] += size
            rest ^= low
    return max(alive, default=0)
