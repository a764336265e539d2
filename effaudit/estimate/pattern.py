"""What of a kernel's shape and place its time depends on beside its counts: which kind it is, how its work is cut, and
how long ago each tensor that it touches was touched before.

The distance of a touch is the reuse distance of Mattson et al. (https://doi.org/10.1147/sj.92.0078), in bytes, over the
kernels in their order, run again and again: a cache smaller than it has lost the tensor. Weights were last touched one
run ago; buffers that a planner reuses count once, so that distance is bounded by weights and arena together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Final

import msgspec

from effaudit.estimate.kinds import kind_of
from effaudit.estimate.types import Kernel, Pattern, Touch
from effaudit.graph import Graph, Node

def patterned(graph: Graph, kernels: Sequence[Kernel], arena_bytes: int, *, exact: bool) -> tuple[Kernel, ...]:
    """The kernels of a graph with their patterns; one with a shape that is not a number keeps None.

    `arena_bytes` are those of activations that live at a time. `exact`: the graph is the very one that the runtime
    runs, its layouts included; else layouts are those that the runtime would choose.
    """
    sizes = {name: _bytes(graph, name) for node in graph.nodes for name in (*node.inputs, *node.outputs) if name}
    weights = {name for node in graph.nodes for name in node.inputs if name in graph.constants}
    whole = sum(sizes[name] for name in weights) + arena_bytes
    order = _Order(sizes, whole)
    by_index = {kernel.index: kernel for kernel in kernels}
    found = []
    for i, node in enumerate(graph.nodes):
        kernel = by_index.get(i)
        if kernel is None:
            order.renamed(node)
            continue
        touches = order.touched(node, graph.constants)
        found.append(msgspec.structs.replace(kernel, pattern=_pattern(graph, node, kernel, touches, exact=exact)))
    return tuple(found)


class _Order:
    """The tensors in the order in which they are touched."""

    def __init__(self, sizes: Mapping[str, int], whole: int) -> None:
        self._sizes, self._whole = sizes, whole
        self._clock = 0
        self._last: dict[str, int] = {}

    def renamed(self, node: Node) -> None:
        """What a view makes was touched when its input was."""
        source = next((name for name in node.inputs if name in self._last), None)
        if source is not None:
            self._last.update((name, self._last[source]) for name in node.outputs if name)

    def touched(self, node: Node, constants: Iterable[str]) -> tuple[Touch, ...]:
        reads = [name for name in dict.fromkeys(node.inputs) if name]
        writes = [name for name in node.outputs if name]
        made = []
        for name in reads:
            size = self._sizes[name]
            if name in constants:
                made.append(Touch("weight", size, self._whole))
            else:
                since = None if name not in self._last else self._clock - self._last[name] + size
                made.append(Touch("read", size, None if since is None else min(since, self._whole)))
        # What is written lies in a buffer that was in use a moment ago, as large as what is at hand.
        around = sum(self._sizes[name] for name in (*reads, *writes) if name not in constants)
        made += [Touch("write", self._sizes[name], around) for name in writes]
        self._clock += sum(touch.bytes for touch in made)
        self._last.update((name, self._clock) for name in (*reads, *writes))
        return tuple(made)


def _pattern(graph: Graph, node: Node, kernel: Kernel, touches: tuple[Touch, ...], *, exact: bool) -> Pattern | None:
    shapes = [_shape(graph, name) for name in node.inputs], [_shape(graph, name) for name in node.outputs if name]
    if not shapes[1] or shapes[1][0] is None:
        return None
    out = shapes[1][0]
    kind, like = kind_of(node, kernel, *shapes, exact=exact)
    weights = shapes[0][1] if len(shapes[0]) > 1 else None
    windowed = kernel.op_class in _WINDOWS and weights
    elements = [prod(s) for name, s in zip(node.inputs, shapes[0], strict=True) if s and name not in graph.constants]
    return Pattern(
        kind=kind,
        like=like,
        columns=max((weights[0] if windowed and weights else out[-1] if out else 1), 1),
        rows=prod(out[:-1]) if len(out) > 2 else 0,
        batches=max(prod(out[:-2]), 1),
        steps=out[0] if out else 1,
        fed=sum(elements),
        touches=touches,
    )


_WINDOWS: Final = frozenset(("conv", "grouped", "depthwise", "pointwise"))


def _shape(graph: Graph, name: str) -> tuple[int, ...] | None:
    value = graph.values.get(name)
    if value is None or value.shape is None or any(type(dim) is not int for dim in value.shape):
        return None
    return tuple(dim for dim in value.shape if type(dim) is int)


def _bytes(graph: Graph, name: str) -> int:
    shape = _shape(graph, name)
    if shape is None:
        return 0
    size = graph.values[name].encoding.nbytes(prod(shape))
    return size if type(size) is int else 0
