"""What the integers fed to a graph may be, told by the operators that read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from effaudit.elements import value_of
from effaudit.graph import Graph, Node, Value

_STEPS: Final = 10_000  # readers followed from one input
# The first output's elements are among the first input's.
_CARRIES: Final = frozenset(
    """Cast Reshape Squeeze Unsqueeze Identity Flatten Transpose Expand Tile Slice Concat Split Clip Where Pad Gather
    GatherElements GatherND Max Min""".split()
)
_TABLES: Final = {"Gather": 1, "GatherElements": 1, "ScatterElements": 1, "Scatter": 1}
_RECURRENT: Final = frozenset(("LSTM", "GRU", "RNN"))
_LENGTHS: Final = ("length", "_len", "lens")
# EmbedLayerNormalization: ids, segment ids, word, position and segment embedding; the last but one input: position ids
_EMBEDDINGS: Final = {0: 2, 1: 4, 8: 3}
_EVERY_STEP: Final = 2  # runs of a loop whose trip count is fed


class Use(msgspec.Struct, frozen=True):
    """`below`: every element is at least 0 and less. `exact`: the one value that fits. `ones`: it is a mask or a
    condition, of which ones leave everything in."""

    below: int | None = None
    exact: int | None = None
    ones: bool = False


def uses(graph: Graph) -> Mapping[str, Use]:
    """The use of each input of a graph with shapes."""
    readers: dict[str, list[tuple[Node, int]]] = {}
    for node in graph.nodes:
        for place, name in enumerate(node.inputs):
            if name:
                readers.setdefault(name, []).append((node, place))
    return {name: _use(name, graph, readers) for name in graph.inputs}


def _use(name: str, graph: Graph, readers: Mapping[str, list[tuple[Node, int]]]) -> Use:
    below: int | None = None
    exact: int | None = None
    ones = False
    for node, place, offset in _reached(name, graph, readers):
        found = _below(node, place, graph.values)
        if found is not None:
            below = min(found - offset, found if below is None else below)
        if exact is None:
            exact = _exact(node, place, graph.values)
        ones = ones or (node.op in ("Loop", "If", "Where", "And") and place in (0, 1))
    if exact is None and below is None and any(part in name.lower() for part in _LENGTHS):
        exact = _length(name, graph)
    return Use(below, exact, ones)


def _reached(name: str, graph: Graph, readers: Mapping[str, list[tuple[Node, int]]]) -> Iterator[tuple[Node, int, int]]:
    """(node, input place, constant added on the way) of every reader of a tensor, through operators that carry its
    elements on."""
    waiting, seen = [(name, 0)], {name}
    steps = 0
    while waiting and steps < _STEPS:
        tensor, offset = waiting.pop()
        for node, place in readers.get(tensor, ()):
            steps += 1
            yield node, place, offset
            more = offset
            if node.op in ("Add", "Sub") and len(node.inputs) == 2:
                added = _largest(node.inputs[1 - place], graph)
                if added is None:
                    continue
                more = offset + (added if node.op == "Add" else 0)
            elif not _carries(node, place):
                continue
            for output in node.outputs:
                if output and output not in seen:
                    seen.add(output)
                    waiting.append((output, more))


def _carries(node: Node, place: int) -> bool:
    """Whether what is fed to this input is among the elements of the output."""
    if node.op == "Where":
        return place > 0
    return node.op in _CARRIES and (place == 0 or node.op in ("Concat", "Max", "Min"))


def _largest(name: str, graph: Graph) -> int | None:
    constant = graph.constants.get(name)
    value = value_of(constant) if constant else graph.values.get(name)
    data = value.data if value is not None else None
    if not data or any(not isinstance(element, int) for element in data):
        return None
    return int(max(0, *data))


def _below(node: Node, place: int, values: Mapping[str, Value]) -> int | None:
    """The number of rows that the integers at this input select from."""
    if node.op in _TABLES and place == _TABLES[node.op]:
        return _dim(values, node.inputs[0], int(node.attrs.get("axis", 0)))
    if node.op == "GatherND" and place == 1:
        shape = values[node.inputs[0]].shape if node.inputs[0] in values else None
        known = [dim for dim in shape or () if isinstance(dim, int)]
        return min(known) if known else None
    if node.op == "EmbedLayerNormalization" and place in _EMBEDDINGS and len(node.inputs) > _EMBEDDINGS[place]:
        return _dim(values, node.inputs[_EMBEDDINGS[place]], 0)
    if node.op == "OneHot" and place == 0:
        data = values[node.inputs[1]].data if node.inputs[1] in values else None
        return data[0] if data and isinstance(data[0], int) else None
    return None


def _exact(node: Node, place: int, values: Mapping[str, Value]) -> int | None:
    if node.op in _RECURRENT and place == 4:
        axis = 1 if node.attrs.get("layout") else 0
        return _dim(values, node.inputs[0], axis)
    if node.op == "GroupQueryAttention" and place in (5, 6):
        new = _dim(values, node.inputs[0], 1)
        past = _dim(values, node.inputs[3], 2) if node.inputs[3] else 0
        if new is not None and past is not None:
            return new + past - (1 if place == 5 else 0)
    if node.op == "Loop" and place == 0:
        return _EVERY_STEP
    if node.op == "TopK" and place == 1:
        return 1
    return None


def _dim(values: Mapping[str, Value], name: str, axis: int) -> int | None:
    shape = values[name].shape if name in values else None
    if not shape or not -len(shape) <= axis < len(shape):
        return None
    dim = shape[axis]
    return dim if isinstance(dim, int) else None


def _length(name: str, graph: Graph) -> int | None:
    """The shortest last axis among the other inputs that have more than one: what a length counts."""
    found = [_dim(graph.values, other, -1) for other in graph.inputs if other != name]
    several = [dim for dim in found if dim is not None and dim > 1]
    return min(several, default=None)
