"""A graph whose inputs have other shapes: its Reshape targets recomputed, its nodes checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.dims import Dim
from effaudit.elements import value_of
from effaudit.errors import UsageError
from effaudit.graph import Graph, Node, Shape, Value
from effaudit.load import Given, infer, infer_adapted
from effaudit.lower._rewrite import Wiring
from effaudit.whatif.constants import literal
from effaudit.whatif.draft import Draft
from effaudit.whatif.given import assumed_sizes, still_open
from effaudit.whatif.reshaped import Ambiguous, Sizes, resolved, retargeted, wanted
from effaudit.whatif.types import Blocked

# They take elements from where their indices say.
_PICKS: Final = frozenset("Gather GatherND GatherElements Slice".split())
# They make a size that a constant states, whatever they read.
_FIXED: Final = frozenset("Resize Upsample CenterCropPad".split())


class Resized(msgspec.Struct, frozen=True):
    """The graph as if read; the shapes of its inputs in numbers; how many targets were recomputed, and constants
    of one sample repeated; what kept its size though what it reads did not."""

    graph: Graph
    inputs: Mapping[str, Shape | None]
    targets: int
    repeated: int
    blocked: tuple[Blocked, ...]


def resized(audited: Audited, declared: Mapping[str, Value], option: str) -> Resized:
    """The graph `audited.raw` with the inputs `declared`; `audited.graph` holds what was valid before.

    Raises UsageError naming the first node that does not take the new shapes, or whose own cannot be told.
    """
    raw = audited.raw
    invalid = {name for name, value in audited.graph.values.items() if value.invalid}
    given = _numbers(audited.given, assumed_sizes(audited.graph), raw)
    before = infer(raw, given)
    _check(before, invalid, option)
    changed = {name: value for name, value in declared.items() if value.shape != before.values[name].shape}
    if not changed:
        fresh = all(before.values[name].shape == audited.graph.values[name].shape for name in raw.inputs)
        return Resized(raw if fresh else replace(raw, stated=dict), _inputs(before), 0, 0, ())
    new = {
        name: Value(value.encoding, _taken(value.shape, before.values[name].shape)) for name, value in changed.items()
    }
    walk = _Walk(audited, before, new, option)
    opened = replace(raw, declared={**raw.declared, **changed}, stated=dict)
    after = infer_adapted(opened, _numbers(given, {}, opened), walk.adapt)
    _check(after, {name for name, value in before.values.items() if value.invalid}, option)
    _check_batch(before, after, walk.sizes, option)
    walk.draft.declared.update(changed)
    blocked = (*_kept(before, after), *_single(before, after, walk.sizes))
    return Resized(walk.draft.graph(), _inputs(after), walk.targets, walk.repeated, blocked)


def _numbers(given: Given, assumed: Mapping[str, int], graph: Graph) -> Given:
    """What was given or assumed of the dims that a graph leaves open."""
    return still_open(Given(given.dims, given.shapes, {**assumed, **given.assumed}), graph)


def _taken(shape: Shape | None, numbers: Shape | None) -> Shape | None:
    """A shape with the numbers that another has for dims left open."""
    if shape is None or numbers is None:
        return shape
    return tuple(size if type(size) is int else known for size, known in zip(shape, numbers, strict=True))


def _inputs(graph: Graph) -> dict[str, Shape | None]:
    return {name: graph.values[name].shape for name in graph.inputs}


def _check(graph: Graph, before: set[str], option: str) -> None:
    """Raises UsageError for the first node that is invalid and was not."""
    for node in graph.nodes:
        for name in node.outputs:
            value = graph.values.get(name)
            if name and value is not None and value.invalid and name not in before:
                why = value.why.removeprefix(f"invalid {node.op} {node.label}: ")
                raise UsageError(
                    f"{graph.source.path}: {option}: {node.op} {node.label!r} becomes invalid: {why}; "
                    "the model is built for other sizes there: export it at the new one"
                )


def _kept(before: Graph, after: Graph) -> list[Blocked]:
    """Nodes that still make the size that a constant states, though what they read has another."""
    found = []
    for node in before.nodes:
        if node.domain or not (node.op in _FIXED or node.op == "Slice"):
            continue
        was, now = (_sizes(graph.values[node.inputs[0]]) for graph in (before, after))
        made, shape = (_sizes(graph.values[node.outputs[0]]) for graph in (before, after))
        if was is None or now is None or made is None or was == now or made != shape:
            continue
        if node.op == "Slice" and was != made:  # it took a part before as well
            continue
        size = "x".join(map(str, made))
        found.append(Blocked(f"{node.op} {node.label!r}", f"a constant states its size: it still makes {size}"))
    return found


def _check_batch(before: Graph, after: Graph, sizes: Sizes, option: str) -> None:
    """Raises UsageError for the first node that picks what it did from a batch of another size, so that samples get
    lost or get what belongs to another; shapes alone do not tell."""
    for node in before.nodes if sizes.batch is not None else ():
        if node.domain or node.op not in _PICKS or _known(after.values[node.outputs[0]]):
            continue
        was, now = before.values[node.inputs[0]].shape, after.values[node.inputs[0]].shape
        made, shape = before.values[node.outputs[0]].shape, after.values[node.outputs[0]].shape
        if was and now and was[0] != now[0] and made is not None and made == shape:
            raise UsageError(
                f"{before.source.path}: {option}: {node.op} {node.label!r} takes the same elements of a batch whatever "
                "its size; the model is built for one batch there: export it at the new one"
            )


def _known(value: Value) -> bool:
    """True for what is computed from shapes alone."""
    return value.data is not None and all(element is not None for element in value.data)


def _single(before: Graph, after: Graph, sizes: Sizes) -> list[Blocked]:
    """Outputs that stay as they were though the batch did not: the model does not carry it to them."""
    if sizes.batch is None:
        return []
    shapes = ((name, before.values[name].shape, after.values[name].shape) for name in after.outputs)
    reason = "it keeps its shape, so the model does not compute it for every sample of the batch"
    return [Blocked(f"output {name!r}", reason) for name, old, new in shapes if new is not None and old == new]


class _Walk:
    """One inference under the new shapes that exchanges the targets of Reshape nodes on its way."""

    def __init__(self, audited: Audited, before: Graph, declared: Mapping[str, Value], option: str) -> None:
        self.before = before
        self.option = option
        self.draft = Draft(audited)
        self.wiring = Wiring(audited.raw)
        self.targets = self.repeated = 0
        self.open = bool(before.dims) and any(info.origin == "assumed" for info in before.dims.values())
        self.index = -1
        self.became: dict[int, set[int]] = {}
        for name, value in declared.items():
            self._learn(before.values[name].shape, value.shape)
        self.sizes = Sizes(self.became, _batch(before, declared))

    def adapt(self, node: Node, values: dict[str, Value]) -> Node:
        """The node, with another target where it is a Reshape that needs one."""
        self.index += 1
        for name in node.inputs:
            if name:
                self._learn(self.before.values[name].shape, values[name].shape)
        if node.domain or not node.outputs or not node.inputs:
            return node
        if node.op == "Concat":
            return self._repeated(node, values)
        if node.op != "Reshape":
            return node
        target = self._target(node, values)
        return node if target is None else self._exchanged(node, target, values)

    def _repeated(self, node: Node, values: dict[str, Value]) -> Node:
        """A Concat that joins a constant of one sample (a class token) to tensors of several repeats it for each."""
        axis, batch = node.attrs.get("axis"), self.sizes.batch
        shapes = [values[name].shape if name else None for name in node.inputs]
        leading = [shape[0] for shape in shapes if shape]
        one = [name for name in node.inputs if not self.wiring.varies(name) and _sizes(values[name])]
        if axis == 0 or batch is None or batch[0] != 1 or batch[1] not in leading or len(leading) < len(shapes):
            return node
        inputs, nodes = list(node.inputs), []
        for place, (name, shape) in enumerate(zip(node.inputs, shapes, strict=True)):
            if name not in one or shape is None or shape[0] != 1:
                continue
            repeated = (batch[1], *shape[1:])
            target = self._literal(f"{name}.shape", repeated, values)
            inputs[place] = self.draft.fresh(f"{name}.repeated")
            values[inputs[place]] = Value(values[name].encoding, repeated)
            label = f"{node.name}/repeat_{place}" if node.name else ""
            nodes.append(Node(label, "", "Expand", (name, target), (inputs[place],), {}))
        if not nodes:
            return node
        self.repeated += len(nodes)
        raw = replace(self.draft.raw.nodes[self.index], inputs=tuple(inputs))
        self.draft.put(self.index, *nodes, raw)
        return replace(node, inputs=tuple(inputs))

    def _learn(self, old: Shape | None, new: Shape | None) -> None:
        for was, now in zip(old or (), new or (), strict=False):
            if type(was) is int and type(now) is int and was != now and len(old or ()) == len(new or ()):
                self.became.setdefault(was, set()).add(now)

    def _target(self, node: Node, values: Mapping[str, Value]) -> tuple[int, ...] | None:
        """The target that a Reshape needs; None where its own does. Raises UsageError where that cannot be told."""
        stated = self._stated(node, values)
        source, now = _sizes(self.before.values[node.inputs[0]]), _sizes(values[node.inputs[0]])
        made = _sizes(self.before.values[node.outputs[0]])
        if stated is None or source is None or now is None or made is None or source == now:
            return None
        if len(source) != len(now) or 0 in (*source, *now, *made):
            return None
        zeros = bool(node.attrs.get("allowzero", 0))
        own = resolved(stated, now, zeros=zeros)
        try:
            goal = wanted(source, made, now, stated, self.sizes)
        except Ambiguous:
            if own is not None and sum(t > 0 and t == size for t, size in zip(stated, made, strict=True)) == 0:
                return None  # it copies and infers every size
            raise UsageError(
                f"{self.before.source.path}: {self.option}: Reshape {node.label!r} has the target {list(stated)}, made "
                f"for {list(source)}; what it is for {list(now)} cannot be told: export the model at the new size"
            ) from None
        if goal == own:
            return None
        found = retargeted(stated, now, goal, zeros=zeros)
        return None if self.open and len(node.inputs) > 1 and self.wiring.varies(node.inputs[1]) else found

    def _stated(self, node: Node, values: Mapping[str, Value]) -> tuple[int, ...] | None:
        """The target under the new sizes, where it is known."""
        if len(node.inputs) == 1:
            shape = node.attrs.get("shape")
            return shape if type(shape) is tuple else None
        data = values[node.inputs[1]].data
        return None if data is None or not all(type(one) is int for one in data) else data

    def _exchanged(self, node: Node, target: Sequence[int], values: dict[str, Value]) -> Node:
        self.targets += 1
        raw = self.draft.raw.nodes[self.index]
        if len(node.inputs) == 1:
            attrs = {**raw.attrs, "shape": tuple(target)}
            self.draft.put(self.index, replace(raw, attrs=attrs))
            return replace(node, attrs=attrs)
        inputs = (node.inputs[0], self._literal(f"{node.inputs[1]}.bound", target, values))
        self.draft.put(self.index, replace(raw, inputs=inputs))
        return replace(node, inputs=inputs)

    def _literal(self, like: str, numbers: Sequence[Dim], values: dict[str, Value]) -> str:
        """A new constant of whole numbers."""
        import numpy as np

        name = self.draft.add(like, literal("", np.array(numbers, np.int64)))
        values[name] = value_of(self.draft.constants[name])
        return name


def _sizes(value: Value) -> tuple[int, ...] | None:
    shape = value.shape
    if shape is None or not all(type(dim) is int for dim in shape):
        return None
    return tuple(dim for dim in shape if type(dim) is int)


def _batch(before: Graph, declared: Mapping[str, Value]) -> tuple[int, int] | None:
    """How the leading dim of the inputs changes, where it does and in one way."""
    ways = set()
    for name, value in declared.items():
        old, new = before.values[name].shape, value.shape
        if old and new and type(old[0]) is int and type(new[0]) is int and old[0] != new[0] and old[0] > 0:
            ways.add((old[0], new[0]))
    return next(iter(ways)) if len(ways) == 1 else None
