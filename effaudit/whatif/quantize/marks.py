"""Which tensors a static quantization stores in integers: what onnxruntime's QDQ quantizer marks, operator by operator.

Operators are visited in order. One that computes marks its inputs and outputs; one that only moves elements is
quantized where its input is already, and shares that scale. A Relu or Clip behind a quantized operator disappears:
the range of its output does its clipping.

https://github.com/microsoft/onnxruntime/tree/main/onnxruntime/python/tools/quantization/operators
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from effaudit.graph import INTEGERS, Constant, Graph, Node, Value
from effaudit.ops._registry import MICROSOFT
from effaudit.whatif.constants import tensor
from effaudit.whatif.quantize.types import BLOCK, PER_CHANNEL, Rule

QUANTIZABLE: Final = frozenset(("float32", "float16"))
ACTIVATION: Final = "activation"
WEIGHT: Final = "weight"
ONES: Final = "ones"  # a constant that an elementwise operator reads: stored like an activation


class Mark(msgspec.Struct, frozen=True):
    """A tensor that is quantized: as an activation, as a weight, or as a constant stored like an activation.

    `node` is the node whose rule it is stored by; `axis` that of the channels of a weight, None per tensor; `like` the
    tensor whose scale it shares.
    """

    kind: str
    node: int
    axis: int | None = None
    like: str = ""


class Bias(msgspec.Struct, frozen=True):
    """A bias that becomes int32 with the scale of the node's input times that of its weight."""

    node: int
    place: int
    name: str
    input: str
    weight: str


class Marks(msgspec.Struct, frozen=True):
    """What is quantized, in the order it was met. `writes` renames outputs whose Relu or Clip is among `removed`."""

    tensors: Mapping[str, Mark]
    biases: Sequence[Bias]
    removed: frozenset[int]
    writes: Mapping[str, str]


def marks(graph: Graph, values: Mapping[str, Value], rules: Sequence[Rule]) -> Marks:
    """What is quantized of a graph as it was read, under the rule of each node; `values` are its tensors."""
    found = _Marker(graph, values, rules)
    for i, (node, rule) in enumerate(zip(graph.nodes, rules, strict=True)):
        takes = rule.static and not node.bodies and node.domain in ("", MICROSOFT) and node.op in OPERATORS
        if takes and not found.exact(node):
            OPERATORS[node.op](found, i, node)
    return Marks(found.tensors, tuple(found.biases), frozenset(found.removed), found.writes)


class Floats:
    """What is known of the floating tensors of a graph: their constants, and how often each is read."""

    def __init__(self, graph: Graph, values: Mapping[str, Value]) -> None:
        self.graph = graph
        self.values = values
        self.makers: dict[str, Node] = {name: node for node in graph.nodes for name in node.outputs if name}
        self.readers: Counter[str] = Counter(name for node in graph.nodes for name in node.inputs if name)
        self.kept: set[str] = {*graph.inputs, *graph.outputs}
        for node in graph.nodes:
            for body in node.bodies.values():
                self.kept.update(body.captured)
        self.sizes = self._sizes()

    def constant(self, name: str) -> Constant | None:
        """The constant behind a name: an initializer, or the tensor of a Constant node."""
        return tensor(self.graph, name, self.makers) if name else None

    def floating(self, name: str) -> bool:
        """True for a tensor that can be quantized."""
        constant = self.constant(name)
        if constant is not None:
            return constant.encoding.dtype in QUANTIZABLE
        return name in self.values and self.values[name].encoding.dtype in QUANTIZABLE

    def exact(self, node: Node) -> bool:
        """True for arithmetic on shapes: its results are known before the model runs, and integers or sizes come of
        them."""
        return any(name in self.sizes for name in node.outputs)

    def _sizes(self) -> set[str]:
        """Known tensors that known integers, and the sizes a Resize gives its result, are computed from."""
        known = {name for name, value in self.values.items() if value.data is not None}
        found: set[str] = set()
        for node in reversed(self.graph.nodes):
            if node.op in ("Resize", "Upsample"):
                found.update(known.intersection(node.inputs[1:]))
            whole = any(name in known and self.values[name].encoding.dtype in INTEGERS for name in node.outputs)
            if whole or not found.isdisjoint(node.outputs):
                found.update(known.intersection(node.inputs))
        return found

    def only_read_once(self, name: str) -> bool:
        """True for what one node reads and nothing else needs."""
        return self.readers[name] == 1 and name not in self.kept


