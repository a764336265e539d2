"""Which parts of a graph an accelerator runs, and what crosses between it and the rest.

The groups are those of ONNX Runtime's partitioner (CreateSupportedPartitionNodeGroups,
https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/providers/partitioning_utils.cc; ported in
onnxruntime/tools/mobile_helpers/usability_checker.py). It walks the graph in waves: a wave takes every node whose
producers are done, but stops at nodes it cannot take that read from the wave's own group. So the wave of a node is the
most turns from a taken node to one that is not on any way to it, and a group is the taken nodes of a wave: they need
not be connected, and no fewer groups can hold every taken node without a cycle.

Three things are left out. ONNX Runtime partitions what its optimizer of level 1 leaves: `effaudit.lower.ort_folded`
computes constants and shapes ahead likewise. It keeps DequantizeLinear, operator and QuantizeLinear of a quantized
operator together: fold them first where that matters. And it asks for every graph apart: a node with a body is one
node here, and a body is placed by a call of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import msgspec

from effaudit.dataflow import Flow
from effaudit.errors import Undecided
from effaudit.graph import SEQUENCE, STRING, Graph, Node, Value
from effaudit.quantity import Quantity, add, between


class Transfer(msgspec.Struct, frozen=True, gc=False):
    """A tensor that crosses: "in" to the accelerator, "out" of it, or "across", from one partition to a later one.
    `outer` is True for an input or output of the graph."""

    tensor: str
    way: Literal["in", "out", "across"]
    nbytes: Quantity
    outer: bool


class Placement(msgspec.Struct, frozen=True):
    """Where the nodes of a graph run.

    `why` has every running node, by index: "" where it is taken, else why not. `partitions` are the groups of taken
    nodes in the order they can run, each a list of indices. `folded` are nodes that depend on no input: they are
    computed ahead, on neither side, as are nodes that no output depends on.
    """

    why: Mapping[int, str]
    partitions: tuple[tuple[int, ...], ...]
    transfers: tuple[Transfer, ...]
    folded: tuple[int, ...] = ()

    @property
    def taken(self) -> int:
        """The number of nodes on the accelerator."""
        return sum(not why for why in self.why.values())

    @property
    def left(self) -> int:
        """The number of nodes that run outside."""
        return len(self.why) - self.taken

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of nodes in each partition."""
        return tuple(map(len, self.partitions))

    def moved(self, *ways: str) -> Quantity:
        """The bytes that cross in these ways ("in", "out", "across"; none given: "in" and "out")."""
        wanted = ways or ("in", "out")
        return add(one.nbytes for one in self.transfers if one.way in wanted)

    def crossings(self, *ways: str) -> int:
        """How many tensors cross in these ways, as `moved`."""
        wanted = ways or ("in", "out")
        return sum(one.way in wanted for one in self.transfers)


def partition(graph: Graph, known: Flow, takes: Callable[[Node], str], *, most: int | None = None) -> Placement:
    """Places the nodes of a graph; `takes` says "" of a node the accelerator takes and else why not. `most` is the
    number of partitions there may be (None: any): nodes of later ones run outside.

    A tensor crosses once each way however many nodes read it: "in" where a taken node reads what an input of the graph
    or a node outside made, "out" where a node outside or an output of the graph reads what a taken node made. What
    depends on no input is stored with the weights and crosses nothing.
    """
    runs, folded = _running(graph, known)
    why = {i: takes(graph.nodes[i]) for i in runs}
    waves = _waves(graph, known, why)
    if most is not None:
        for i in runs:
            if not why[i] and waves[i] >= most:
                limit = "1 partition is" if most == 1 else f"{most} partitions are"
                why[i] = f"{graph.nodes[i].op}: {limit} all there may be, and it comes after"
        waves = _waves(graph, known, why)
    groups: dict[int, list[int]] = {}
    for i in runs:
        if not why[i]:
            groups.setdefault(waves[i], []).append(i)
    ordered = tuple(tuple(groups[wave]) for wave in sorted(groups))
    return Placement(why, ordered, _transfers(graph, known, why, waves), folded)


def _running(graph: Graph, known: Flow) -> tuple[list[int], tuple[int, ...]]:
    """The nodes that run in an inference, and those computed ahead."""
    runs: list[int] = []
    folded: list[int] = []
    for i, (node, live) in enumerate(zip(graph.nodes, known.live, strict=True)):
        if live:
            varies = not known.varying.isdisjoint(node.outputs)
            (runs if varies else folded).append(i)
    return runs, tuple(folded)


def _waves(graph: Graph, known: Flow, why: Mapping[int, str]) -> dict[int, int]:
    """The wave of every running node: the most turns from a taken node to one that is not, on any way to it."""
    wave: dict[int, int] = {}
    maker: dict[str, int] = {}
    for i, reason in why.items():
        mine = 0
        for name in known.reads[i]:
            source = maker.get(name)
            if source is not None:
                mine = max(mine, wave[source] + (bool(reason) and not why[source]))
        wave[i] = mine
        for name in graph.nodes[i].outputs:
            if name:
                maker[name] = i
    return wave


def _transfers(graph: Graph, known: Flow, why: Mapping[int, str], waves: Mapping[int, int]) -> tuple[Transfer, ...]:
    maker = {name: i for i in why for name in graph.nodes[i].outputs if name}
    found: dict[tuple[str, str], bool] = {}  # (tensor, way) -> whether it is the graph's own
    for i, reason in why.items():
        for name in known.reads[i]:
            if name not in known.varying:
                continue
            source = maker.get(name)
            if source is None:
                if not reason:
                    found[name, "in"] = True
            elif why[source]:
                if not reason:
                    found.setdefault((name, "in"), False)
            elif reason:
                found.setdefault((name, "out"), False)
            elif waves[source] != waves[i]:
                found[name, "across"] = False
    for name in graph.outputs:
        source = maker.get(name)
        if source is not None and not why[source]:
            found[name, "out"] = True
    return tuple(
        Transfer(name, way, _nbytes(name, graph.values.get(name)), outer)  # type: ignore[arg-type]
        for (name, way), outer in found.items()
    )


def _nbytes(name: str, value: Value | None) -> Quantity:
    if value is None:
        return Quantity(0, None, f"{name}: nothing is known of it")
    if value.encoding == SEQUENCE:
        return _sequence(name, value)
    if value.shape is None and value.extent is None:
        return Quantity(0, None, f"{name}: {value.why or 'its shape is not known'}")
    if value.encoding.bits == 0:
        what = "strings have no fixed size" if value.encoding == STRING else "its element type is not known"
        return Quantity(0, None, f"{name}: {what}")
    try:
        size = value.nbytes
        return between(size, size)
    except Undecided as doubt:
        return Quantity(0, None, f"{name}: {doubt}")


def _sequence(name: str, value: Value) -> Quantity:
    items: Iterable[object] = value.content if isinstance(value.content, tuple) else ()
    known = [item for item in items if isinstance(item, Value)]
    if not known:
        return Quantity(0, None, f"{name} is a sequence: {value.why or 'its items are not known'}")
    return add(_nbytes(name, item) for item in known)
