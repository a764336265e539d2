"""Residual branches: x + f(x), found from the sum back to x.

The terms of a sum (of a chain of sums that nothing else reads) are compared: the earliest is x where the others are
computed from it. The search goes back no further than x and stops after `MAX_BRANCH` nodes; all searches together
visit at most `PER_NODE` nodes per node of the graph.
"""

from __future__ import annotations

from typing import Final

import msgspec

from effaudit.views.transformer.signal import TRANSPARENT, Signal, carried

_PLAIN: Final = frozenset(("Add", "Sum", "QLinearAdd"))
_FUSED: Final = frozenset(("FusedConv", "NhwcFusedConv"))  # their fourth input is added
_SUMS: Final = _PLAIN | _FUSED | {"SkipLayerNormalization", "SkipSimplifiedLayerNormalization", "SkipGroupNorm"}
MAX_BRANCH: Final = 4096
PER_NODE: Final = 64
MAX_TERMS: Final = 8


class Branch(msgspec.Struct, frozen=True):
    """f of x + f(x): the nodes computed from x that `join` adds to it, in order.

    `source` makes x; below 0 x is an input of the graph.
    """

    source: int
    join: int
    nodes: tuple[int, ...]


def branches(s: Signal) -> tuple[list[Branch], bool]:
    """Every residual branch by its sum, in order; and whether the search was given up before the end."""
    return _Search(s).all()


class _Search:
    """Graph inputs stand among the nodes with numbers below 0."""

    def __init__(self, s: Signal) -> None:
        self.s = s
        self.maker = {name: -1 - i for i, name in enumerate(s.graph.inputs)}
        self.maker.update(s.maker)
        self.root: list[int] = []
        for i, node in enumerate(s.nodes):
            before = self.sources(i)
            copies = node.op in TRANSPARENT and len(before) == 1
            self.root.append((self.root[before[0]] if before[0] >= 0 else before[0]) if copies else i)

    def sources(self, i: int) -> list[int]:
        """The nodes and inputs whose elements a node takes."""
        return list(self.s.sources[i]) or [
            self.maker[n] for n in carried(self.s.nodes[i], self.s.varying, self.s.graph.values) if n in self.maker
        ]

    def all(self) -> tuple[list[Branch], bool]:
        s, found, budget = self.s, [], PER_NODE * len(self.s.nodes)
        for i, node in enumerate(s.nodes):
            terms = self._terms(i) if node.op in _SUMS and s.table.rows[i].live else []
            roots = [t if t < 0 else self.root[t] for t in terms]
            if len(set(roots)) < 2:
                continue
            source = min(roots)
            starts = [t for t, root in zip(terms, roots, strict=True) if root != source]
            seen = self._behind(starts, source)
            budget -= len(seen)
            inner = self._ahead(seen, source)
            if not inner.isdisjoint(starts):
                found.append(Branch(source, i, tuple(sorted(inner))))
            if budget < 0:
                return found, True
        return found, False

    def _terms(self, i: int) -> list[int]:
        """The nodes whose outputs are added up; sums that only this one reads are opened."""
        s = self.s
        terms: list[int] = []
        pending = self._added(i)
        while pending and len(terms) < MAX_TERMS:
            j = pending.pop()
            if j >= 0 and s.nodes[j].op in _PLAIN and len(s.readers[j]) == 1:
                both = self._added(j)
                if len(both) > 1:
                    pending.extend(both)
                    continue
            terms.append(j)
        return terms

    def _added(self, i: int) -> list[int]:
        """The makers of the full-size activations that a node adds."""
        s, node = self.s, self.s.nodes[i]
        if node.op in _FUSED:
            added = node.inputs[3] if len(node.inputs) > 3 else ""
            return [i, self.maker[added]] if added in self.maker else []
        names = node.inputs
        if node.op == "QLinearAdd":
            names = node.inputs[0:1] + node.inputs[3:4]
        elif node.op.startswith("Skip"):
            names = node.inputs[:2]
        size = s.out_size(i)
        return [self.maker[n] for n in names if n in s.varying and n in self.maker and s.size(n) == size]

    def _behind(self, starts: list[int], source: int) -> set[int]:
        """The nodes that `starts` are computed from, later than `source`."""
        seen: set[int] = set()
        pending = list(starts)
        while pending and len(seen) < MAX_BRANCH:
            i = pending.pop()
            if i < 0 or i in seen or i <= source:
                continue
            seen.add(i)
            pending.extend(self.s.sources[i])
        return seen

    def _ahead(self, seen: set[int], source: int) -> set[int]:
        """Those of `seen` that are computed from `source`."""
        s, inner = self.s, set[int]()
        fed = s.graph.inputs[-1 - source] if source < 0 else ""
        for i in sorted(seen):
            if any(j == source or j in inner for j in s.sources[i]) or (fed and fed in s.nodes[i].inputs):
                inner.add(i)
        return inner