class _Marker(Floats):
    def __init__(self, graph: Graph, values: Mapping[str, Value], rules: Sequence[Rule]) -> None:
        super().__init__(graph, values)
        self.rules = rules
        self.opset = graph.opsets.get("", 1)
        self.tensors: dict[str, Mark] = {}
        self.biases: list[Bias] = []
        self.biased: set[str] = set()
        self.removed: set[int] = set()
        self.writes: dict[str, str] = {}

    def mark(self, i: int, name: str) -> None:
        """An activation, or a constant stored like one."""
        if self.floating(name) and name not in self.tensors:
            kind = ACTIVATION if self.constant(name) is None else ONES
            self.tensors[name] = Mark(kind, i)

    def same(self, i: int, name: str, source: str) -> None:
        """An output that shares the scale of an input; scales of channels do not follow them to another axis."""
        if source in self.tensors and self.tensors[source].axis is not None:
            return
        if self.floating(name) and self.constant(name) is None:
            self.tensors[name] = Mark(ACTIVATION, i, like=source)

    def weight(self, i: int, name: str, axis: int) -> None:
        """A constant weight with its channels along `axis`; what is computed is an activation."""
        constant = self.constant(name)
        if constant is None:
            self.mark(i, name)
        elif self.floating(name) and name not in self.tensors:
            split = self.rules[i].granularity in (PER_CHANNEL, BLOCK) and -len(constant.shape) <= axis
            inside = split and axis < len(constant.shape)
            self.tensors[name] = Mark(WEIGHT, i, axis % len(constant.shape) if inside else None)

    def bias(self, i: int, place: int, weight: str) -> None:
        """The bias at an input of a node, if it is a constant."""
        node = self.graph.nodes[i]
        name = node.inputs[place] if place < len(node.inputs) else ""
        if name and self.constant(name) is not None and self.floating(name):
            self.biases.append(Bias(i, place, name, node.inputs[0], weight))
            self.biased.add(name)

    def quantized(self, name: str) -> bool:
        """True for a tensor that is marked by now."""
        return name in self.tensors or name in self.biased

    def outputs(self, i: int) -> None:
        for name in self.graph.nodes[i].outputs:
            self.mark(i, name)


def _computes(marker: _Marker, i: int, node: Node) -> None:
    for name in (*node.inputs, *node.outputs):
        marker.mark(i, name)


def _conv(marker: _Marker, i: int, node: Node) -> None:
    marker.mark(i, node.inputs[0])
    marker.outputs(i)
    marker.weight(i, node.inputs[1], 1 if node.op == "ConvTranspose" else 0)
    marker.bias(i, 2, node.inputs[1])


def _gemm(marker: _Marker, i: int, node: Node) -> None:
    marker.mark(i, node.inputs[0])
    marker.outputs(i)
    marker.weight(i, node.inputs[1], 0 if node.attrs.get("transB", 0) else 1)
    marker.bias(i, 2, node.inputs[1])


def _matmul(marker: _Marker, i: int, node: Node) -> None:
    for name in (*node.inputs, *node.outputs):
        # Along the columns, which are the last axis: the second of a matrix, as onnxruntime has it.
        constant = marker.constant(name)
        marker.weight(i, name, -1 if constant is None or len(constant.shape) > 1 else 1)


