"""A network with a tenth more multiply-accumulates: hidden channels between two layers, a few more of them.

Such channels are written by one layer and read by one other, with nothing between but norms, activations, depthwise
convolutions and pools: then both layers are made wider together, and no other node sees it.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from onnx import NodeProto, helper

from benchmarks.sketch import Sketch

MULTIPLE: Final = 16  # channels are added in such steps: kernels work on blocks of them
BETWEEN: Final = frozenset(
    """BatchNormalization InstanceNormalization Relu Clip LeakyRelu HardSwish Sigmoid Tanh MaxPool AveragePool
    Add""".split()
)
# the axis of the weight that the output's channels are, and the input's
_OUT: Final[Mapping[str, int]] = {"Conv": 0, "ConvTranspose": 1, "Gemm": 0, "MatMul": 1}
_IN: Final[Mapping[str, int]] = {"Conv": 1, "ConvTranspose": 0, "Gemm": 1, "MatMul": 0}


@dataclass(frozen=True)
class Hidden:
    """Channels between two layers: the nodes by index, what lies between, how many channels, and the MACs of one."""

    first: int
    last: int
    between: tuple[int, ...]
    channels: int
    macs: float


def widened(g: Sketch, macs: Sequence[int], share: float) -> Sketch:
    """A copy with about `share` more MACs; `macs` are those of each node. Raises ValueError where the network has not
    got enough channels of that kind: each is widened by a half at most."""
    found = hidden(g, macs)
    wanted = share * sum(macs)
    available = sum(one.macs * one.channels for one in found)
    if available <= 0 or wanted / available > 0.5:
        raise ValueError("too few hidden channels to widen")
    made, left = copy.deepcopy(g), wanted
    for i, one in enumerate(found):
        rest = sum(other.macs * other.channels for other in found[i:])
        steps = round(one.channels * left / rest / MULTIPLE)
        _widen(made, one, steps * MULTIPLE)
        left -= steps * MULTIPLE * one.macs
    return made


def hidden(g: Sketch, macs: Sequence[int]) -> list[Hidden]:
    """Largest MACs of a step first: the smaller ones then make up for what rounding left. No two share a layer: what
    one layer costs would grow with both."""
    found, taken = [], set[int]()
    readers = Readers(g)
    for i, node in enumerate(g.nodes):
        ends = None if i in taken or not _layer(g, node, readers) else _next_layer(g, i, readers)
        if ends is None or ends[-1] in taken:
            continue
        *between, last = ends
        channels = g.weights[node.input[1]].dims[_OUT[node.op_type]]
        found.append(Hidden(i, last, tuple(between), channels, sum(macs[at] for at in (i, *ends)) / channels))
        taken |= {i, last}
    return sorted(found, key=lambda one: -one.macs)


class Readers:
    """Who reads a value: how many nodes, and the last of them by index; an output of the graph is read outside."""

    def __init__(self, g: Sketch) -> None:
        self.count = Counter(name for node in g.nodes for name in node.input)
        self.count.update(value.name for value in g.outputs)
        self.node = {name: i for i, node in enumerate(g.nodes) for name in node.input}


def _next_layer(g: Sketch, first: int, readers: Readers) -> list[int] | None:
    """The nodes behind a layer up to the next one, that one last; None where channels go elsewhere."""
    path, out = [], g.nodes[first].output[0]
    while readers.count[out] == 1 and out in readers.node:
        path.append(readers.node[out])
        node = g.nodes[path[-1]]
        if _layer(g, node, readers) and node.input[0] == out:
            return path
        if not _passes(g, node):
            return None
        out = node.output[0]
    return None


def _group(node: NodeProto) -> int:
    return next((attr.i for attr in node.attribute if attr.name == "group"), 1)


def _layer(g: Sketch, node: NodeProto, readers: Readers) -> bool:
    """Whether it has a weight of its own that all input channels meet."""
    if node.op_type not in _OUT or node.input[1] not in g.weights or _group(node) > 1:
        return False
    transposed = any(attr.name == "transB" and attr.i for attr in node.attribute)
    return readers.count[node.input[1]] == 1 and (node.op_type != "Gemm" or transposed)


def _passes(g: Sketch, node: NodeProto) -> bool:
    """Whether channels stay apart in it: a depthwise convolution, or a node of one tensor and of weights."""
    if node.op_type == "Conv":
        weight = g.weights.get(node.input[1])
        return weight is not None and _group(node) == weight.dims[0] and weight.dims[1] == 1
    return node.op_type in BETWEEN and sum(name not in g.weights for name in node.input if name) == 1


def _widen(g: Sketch, one: Hidden, more: int) -> None:
    if more <= 0:
        return
    first, last = g.nodes[one.first], g.nodes[one.last]
    _grow(g, first.input[1], _OUT[first.op_type], more)
    _grow(g, last.input[1], _IN[last.op_type], more)
    vectors = [name for name in first.input[2:] if name]
    for at in one.between:
        node = g.nodes[at]
        vectors += [name for name in node.input if name in g.weights and g.weights[name].dims[:1] == (one.channels,)]
        for attr in node.attribute:
            if attr.name == "group":
                attr.CopyFrom(helper.make_attribute("group", attr.i + more))
    for name in dict.fromkeys(vectors):
        _grow(g, name, 0, more)


def _grow(g: Sketch, name: str, axis: int, more: int) -> None:
    weight = g.weights[name]
    dims = list(weight.dims)
    dims[axis] += more
    g.weights[name] = replace(weight, dims=tuple(dims))
