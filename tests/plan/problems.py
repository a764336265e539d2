"""Problems to plan: random ones, tiny ones by brute force, and a hard one whose optimum is known by construction."""

from __future__ import annotations

import random
from itertools import permutations

from hypothesis import strategies as st

from effaudit.plan.problem import Buffer, Problem


def problem(*rows: tuple[int, int, int]) -> Problem:
    """Of (start, end, size)."""
    return Problem(tuple(Buffer(f"b{i}", *row) for i, row in enumerate(rows)))


def problems(most: int, *, least_size: int = 0) -> st.SearchStrategy[Problem]:
    row = st.tuples(st.integers(0, 8), st.integers(1, 6), st.integers(least_size, 12))
    return st.lists(row, max_size=most).map(lambda rows: problem(*((s, s + n, size) for s, n, size in rows)))


def optimum(asked: Problem) -> int:
    """The least arena, by brute force: in some order, each buffer as low as it can lie on those before it."""
    buffers = [b for b in asked.buffers if b.size]
    best = sum(b.size for b in buffers)
    for order in permutations(buffers):
        placed: list[tuple[Buffer, int]] = []
        for b in order:
            beside = [(o, o + c.size) for c, o in placed if c.start < b.end and b.start < c.end]
            tops = [0, *(end for _, end in beside)]
            placed.append((b, min(t for t in tops if all(t + b.size <= lo or hi <= t for lo, hi in beside))))
        best = min(best, max((o + b.size for b, o in placed), default=0))
    return best


def guillotine(seed: int, *, height: int, length: int, pieces: int) -> Problem:
    """A rectangle of time x bytes cut at random into pieces that fill it: the optimum is its height."""
    rng = random.Random(seed)
    parts = [(0, length, 0, height)]
    while len(parts) < pieces:
        parts.sort(key=lambda p: (p[1] - p[0]) * (p[3] - p[2]))
        a, b, low, high = parts.pop()
        if (rng.random() < 0.5 and b - a > 1) or high - low == 1:
            cut = rng.randint(a + 1, b - 1)
            parts += [(a, cut, low, high), (cut, b, low, high)]
        else:
            cut = rng.randint(low + 1, high - 1)
            parts += [(a, b, low, cut), (a, b, cut, high)]
    rng.shuffle(parts)
    return problem(*((a, b, high - low) for a, b, low, high in parts))
