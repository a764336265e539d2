"""The graph with pairs of QuantizeLinear and DequantizeLinear, as onnxruntime's QDQ quantizer writes it.

Behind every quantized activation stands one pair, which all its readers share; a constant is stored in integers with a
DequantizeLinear behind it, a bias as int32. Where a reader's rule names another type than the tensor has, a second
pair converts it.

https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html#representation-of-quantized-onnx-models
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.graph import FLOAT16, Constant, Encoding, Graph, Node
from effaudit.ops._registry import MICROSOFT
from effaudit.whatif.draft import Draft
from effaudit.whatif.quantize.coding import (
    Scale,
    Span,
    bias_of,
    codes,
    least_for,
    of_constant,
    of_range,
    scale_constant,
    zero_constant,
)
from effaudit.whatif.quantize.marks import ACTIVATION, WEIGHT, Bias, Floats, Mark, Marks
from effaudit.whatif.quantize.order import breadth_first
from effaudit.whatif.quantize.types import Rule, bits_of

_Q: Final = "QuantizeLinear"
_DQ: Final = "DequantizeLinear"
COMPUTES: Final = frozenset(  # they requantize: each may read and write tensors of another type than its neighbours
    "Conv ConvTranspose Gemm MatMul InstanceNormalization LayerNormalization BatchNormalization Relu Clip Where Add Mul"
    " Concat Softmax Sigmoid LeakyRelu GlobalAveragePool ArgMax CumSum EmbedLayerNormalization".split()
)


class Written(msgspec.Struct, frozen=True):
    """The rewritten graph, and by name the scales of its activations and weights."""

    graph: Graph
    activations: Mapping[str, Scale]
    weights: Mapping[str, Scale]
    kept: Sequence[tuple[str, str]] = ()  # tensors that stay as they are, and why


class Pair(msgspec.Struct, frozen=True):
    """Names of a scale and a zero point in the graph, and what they hold."""

    scale: str
    zero: str
    value: Scale


def domain_of(dtype: str, real: Encoding, opset: int, *, axis: bool = False) -> str:
    """The domain whose QuantizeLinear and DequantizeLinear take a type at an opset: that of ONNX where it does.

    https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html; before, those of com.microsoft take them.
    """
    need = 13 if axis else 10
    if real == FLOAT16 or dtype.startswith("float8"):
        need = 19
    if bits_of(dtype) > 8 or bits_of(dtype) < 8:
        need = 21 if dtype != "int32" else need
    return "" if opset >= need else MICROSOFT


def write(audited: Audited, rules: Sequence[Rule], found: Marks, spans: Mapping[str, Span]) -> Written:
    """The graph with what is marked quantized; `spans` are the ranges of the marked activations that share no scale."""
    return _Writer(audited, rules, found, spans).run()


class _Writer:
    def __init__(self, audited: Audited, rules: Sequence[Rule], found: Marks, spans: Mapping[str, Span]) -> None:
        self.draft = Draft(audited)
        self.floats = Floats(audited.raw, audited.graph.values)
        self.nodes = audited.raw.nodes
        self.outputs = set(audited.raw.outputs)
        self.opset = audited.raw.opsets.get("", 1)
        self.rules, self.found, self.spans = rules, found, spans
        self.added: list[Node] = []
        self.pairs: dict[tuple[str, str], Pair] = {}  # (tensor, type or "" for its own) -> its scale
        self.read: dict[tuple[str, str], str] = {}  # the same -> what its readers read
        self.biases: dict[tuple[int, int], str] = {}  # (node, place) -> the bias it reads there
        self.writes: dict[str, str] = {}  # graph output -> what its node writes instead
        self.weights: dict[str, Scale] = {}
        self.kept: list[tuple[str, str]] = []

    def run(self) -> Written:
        marked = self.found.tensors
        for name, mark in marked.items():
            if mark.kind != ACTIVATION:
                self._constant(name, mark)
            elif not mark.like:
                self._activation(name, self._pair(name, self._scale(name, mark.node), name))
        self._sharing({name: mark for name, mark in marked.items() if mark.like})
        for bias in self.found.biases:
            self._bias(bias)
        activations = {
            name: pair.value
            for (name, dtype), pair in self.pairs.items()
            if not dtype and marked[name].kind == ACTIVATION
        }
        return Written(self._graph(), activations, self.weights, self.kept)

    # ---- activations
    def _scale(self, name: str, i: int) -> Scale:
        """The scale of an activation in the type that the rule of a node names."""
        rule, real = self.rules[i], self.floats.values[name].encoding
        return of_range(self.spans[name], rule.activations, real, symmetric=rule.symmetric_activations)

    def _pair(self, name: str, scale: Scale, like: str) -> Pair:
        return Pair(
            self.draft.add(f"{like}_scale", scale_constant(scale)),
            self.draft.add(f"{like}_zero_point", zero_constant(scale)),
            scale,
        )

    def _activation(self, name: str, pair: Pair) -> None:
        """Two nodes behind a tensor; a graph output keeps its name."""
        if name in self.outputs:
            source, back = self.draft.fresh(f"{name}_QuantizeLinear_Input"), name
            self.writes[name] = source
        else:
            source, back = name, self.draft.fresh(f"{name}_DequantizeLinear_Output")
        self._emit_pair(name, source, back, pair)
        self.pairs[name, ""], self.read[name, ""] = pair, back

    def _sharing(self, waiting: dict[str, Mark]) -> None:
        """Tensors that share a scale, once the tensor they share it with has one."""
        while waiting:
            ready = [name for name, mark in waiting.items() if (mark.like, "") in self.pairs]
            if not ready:  # what they share was not quantized after all: they stay as they are
                return
            for name in ready:
                self._activation(name, self.pairs[waiting.pop(name).like, ""])

    def _reads(self, name: str, i: int) -> tuple[Pair, str] | None:
        """The scale under which a node reads a tensor, and the name it reads; None where that is not quantized."""
        pair = self.pairs.get((name, ""))
        if pair is None:
            return None
        dtype = self.rules[i].activations
        mark = self.found.tensors[name]
        chooses = mark.kind == ACTIVATION and self.rules[i].static and self.nodes[i].op in COMPUTES
        if not chooses or dtype == pair.value.dtype or self._root(name) not in self.spans:
            return pair, self.read[name, ""]
        if (name, dtype) not in self.pairs:
            self._convert(name, i, mark)
        return self.pairs[name, dtype], self.read[name, dtype]

    def _root(self, name: str) -> str:
        """The tensor whose scale a tensor has."""
        while like := self.found.tensors[name].like:
            name = like
        return name

    def _convert(self, name: str, i: int, mark: Mark) -> None:
        """A second pair behind a tensor, for the nodes that read it in another type: behind the first where its own
        node stores it so, beside it where the first is another reader's."""
        scale = self._scale(self._root(name), i)
        pair = self._pair(name, scale, f"{name}_convert")
        own = name in self.nodes[mark.node].outputs
        back = self.draft.fresh(f"{name}_convert_DequantizeLinear_Output")
        self._emit_pair(f"{name}_convert", self.read[name, ""] if own else name, back, pair)
        self.pairs[name, scale.dtype], self.read[name, scale.dtype] = pair, back

    # ---- constants
    def _constant(self, name: str, mark: Mark) -> None:
        """A constant in integers, dequantized once for all its readers."""
        constant = self.floats.constant(name)
        assert constant is not None
        scale = self._weight(name, mark, constant) if mark.kind == WEIGHT else self._like_activation(mark, constant)
        stored = self.draft.add(f"{name}_quantized", codes(constant, scale))
        pair = self._pair(name, scale, name)
        back = self.draft.fresh(f"{name}_DequantizeLinear_Output")
        self._emit(_DQ, name, (stored, pair.scale, pair.zero), back, scale)
        self.pairs[name, ""], self.read[name, ""], self.weights[name] = pair, back, scale

    def _like_activation(self, mark: Mark, constant: Constant) -> Scale:
        rule = self.rules[mark.node]
        whole = replace(rule, clip="minmax")  # every element of an addend counts: there are no outliers to leave out
        return of_constant(constant, whole, rule.activations, symmetric=rule.symmetric_activations)

    def _weight(self, name: str, mark: Mark, constant: Constant) -> Scale:
        rule = self.rules[mark.node]
        symmetric = rule.symmetric or mark.axis is not None
        least = []
        for bias in self.found.biases if symmetric else ():
            held = self.floats.constant(bias.name)
            if bias.weight == name and held is not None and type(self.spans.get(bias.input)) is tuple:
                least.append(least_for(held, self._scale(bias.input, bias.node)))
        return of_constant(constant, rule, rule.weights, axis=mark.axis, symmetric=symmetric, least=least)

    def _bias(self, bias: Bias) -> None:
        """A bias in int32, one for each node that reads it: its scale is that of the node's input and weight."""
        constant = self.floats.constant(bias.name)
        source, weight = self._reads(bias.input, bias.node), self.pairs.get((bias.weight, ""))
        if bias.name in self.found.tensors or constant is None:
            return
        if source is None or weight is None or weight.value.grid.levels or source[0].value.grid.levels:
            self.kept.append((bias.name, "a bias keeps its type where its node's input or weight is no integer"))
            return
        if weight.value.axis is not None and constant.shape != (weight.value.channels,):
            self.kept.append((bias.name, "a bias that is not one number per channel keeps its type"))
            return
        made = bias_of(constant, source[0].value, weight.value)
        stored = self.draft.add(f"{bias.name}_quantized", made.codes)
        scale = self.draft.add(f"{bias.name}_quantized_scale", made.scale)
        zero = self.draft.add(f"{bias.name}_quantized_zero_point", made.zero)
        back = self.draft.fresh(f"{bias.name}_DequantizeLinear_Output")
        many = made.zero.shape != ()
        domain = domain_of("int32", made.scale.encoding, self.opset, axis=many)
        attrs = {"axis": 0} if many else {}
        self._node(Node(f"{bias.name}_{_DQ}", domain, _DQ, (stored, scale, zero), (back,), attrs))
        self.biases[bias.node, bias.place] = back

    # ---- nodes
    def _emit_pair(self, name: str, source: str, back: str, pair: Pair) -> None:
        stored = self.draft.fresh(f"{name}_QuantizeLinear_Output")
        self._emit(_Q, name, (source, pair.scale, pair.zero), stored, pair.value)
        self._emit(_DQ, name, (stored, pair.scale, pair.zero), back, pair.value)

    def _emit(self, op: str, name: str, inputs: tuple[str, ...], output: str, scale: Scale) -> None:
        attrs = {} if scale.axis is None else {"axis": scale.axis}
        domain = domain_of(scale.dtype, scale.real, self.opset, axis=scale.axis is not None)
        self._node(Node(f"{name}_{op}", domain, op, inputs, (output,), attrs))

    def _node(self, node: Node) -> None:
        if node.domain:
            self.draft.opsets.setdefault(node.domain, 1)
        self.added.append(node)

    def _graph(self) -> Graph:
        made = [self._rewired(i, node) for i, node in enumerate(self.nodes)]
        own = [node for node in made if node is not None]
        self.draft.more(*self.added)
        return in_written_order(self.draft.graph(), (*own, *self.added))

    def _rewired(self, i: int, node: Node) -> Node | None:
        """The node that reads and writes the quantized tensors; None where another's range does its work."""
        if i in self.found.removed:
            self.draft.put(i)
            return None
        read = [self._reads(name, i) if name else None for name in node.inputs]
        inputs = [name if found is None else found[1] for name, found in zip(node.inputs, read, strict=True)]
        for place in range(len(inputs)):
            inputs[place] = self.biases.get((i, place), inputs[place])
        outputs = tuple(self._written(name) for name in node.outputs)
        if tuple(inputs) == node.inputs and outputs == node.outputs:
            return node
        made = replace(node, inputs=tuple(inputs), outputs=outputs)
        self.draft.put(i, made)
        return made

    def _written(self, name: str) -> str:
        while name in self.found.writes:
            name = self.found.writes[name]
        return self.writes.get(name, name)


def in_written_order(graph: Graph, nodes: Sequence[Node]) -> Graph:
    """The graph with its nodes as onnxruntime's quantizer would order `nodes`, which may have more."""
    left = {id(node) for node in graph.nodes}
    return replace(graph, nodes=breadth_first([n for n in nodes if id(n) in left], (*graph.inputs, *graph.constants)))
