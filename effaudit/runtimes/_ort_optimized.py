"""The range an optimized session of ONNX Runtime lies in, where only the rewrites themselves could tell the number.

Which operators it fuses, and whether convolutions run in blocks of channels (`NchwcTransformer`, 16 with AVX-512, else
8 or none), depends on version and processor. What can be said of the folded graph:

- at least: what goes into and out of one operator that no fusion removes (a product, a pool, a resize) exists; a
  quarter of it where it reads dequantized tensors, since one on integers may take its place;
- at most: nothing is fused, the channels of every tensor of a graph with convolutions are filled up to a block, and
  beside each node lie copies of what it reads and writes, in the other layout; without convolutions, of what it writes.

The storages are those of the planner at the larger sizes; the smaller size is 0 but for those of the one operator.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from msgspec.structs import replace

from effaudit import dims
from effaudit.dataflow import Flow
from effaudit.dims import Dim
from effaudit.graph import FLOAT, Graph, Node
from effaudit.lower.qdq import is_dequantize
from effaudit.plan.lifetimes import Lifetime, high, low
from effaudit.runtimes._ort_reuse import planned, requested
from effaudit.runtimes._shapes import shape_of

BLOCK: Final = 16
WHY: Final = "fusions and layouts of an optimized session depend on version and processor"
_KEPT: Final = frozenset(
    """Conv ConvTranspose Gemm MatMul MaxPool AveragePool Resize LSTM GRU RNN ConvInteger MatMulInteger QLinearConv
    QLinearMatMul""".split()
)


def ranged(graph: Graph, flowing: Flow, found: list[Lifetime]) -> list[Lifetime]:
    """The storages of a graph in ONNX Runtime's order, each from nothing (or what must be there) to the most."""
    storages = planned(graph, flowing, found)
    nodes = [node for node, runs in zip(graph.nodes, flowing.live, strict=True) if runs]
    blocked = any(node.op == "Conv" and not node.domain for node in nodes)
    most = {one.name: _most(graph, one, blocked=blocked) for one in storages}
    owner = {name: one.name for one in storages for name in (one.name, *one.others)}
    outside = set(graph.inputs)
    kept = _largest(nodes, flowing.varying, {one.name: low(one) for one in requested(storages, graph)}, owner)
    made = [
        one
        if one.name in outside
        else replace(one, size=_open(one.name, kept.get(one.name, 0), most[one.name]), why=WHY)
        for one in storages
    ]
    made.extend(_copies(nodes, most, owner, outside, blocked=blocked))
    return made


def _largest(
    nodes: Iterable[Node], varying: Collection[str], sizes: Mapping[str, int], owner: Mapping[str, str]
) -> dict[str, int]:
    """The storages of what one operator that stays reads and writes, where these are largest."""
    best: dict[str, int] = {}
    dequantized: set[str] = set()
    for node in nodes:
        if is_dequantize(node):
            dequantized.update(node.outputs)
        elif node.op in _KEPT and not node.domain:
            share = 1 if dequantized.isdisjoint(node.inputs) else 4
            touched = {owner.get(name, "") for name in (*node.inputs, *node.outputs) if name in varying}
            held = {name: sizes[name] // share for name in touched if name in sizes}
            if sum(held.values()) > sum(best.values()):
                best = held
    return best


def _most(graph: Graph, one: Lifetime, *, blocked: bool) -> int | None:
    """The largest size, with channels filled up."""
    size = high(one)
    if size is None or not blocked:
        return size
    return max(size, *(_filled(graph, name) for name in (one.name, *one.others)))


def _filled(graph: Graph, name: str) -> int:
    shape = shape_of(graph, name)
    if shape is None or len(shape) != 4 or graph.values[name].encoding != FLOAT:
        return 0
    batch, channels, height, width = shape
    return 4 * batch * -(-channels // BLOCK) * BLOCK * height * width


def _copies(
    nodes: Iterable[Node], most: Mapping[str, int | None], owner: Mapping[str, str], outside: set[str], *, blocked: bool
) -> Iterator[Lifetime]:
    for step, node in enumerate(nodes):
        names = (*node.inputs, *node.outputs) if blocked else node.outputs
        touched = {owner[name] for name in names if name in owner} - outside
        sizes = [most[name] for name in sorted(touched)]
        known = [size for size in sizes if size is not None]
        if known and any(known):
            name = f"copies beside {node.label}"
            yield Lifetime(name, step, step + 1, _open(name, 0, sum(known) if len(known) == len(sizes) else None), WHY)


def _open(name: str, least: int, most: int | None) -> Dim | None:
    if most is None:
        return None
    return most if least == most else dims.symbol(name, least, most, "data", WHY)
