"""Which tensors ONNX Runtime keeps in one buffer, and for how long: its allocation planner.

`PlannerImpl::ComputeSingleStreamReusePlan` and `GenerateDeallocationPlan`, core/framework/allocation_planner.cc (read
at 1.27, held against the memory profile of 1.31.1). Node by node, for each output:

- a graph output has a buffer of its own, kept to the end;
- else, a kernel that aliases (`Alias`) gives it the input's buffer;
- else, one that may work in place gives it the buffer of an input that nothing else needs and that has its shape;
- else, if a node reads it, it takes the buffer that was freed last among those made for a tensor of its shape and
  element width;
- else, it gets a new one.

A buffer is freed after the last node that reads one of its tensors, so one that is taken again stays allocated in
between. One whose tensors nobody reads is never freed. Graph inputs, weights and what only views them are not ONNX
Runtime's to free or reuse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from effaudit.dataflow import Flow
from effaudit.errors import Undecided
from effaudit.graph import SEQUENCE, Graph, Node, Value
from effaudit.plan.lifetimes import Lifetime
from effaudit.runtimes._ort_inference import Shape
from effaudit.runtimes._ort_kernels import aliased, may_in_place
from effaudit.runtimes._ort_shapes import known_shapes

BODIES = "states and outputs of a body may be those of its node"
Key: TypeAlias = tuple[Shape, int]  # shape, bits of an element


def planned(graph: Graph, flowing: Flow, found: list[Lifetime]) -> list[Lifetime]:
    """The storages of the tensors `found`, and of those that depend on no input, in a graph whose nodes stand in ONNX
    Runtime's order."""
    steps = [node for node, runs in zip(graph.nodes, flowing.live, strict=True) if runs]
    more = [
        _lifetime(name, step, graph.values[name])
        for step, node in enumerate(steps)
        if node.op != "Constant"
        for name in node.outputs
        if name and name not in flowing.varying
    ]
    return _Planner(graph, flowing, [*found, *more], known_shapes(graph)).storages()


def _lifetime(name: str, step: int, value: Value) -> Lifetime:
    """A tensor that `lifetimes` leaves out. Its end is decided by the planner."""
    try:
        size = None if value.encoding.bits == 0 or (value.shape is None and value.extent is None) else value.nbytes
    except Undecided as doubt:
        return Lifetime(name, step, step + 1, None, f"{name}: {doubt}")
    return Lifetime(name, step, step + 1, size, "" if size is not None else f"{name}: {value.why}")


class _Planner:
    """The state of ORT's planner: use counts, the buffer of every tensor, and the buffers that are free."""

    def __init__(self, graph: Graph, flowing: Flow, found: list[Lifetime], shapes: Mapping[str, Shape]) -> None:
        self.graph = graph
        self.nodes = [node for node, runs in zip(graph.nodes, flowing.live, strict=True) if runs]
        self.found = {one.name: one for one in found}
        self.own = {name for node in self.nodes for name in node.outputs if name in self.found}
        self.outputs = set(graph.outputs)
        self.shapes = shapes
        self.read = {name for node in self.nodes for name in _read(node)}
        self.uses = self._count()
        self.buffer: dict[str, str] = {}  # tensor -> the first tensor of its buffer
        self.last: dict[str, int] = {}  # buffer -> the last step that reads it
        self.free: dict[Key, list[str]] = {}  # buffers by what they were made for, the one freed last at the end

    def storages(self) -> list[Lifetime]:
        for step, node in enumerate(self.nodes):
            for place, name in enumerate(node.outputs):
                if name in self.own:
                    self._place(node, place, name)
            self._release(step, node)
        return self._made()

    def _count(self) -> dict[str, int]:
        """How often a tensor is needed: by its maker, by each reading input, and by the caller."""
        uses: dict[str, int] = {}
        for name in self.outputs:
            uses[name] = uses.get(name, 0) + 1
        for node in self.nodes:
            for name in (*_read(node), *filter(None, node.outputs)):
                uses[name] = uses.get(name, 0) + 1
        return uses

    def _place(self, node: Node, place: int, name: str) -> None:
        if name in self.outputs:
            return
        source = self._aliased(node, place) or self._in_place(node, place, name)
        if not source and name in self.read:
            source = self._freed(name)
        if source:
            root = self.buffer.get(source, source)
            self.buffer[name] = root
            self.uses[root] = self.uses.get(root, 0) + self.uses.get(name, 0)

    def _aliased(self, node: Node, place: int) -> str:
        for source, target in aliased(node):
            if target == place and source < len(node.inputs) and node.inputs[source]:
                return node.inputs[source]
        return ""

    def _in_place(self, node: Node, place: int, name: str) -> str:
        for source, target in may_in_place(self.graph, node):
            if target != place or source >= len(node.inputs) or not node.inputs[source]:
                continue
            given = node.inputs[source]
            root = self.buffer.get(given, given)
            key = self._key(name)
            if root in self.own and self.uses[root] == 1 and key is not None and key == self._key(given):
                return given
        return ""

    def _freed(self, name: str) -> str:
        key = self._key(name)
        if key is None or not key[0]:  # a scalar takes no other's place
            return ""
        free = self.free.get(key)
        return free.pop() if free else ""

    def _key(self, name: str) -> Key | None:
        """What ONNX Runtime compares buffers by, None where it does not know the shape."""
        value, shape = self.graph.values.get(name), self.shapes.get(name)
        if value is None or shape is None or None in shape or value.encoding.bits == 0 or value.encoding == SEQUENCE:
            return None
        return shape, max(value.encoding.bits, 8)

    def _release(self, step: int, node: Node) -> None:
        for name in _read(node):
            root = self.buffer.get(name, name)
            self.last[root] = step
            self._drop(root)
        for name in node.outputs:
            if name:
                self._drop(self.buffer.get(name, name))

    def _drop(self, root: str) -> None:
        if root not in self.own:
            return
        self.uses[root] -= 1
        key = self._key(root)
        if self.uses[root] == 0 and key is not None:
            self.free.setdefault(key, []).append(root)

    def _made(self) -> list[Lifetime]:
        others: dict[str, list[str]] = {}
        for name, root in self.buffer.items():
            others.setdefault(root, []).append(name)
        end = max(len(self.nodes), 1)
        made: list[Lifetime] = []
        for name, one in self.found.items():
            if name in self.buffer and self.buffer[name] in self.found:
                continue
            if name in self.buffer:  # a view of a weight
                continue
            stop = self.last.get(name, end - 1) + 1
            if name in self.outputs:
                stop = end
            shared = tuple(others.get(name, ()))
            made.append(Lifetime(name, one.start, max(stop, one.start + 1), one.size, one.why, shared))
        return made


def _read(node: Node) -> Iterator[str]:
    """Every input of a node, one read twice twice, then what its bodies capture."""
    yield from filter(None, node.inputs)
    captured: dict[str, None] = {}
    for body in node.bodies.values():
        captured.update(dict.fromkeys(body.captured))
    yield from captured


def requested(storages: Iterable[Lifetime], graph: Graph) -> list[Lifetime]:
    """Without those of the graph's inputs: the bytes that ONNX Runtime's allocator is asked for."""
    outside = set(graph.inputs)
    return [one for one in storages if one.name not in outside]
