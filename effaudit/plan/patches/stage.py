"""A stage: the nodes that make one tensor, compiled so that any part of that tensor can be followed back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import Final

import msgspec

from effaudit.dataflow import Flow
from effaudit.graph import Encoding, Graph, Value
from effaudit.ops._registry import rules_for
from effaudit.plan.patches.rules import Axes, Call, Reading, numbers, readings
from effaudit.plan.patches.spans import Blocked, OtherAxes, Span, hull, total
from effaudit.table import CostTable

MAX_RANK: Final = 3  # spatial axes


class Tiled(msgspec.Struct, frozen=True):
    """A tensor of a stage: its extents along the tiled axes (1 where it has none), elements per position, encoding."""

    extents: tuple[int, ...]
    lead: int
    encoding: Encoding

    def nbytes(self, lengths: Iterable[int]) -> int:
        """Bytes of a part of it."""
        return self.encoding.nbytes(self.lead * prod(lengths))  # type: ignore[return-value]

    @property
    def whole(self) -> int:
        """Bytes of all of it."""
        return self.nbytes(self.extents)


class Step(msgspec.Struct, frozen=True):
    """A node of a stage. Its MACs grow with the positions of the tensor `scale`."""

    index: int
    outputs: tuple[str, ...]
    readings: tuple[Reading, ...]
    macs: int
    scale: str


class Stage(msgspec.Struct, frozen=True):
    """The steps that make `tensor`, in order, and every tensor they touch. `inputs` are the graph inputs they read."""

    tensor: str
    steps: tuple[Step, ...]
    tensors: Mapping[str, Tiled]
    inputs: tuple[str, ...]

    @property
    def rank(self) -> int:
        return len(self.tensors[self.tensor].extents)

    def needed(self, axis: int, span: Span, *, clipped: bool = True) -> dict[str, Span]:
        """What of every tensor it takes along one axis to make a part of the stage's tensor.

        Raises Blocked where a window reads nothing but padding.
        """
        spans = {self.tensor: span}
        for step in reversed(self.steps):
            made: Span | None = None
            for name in step.outputs:
                if name in spans:
                    made = hull(made, spans[name])
            assert made is not None  # every step feeds the tensor
            for name in step.outputs:
                spans[name] = made
            for name, _, reads in step.readings:
                size = self.tensors[name].extents[axis] if clipped else None
                try:
                    spans[name] = hull(spans.get(name), reads[axis].span(*made, size))
                except Blocked as why:
                    raise Blocked(f"{step.outputs[0]}: {why}") from None
        return spans

    @property
    def alike(self) -> bool:
        """Whether all axes are cut, read and sized alike: parts of one are those of the others."""
        return all(len(set(t.extents)) == 1 for t in self.tensors.values()) and all(
            len(set(reads)) == 1 for step in self.steps for _, _, reads in step.readings
        )

    def macs(self, parts: Iterable[Iterable[Mapping[str, Span]]]) -> int:
        """MACs of all tiles, from what every part needs, part by part of every axis."""
        axes = [list(axis) for axis in parts]
        done = 0
        for step in self.steps:
            if step.macs:
                each = step.macs // prod(self.tensors[step.scale].extents)
                done += each * prod(total(spans[step.scale] for spans in axis) for axis in axes)
        return done


def settled(graph: Graph, flow: Flow) -> Flow:
    """A data flow in which what the sizes alone decide (shape arithmetic) is computed ahead."""
    ahead = {name for name in flow.varying if name in graph.values and _known(graph.values[name])}
    if not ahead:
        return flow
    varying = flow.varying - ahead
    needed = set(graph.outputs)
    live = [False] * len(flow.live)
    for i in range(len(live) - 1, -1, -1):
        outputs = graph.nodes[i].outputs
        if flow.live[i] and not needed.isdisjoint(outputs) and not varying.isdisjoint(outputs):
            live[i] = True
            needed.update(name for name in flow.reads[i] if name not in ahead)
    return Flow(flow.reads, tuple(live), varying)


def _known(value: Value) -> bool:
    data = value.data if value.content is not None else None
    return data is not None and all(type(element) in (int, float, bool) for element in data)


def prefix(graph: Graph, flow: Flow, tensor: str) -> list[int]:
    """The indices of the varying nodes that make a tensor, in order. Raises Blocked where that is no stage."""
    if tensor in graph.inputs or tensor not in flow.varying:
        raise Blocked(f"{tensor} is not computed from the model's input")
    wanted, found = {tensor}, []
    for i in range(len(graph.nodes) - 1, -1, -1):
        if flow.live[i] and not wanted.isdisjoint(graph.nodes[i].outputs):
            found.append(i)
            wanted.update(name for name in flow.reads[i] if name in flow.varying)
    if not found:
        raise Blocked(f"no node that runs makes {tensor}")
    inside = set(found)
    outside = {name for i, read in enumerate(flow.reads) if flow.live[i] and i not in inside for name in read}
    outside.update(graph.outputs)
    made = {name for i in found for name in graph.nodes[i].outputs if name} | (wanted & set(graph.inputs))
    left = sorted((made & outside) - {tensor})
    if left:
        raise Blocked(f"{left[0]} is read outside the stage too")
    return found[::-1]


class BlockedAt(Blocked):
    """What blocks is the node at an index: no stage can hold it; where `axes`, none that is tiled as this one is."""

    def __init__(self, why: Blocked, index: int) -> None:
        super().__init__(str(why))
        self.index = index
        self.axes = isinstance(why, OtherAxes)


def compiled(graph: Graph, flow: Flow, back: Iterable[int], tensor: str, table: CostTable) -> Stage:
    """The stage of these nodes, given from the last to the first, tiled over the axes of `tensor` behind the first two.

    Raises Blocked; BlockedAt where it is a node, the last one, that no stage can hold.
    """
    shape = numbers(tensor, graph.values)
    if not 3 <= len(shape) <= 2 + MAX_RANK:
        raise Blocked(f"{tensor} has no spatial axes to tile: its shape is {list(shape)}")
    making = _Making(graph, flow, table)
    making.add(tensor, tuple(range(2, len(shape))))
    for i in back:
        try:
            making.step(i)
        except Blocked as why:
            raise BlockedAt(why, i) from None
    inputs = tuple(name for name in graph.inputs if name in making.tensors)
    return Stage(tensor, tuple(reversed(making.steps)), making.tensors, inputs)


class _Making:
    """A stage while it is compiled, from its end."""

    def __init__(self, graph: Graph, flow: Flow, table: CostTable) -> None:
        self.graph, self.flow, self.table = graph, flow, table
        self.rules = rules_for(graph)
        self.axes: dict[str, Axes] = {}
        self.tensors: dict[str, Tiled] = {}
        self.steps: list[Step] = []

    def add(self, name: str, axes: Axes) -> None:
        """A tensor and its tiled axes."""
        if self.axes.setdefault(name, axes) != axes:
            raise OtherAxes(f"{name} is tiled over different axes by its readers")
        if name in self.tensors:
            return
        shape, encoding = numbers(name, self.graph.values), self.graph.values[name].encoding
        if encoding.bits == 0:
            raise Blocked(f"the elements of {name} have no fixed size")
        if any(axis is not None and axis >= len(shape) for axis in axes):
            raise Blocked(f"{name} of shape {list(shape)} does not have the tiled axes")
        extents = tuple(1 if axis is None else shape[axis] for axis in axes)
        self.tensors[name] = Tiled(extents, prod(shape) // prod(extents), encoding)

    def step(self, i: int) -> None:
        """A node whose readers are all there."""
        node, row = self.graph.nodes[i], self.table.rows[i]
        outputs = tuple(name for name in node.outputs if name)
        axes = next(self.axes[name] for name in outputs if name in self.axes)
        if None in axes:
            raise Blocked(f"{node.op} {node.label}: its output is broadcast over a tiled axis")
        opset = self.graph.opsets.get(node.domain, 1)
        call = Call(node, self.graph.values, opset, self.flow.varying, axes)  # type: ignore[arg-type]
        found = readings(call, self.rules.get((node.domain, node.op)))
        for name in outputs:
            self.add(name, axes)
        for name, theirs, _ in found:
            self.add(name, theirs)
        # A transposed convolution works input by input; all others output by output.
        scale = found[0].name if found and row.kind == "transposed" else outputs[0]
        macs = row.quantity("macs").value
        if macs is None or macs % prod(self.tensors[scale].extents):
            raise Blocked(f"{node.op} {node.label}: its MACs are not known position by position")
        if len({self.tensors[name].extents for name in outputs}) > 1:
            raise Blocked(f"{node.op} {node.label}: its outputs differ in size")
        self.steps.append(Step(i, outputs, tuple(found), macs, scale))
