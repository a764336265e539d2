"""What of a kernel's shape and place its time depends on beside its counts: which kind it is, how its work is cut, and
how long ago each tensor that it touches was touched before.

The distance of a touch is the reuse distance of Mattson et al. (https://doi.org/10.1147/sj.92.0078), in bytes, over the
kernels in their order, run again and again: a cache smaller than it has lost the tensor. Weights were last touched one
run ago; buffers that a planner reuses count once, so that distance is bounded by weights and arena together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod
from typing import Final

import msgspec

from effaudit.estimate.kinds import kind_of
from effaudit.estimate.types import Kernel, Pattern, Touch
from effaudit.graph import Graph, Node
from effaudit.ops._registry import NCHWC


def patterned(graph: Graph, kernels: Sequence[Kernel], arena_bytes: int, *, exact: bool) -> tuple[Kernel, ...]:
    """The kernels of a graph with their patterns; one with a shape that is not a number keeps None.

    `arena_bytes` are those of activations that live at a time. `exact`: the graph is the very one that the runtime
    runs, its layouts included; else layouts are those that the runtime would choose.
    """
    sizes = {name: _bytes(graph, name) for node in graph.nodes for name in (*node.inputs, *node.outputs) if name}
    weights: dict[str, int] = {}
    for node in graph.nodes:
        for name in node.inputs:
            if name in graph.constants:
                weights[name] = max(weights.get(name, 0), _of_constant(sizes, node, name))
    order = _Order(sizes, sum(weights.values()) + arena_bytes, lambda name: _shape(graph, name))
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

    def __init__(self, sizes: Mapping[str, int], whole: int, shapes: Callable[[str], tuple[int, ...] | None]) -> None:
        self._sizes, self._whole, self._shapes = sizes, whole, shapes
        self._clock = 0
        self._last: dict[str, int] = {}
        self._renames: dict[str, str] = {}

    def renamed(self, node: Node) -> None:
        """What a view makes is its input under another name."""
        if node.inputs:
            source = self._of(node.inputs[0])
            self._renames.update((name, source) for name in node.outputs if name)

    def _of(self, name: str) -> str:
        return self._renames.get(name, name)

    def touched(self, node: Node, constants: Iterable[str]) -> tuple[Touch, ...]:
        reads = [name for name in dict.fromkeys(node.inputs) if name]
        writes = [name for name in node.outputs if name]
        made = []
        for name in reads:
            size = self._sizes[name]
            if name in constants:
                size = _of_constant(self._sizes, node, name)
                made.append(Touch("weight", size, self._whole))
                made += self._again(node, name, size)
            else:
                last = self._last.get(self._of(name))
                since = None if last is None else self._clock - last + size
                made.append(Touch("read", size, None if since is None else min(since, self._whole)))
        # What is written lies in a buffer that was in use a moment ago, as large as what is at hand.
        around = sum(self._sizes[name] for name in (*reads, *writes) if name not in constants)
        made += [Touch("write", self._sizes[name], around) for name in writes]
        self._clock += sum(touch.bytes for touch in made)
        self._last.update((self._of(name), self._clock) for name in (*reads, *writes))
        return tuple(made)

    def _again(self, node: Node, name: str, size: int) -> list[Touch]:
        """The recurrent matrix is read anew in every step."""
        if node.op not in _RECURRENT or len(node.inputs) < 3 or name != node.inputs[2]:
            return []
        return [Touch("again", size * (self._steps(node) - 1), size)]

    def _steps(self, node: Node) -> int:
        shape = self._shapes(node.inputs[0])
        return shape[0] if shape else 1


def _of_constant(sizes: Mapping[str, int], node: Node, name: str) -> int:
    """Bytes of a constant that a node reads: of a table no more than is looked up."""
    tables = [node.inputs[i] for i in _TABLES.get(node.op, ()) if i < len(node.inputs)]
    return min(sizes[name], sum(sizes[out] for out in node.outputs if out)) if name in tables else sizes[name]


def _pattern(graph: Graph, node: Node, kernel: Kernel, touches: tuple[Touch, ...], *, exact: bool) -> Pattern | None:
    shapes = [_shape(graph, name) for name in node.inputs], [_shape(graph, name) for name in node.outputs if name]
    if not shapes[1] or shapes[1][0] is None:
        return None
    out = shapes[1][0]
    kind, like = kind_of(node, kernel, *shapes, _axes(graph, node), exact=exact)
    at = 3 if node.op in _SCALED else 1
    weights = shapes[0][at] if len(shapes[0]) > at else None
    windowed = kernel.op_class in _WINDOWS and weights
    elements = [prod(s) for name, s in zip(node.inputs, shapes[0], strict=True) if s and name not in graph.constants]
    return Pattern(
        kind=kind,
        like=like,
        columns=max((weights[0] if windowed and weights else out[-1] if out else 1), 1),
        runs=prod(out) // max(_run(node, out, shapes[0]), 1),
        scratch=_scratch(node, kernel, weights),
        batches=_batches(node, kernel, out),
        steps=out[0] if out else 1,
        fed=sum(elements),
        touches=touches,
    )


def _axes(graph: Graph, node: Node) -> tuple[int, ...] | None:
    """The axes that a node reduces: an attribute, or an input that is constant."""
    stated = node.attrs.get("axes", node.attrs.get("axis"))
    if stated is None and len(node.inputs) > 1 and node.inputs[1] in graph.values:
        stated = graph.values[node.inputs[1]].data
    if type(stated) is int:
        return (stated,)
    if not isinstance(stated, list | tuple) or any(type(axis) is not int for axis in stated):
        return None
    return tuple(stated)


def _batches(node: Node, kernel: Kernel, out: tuple[int, ...]) -> int:
    """Products that are made one by one; of what moves tensors, their number."""
    if kernel.op_class == "movement":
        return len(node.inputs) + len(node.outputs)
    return max(prod(out[:-2]), 1)


def _run(node: Node, out: tuple[int, ...], inputs: Sequence[tuple[int, ...] | None]) -> int:
    """Elements of an output that lie one after the other and are moved together: what is right of the axis that is cut
    or moved; else one line."""
    if node.op == "Transpose":
        perm = node.attrs.get("perm")
        kept = len(out)
        while isinstance(perm, list | tuple) and kept and perm[kept - 1] == kept - 1:
            kept -= 1
        return prod(out[kept:])
    if node.op in ("Concat", "Split"):
        axis = node.attrs.get("axis", 0)
        return prod(out[axis:]) if type(axis) is int else out[-1]
    if node.op == "Gather" and len(inputs) > 1 and inputs[0] is not None and inputs[1] is not None:
        axis = node.attrs.get("axis", 0)
        return prod(inputs[0][axis % len(inputs[0]) + 1 :]) if type(axis) is int and inputs[0] else 1
    return out[-1] if len(out) > 1 else prod(out)


def _scratch(node: Node, kernel: Kernel, weights: tuple[int, ...] | None) -> int:
    """Columns that a convolution by matrix product writes first (im2col), a transposed one last (col2im)."""
    macs = kernel.macs.high or 0
    if not weights or len(weights) < 3 or kernel.op_class not in _SCRATCH or node.domain == NCHWC:
        return 0
    group = node.attrs.get("group", 1)
    if prod(weights[2:]) == 1 or type(group) is not int or group < 1:
        return 0
    return macs // max(weights[0] // group, 1)


# Which inputs are tables that are looked up.
_TABLES: Final = {"Gather": (0,), "GatherElements": (0,), "GatherND": (0,), "EmbedLayerNormalization": (2, 3, 4)}
_SCALED: Final = frozenset(("QLinearConv", "QLinearMatMul"))  # the scale and zero point of the first input come first
_SCRATCH: Final = frozenset(("conv", "grouped", "depthwise", "transposed"))
_RECURRENT: Final = frozenset(("LSTM", "GRU", "RNN"))
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
