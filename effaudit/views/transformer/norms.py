"""Normalization spelled out: x / sqrt(mean(x^2) + epsilon), with or without the mean taken off first."""

from __future__ import annotations

from typing import Final

from effaudit.views.transformer.signal import TRANSPARENT, Signal

_MEANS: Final = frozenset(("ReduceMean", "ReduceSum", "GlobalAveragePool", "ReduceSumSquare"))
_SQUARES: Final = frozenset(("Pow", "Mul", "ReduceSumSquare"))
MAX_TAIL: Final = 8
NORM_OPS: Final = frozenset(
    """LayerNormalization SimplifiedLayerNormalization SkipLayerNormalization SkipSimplifiedLayerNormalization
    RMSNormalization GroupNormalization GroupNorm SkipGroupNorm InstanceNormalization BatchNormalization
    LpNormalization MeanVarianceNormalization""".split()
)


def norms(s: Signal) -> list[list[int]]:
    """The nodes of every normalization: one, or the steps of one that is spelled out."""
    found = {i: [i] for i, node in enumerate(s.nodes) if s.table.rows[i].kind == "norm" or node.op in NORM_OPS}
    taken = set(found)
    roots = [i for i, node in enumerate(s.nodes) if node.op in ("Sqrt", "Rsqrt")]
    if roots:
        chain = _Chain(s)
        for i in roots:
            steps = chain.spelled(i) - taken
            if steps:
                found[i] = sorted(steps)
                taken |= steps
    return list(found.values())


class _Chain:
    """Steps along tensors that vary; unlike the signal, they may have one element."""

    def __init__(self, s: Signal) -> None:
        self.nodes, self.varying = s.nodes, s.varying
        self.sources = [[s.maker[n] for n in node.inputs if n in s.varying and n in s.maker] for node in s.nodes]
        self.readers: list[list[int]] = [[] for _ in s.nodes]
        for i, found in enumerate(self.sources):
            for j in dict.fromkeys(found):
                self.readers[j].append(i)

    def spelled(self, root: int) -> set[int]:
        """The steps around one square root."""
        steps = {root}
        mean = self._back(root, steps)
        if mean is not None and self.nodes[mean].op in ("Add", "Max", "Clip"):
            steps.add(mean)
            mean = self._back(mean, steps)
        if mean is None or self.nodes[mean].op not in _MEANS:
            return set()
        steps.add(mean)
        square = mean if self.nodes[mean].op in _SQUARES else self._back(mean, steps)
        if square is None or self.nodes[square].op not in _SQUARES:
            return set()
        steps.add(square)
        for j in self.sources[square]:
            self._centred(j, steps)
        return steps | self._ahead(root)

    def _centred(self, i: int, steps: set[int]) -> None:
        """Adds x - mean(x), where that is what is squared."""
        if self.nodes[i].op in TRANSPARENT and len(self.sources[i]) == 1:
            i = self.sources[i][0]
        if self.nodes[i].op == "Sub":
            means = [j for j in self.sources[i] if self.nodes[j].op == "ReduceMean"]
            steps.update(means, (i,) if means else ())

    def _back(self, i: int, steps: set[int]) -> int | None:
        """The one node before `i` that is more than a copy; the copies are steps too."""
        for _ in range(MAX_TAIL):
            before = set(self.sources[i])
            if len(before) != 1:
                return None
            (i,) = before
            if self.nodes[i].op not in TRANSPARENT:
                return i
            steps.add(i)
        return None

    def _ahead(self, root: int) -> set[int]:
        """What follows: the reciprocal, the division or product, the scale and the shift."""
        found: set[int] = set()
        i, left = root, ["divide", "scale", "shift"]
        for _ in range(MAX_TAIL):
            if len(self.readers[i]) != 1:
                break
            i = self.readers[i][0]
            step = self._step(i)
            if step == "" or (step is not None and step not in left):
                break
            if step:
                left = left[left.index(step) + 1 :]
            found.add(i)
        return found

    def _step(self, i: int) -> str | None:
        """What a node does in a norm; None: it copies, "": nothing."""
        op, varying = self.nodes[i].op, sum(name in self.varying for name in self.nodes[i].inputs)
        if op in TRANSPARENT or op == "Reciprocal":
            return None
        if op in ("Div", "Mul") and varying > 1:
            return "divide"
        if op == "Mul":
            return "scale"
        return "shift" if op == "Add" and varying == 1 else ""