def _normalization(marker: _Marker, i: int, node: Node) -> None:
    marker.mark(i, node.inputs[0])
    if len(node.inputs) > 1:
        marker.weight(i, node.inputs[1], 1)
        marker.bias(i, 2, node.inputs[1])
    marker.outputs(i)


def _clipping(marker: _Marker, i: int, node: Node) -> None:
    source, result = node.inputs[0], node.outputs[0]
    if not marker.quantized(source):
        return
    rule = marker.rules[i]
    clips = "int" in rule.activations and not rule.symmetric_activations  # a range from zero ends where Relu clips
    if clips and source in marker.tensors and marker.only_read_once(source) and marker.constant(source) is None:
        del marker.tensors[source]
        marker.removed.add(i)
        marker.writes[source] = result
    else:
        marker.mark(i, source)
    marker.mark(i, result)


def _moves(marker: _Marker, i: int, node: Node) -> None:
    if marker.quantized(node.inputs[0]):
        marker.same(i, node.outputs[0], node.inputs[0])


def _moves_from(opset: int) -> Callable[[_Marker, int, Node], None]:
    """Quantized where the operator takes integers, which it does from this opset."""

    def found(marker: _Marker, i: int, node: Node) -> None:
        if marker.opset >= opset:
            _moves(marker, i, node)

    return found


def _split(marker: _Marker, i: int, node: Node) -> None:
    marker.mark(i, node.inputs[0])
    for name in node.outputs:
        marker.same(i, name, node.inputs[0])


def _gather(marker: _Marker, i: int, node: Node) -> None:
    if marker.constant(node.inputs[0]) is not None:
        marker.mark(i, node.inputs[0])
    _moves(marker, i, node)


def _where(marker: _Marker, i: int, node: Node) -> None:
    if all(marker.quantized(name) for name in node.inputs[1:3]):
        marker.outputs(i)


def _pad(marker: _Marker, i: int, node: Node) -> None:
    for name in node.inputs:
        marker.mark(i, name)
    if _pads_with_what_is_there(marker, node):
        marker.same(i, node.outputs[0], node.inputs[0])
    else:
        marker.outputs(i)


def _pads_with_what_is_there(marker: _Marker, node: Node) -> bool:
    """True where the padding is zero or elements of the input: the scale need not change for it."""
    if node.attrs.get("mode", "constant") != "constant":
        return True
    if marker.opset < 11:
        return not node.attrs.get("value", 0)
    if len(node.inputs) < 3 or not node.inputs[2]:
        return True
    value = marker.values.get(node.inputs[2])
    return value is not None and value.data is not None and not any(value.data)


# Alone they quantize nothing: they pass on, or clip, what another node made.
FOLLOWERS: Final = frozenset(
    "Relu Clip Reshape Transpose Squeeze Unsqueeze Flatten AveragePool Slice TopK MaxPool Resize Where".split()
)
OPERATORS: Final[Mapping[str, Callable[[_Marker, int, Node], None]]] = {
    **dict.fromkeys(("Conv", "ConvTranspose"), _conv),
    "Gemm": _gemm,
    "MatMul": _matmul,
    **dict.fromkeys(("InstanceNormalization", "LayerNormalization", "BatchNormalization"), _normalization),
    **dict.fromkeys(("Relu", "Clip"), _clipping),
    **dict.fromkeys("Reshape Transpose Squeeze Unsqueeze Flatten AveragePool Slice TopK".split(), _moves),
    "MaxPool": _moves_from(12),
    "Resize": _moves_from(11),
    "Split": _split,
    **dict.fromkeys(("Gather", "GatherElements"), _gather),
    "Where": _where,
    "Pad": _pad,
    **dict.fromkeys(
        "Add Mul Concat Softmax Sigmoid LeakyRelu GlobalAveragePool ArgMax CumSum EmbedLayerNormalization".split(),
        _computes,
    ),
}
