"""The graph with pairs of QuantizeLinear and DequantizeLinear, as onnxruntime's QDQ quantizer writes it.

Behind every quantized activation stands one pair, which all its readers share; a constant is stored in integers with a
DequantizeLinear behind it, a bias as int32. Where a reader's rule names another type than the tensor has, a second
pair converts it.

https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html#representation-of-quantized-onnx-models
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.graph import Constant, Graph, Node
from effaudit.ops._registry import MICROSOFT
from effaudit.whatif.draft import Draft
from effaudit.whatif.quantize.coding import (
    Scale,
    Span,
    bias_of,
    finite,
    least_scale,
    like_activation,
    of_range,
    scale_constant,
    weight_of,
    zero_constant,
)
from effaudit.whatif.quantize.dequantized import CONTRIB, since
from effaudit.whatif.quantize.marks import ACTIVATION, WEIGHT, Bias, Floats, Mark, Marks
from effaudit.whatif.quantize.opsets import raised
from effaudit.whatif.quantize.order import breadth_first
from effaudit.whatif.quantize.stored import Stored, unsaved
from effaudit.whatif.quantize.types import BLOCK, PER_CHANNEL, Rule

if TYPE_CHECKING:
    import numpy as np

_Q: Final = "QuantizeLinear"
_DQ: Final = "DequantizeLinear"
SOFTMAX: Final = (0.0, 1.0)  # the range of its results
COMPUTES: Final = frozenset(  # they requantize: each may read and write tensors of another type than its neighbours
    "Conv ConvTranspose Gemm MatMul InstanceNormalization LayerNormalization BatchNormalization Relu Clip Where Add Mul"
    " Concat Softmax Sigmoid LeakyRelu GlobalAveragePool ArgMax CumSum EmbedLayerNormalization".split()
)


class Weight(msgspec.Struct, frozen=True):
    """A constant in integers: a WEIGHT or one of ONES, and the rule whose `weights` it is stored in."""

    kind: str
    constant: Constant
    rule: Rule
    made: Stored


class Quantized(msgspec.Struct, frozen=True):
    """The rewritten graph, and by name its activations and weights in integers. `shares` says of an activation whose
    scale it has, where that is another's; `removed` counts the nodes whose work a scale does; `kept` are tensors that
    stay as they are, and why."""

    graph: Graph
    activations: Mapping[str, Scale]
    weights: Mapping[str, Weight]
    shares: Mapping[str, str] = {}
    removed: int = 0
    kept: Sequence[tuple[str, str]] = ()


class Pair(msgspec.Struct, frozen=True):
    """Names of a scale and a zero point in the graph, and what they hold."""

    scale: str
    zero: str
    value: Scale


def paired(draft: Draft, like: str, scale: Scale) -> Pair:
    """A scale and its zero point, added to the graph under names like that of a tensor."""
    return Pair(
        draft.add(f"{like}_scale", scale_constant(scale)),
        draft.add(f"{like}_zero_point", zero_constant(scale)),
        scale,
    )


def domain_of(draft: Draft, scale: Scale) -> str:
    """The domain whose QuantizeLinear and DequantizeLinear take a scale, the opset of the draft raised where it must
    be: com.microsoft's own take narrow integers at any opset.

    Raises UsageError where neither does.
    """
    dtype = scale.dtype
    if unsaved(dtype):
        return ""
    needed = since(dtype, scale.real, scale.axis, scale.group)
    if draft.opsets.get("", 1) >= needed:
        return ""
    if dtype in CONTRIB and not scale.group:
        draft.opsets.setdefault(MICROSOFT, 1)
        return MICROSOFT
    if why := raised(draft.raw, needed):
        raise UsageError(f"{draft.raw.source.path}: --quantize: {dtype}: {why}; convert the model to that opset first")
    draft.opsets[""] = needed
    return ""


def beside(rule: Rule, constant: Constant, axis: int | None) -> Rule:
    """The rule of a weight beside activations: several scales are symmetric, as kernels take one zero point; blocks run
    along the rows of a matrix, and of any other tensor each channel has its scale."""
    if rule.granularity == BLOCK and len(constant.shape) != 2:
        rule = replace(rule, granularity=PER_CHANNEL, group=0)
    return replace(rule, symmetric=True) if axis is not None else rule


def inner(mark: Mark) -> int | None:
    """The axis of a matrix that is summed over."""
    return None if mark.axis is None else 1 - mark.axis


def write(audited: Audited, rules: Sequence[Rule], found: Marks, spans: Mapping[str, Span]) -> Quantized:
    """The graph with what is marked quantized; `spans` are the ranges of the marked activations that share no scale."""
    return _Writer(audited, rules, found, spans).run()


class _Writer:
    def __init__(self, audited: Audited, rules: Sequence[Rule], found: Marks, spans: Mapping[str, Span]) -> None:
        self.draft = Draft(audited)
        self.floats = Floats(audited.raw, audited.graph.values)
        self.nodes = audited.raw.nodes
        self.outputs = set(audited.raw.outputs)
        self.rules, self.found, self.spans = rules, found, spans
        self.added: list[Node] = []
        self.pairs: dict[tuple[str, str], Pair] = {}  # (tensor, type or "" for its own) -> its scale
        self.read: dict[tuple[str, str], str] = {}  # the same -> what its readers read
        self.biases: dict[tuple[int, int], str] = {}  # (node, place) -> the bias it reads there
        self.writes: dict[str, str] = {}  # graph output -> what its node writes instead
        self.weights: dict[str, Weight] = {}
        self.kept: list[tuple[str, str]] = []

    def run(self) -> Quantized:
        marked = self.found.tensors
        for name, mark in marked.items():
            if mark.kind != ACTIVATION:
                self._constant(name, mark)
            elif not mark.like:
                self._activation(name, paired(self.draft, name, self._scale(name, mark.node)))
        self._sharing({name: mark for name, mark in marked.items() if mark.like})
        for bias in self.found.biases:
            self._bias(bias)
        activations = {
            name: pair.value
            for (name, dtype), pair in self.pairs.items()
            if not dtype and marked[name].kind == ACTIVATION
        }
        return Quantized(
            graph=self._graph(),
            activations=activations,
            weights=self.weights,
            shares={name: self._root(name) for name in activations if marked[name].like},
            removed=len(self.found.removed),
            kept=self.kept,
        )

    # ---- activations
    def _scale(self, name: str, i: int) -> Scale:
        """The scale of an activation in the type that the rule of a node names."""
        rule, real = self.rules[i], self.floats.values[name].encoding
        return of_range(self.spans[name], rule.activations, real, symmetric=rule.symmetric_activations)

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
                pair = self.pairs[waiting.pop(name).like, ""]
                if pair.value.axis is None:
                    self._activation(name, pair)

    def _reads(self, name: str, i: int) -> tuple[Pair, str] | None:
        """The scale under which a node reads a tensor, and the name it reads; None where that is not quantized."""
        pair = self.pairs.get((name, ""))
        if pair is None or (name in self.floats.sizes and self.floats.exact(self.nodes[i])):
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
        pair = paired(self.draft, f"{name}_convert", scale)
        own = name in self.nodes[mark.node].outputs
        back = self.draft.fresh(f"{name}_convert_DequantizeLinear_Output")
        self._emit_pair(f"{name}_convert", self.read[name, ""] if own else name, back, pair)
        self.pairs[name, scale.dtype], self.read[name, scale.dtype] = pair, back

    # ---- constants
    def _constant(self, name: str, mark: Mark) -> None:
        """A constant in integers, dequantized once for all its readers."""
        constant, rule = self.floats.constant(name), self.rules[mark.node]
        assert constant is not None
        if mark.kind != WEIGHT and not finite(constant):
            self.kept.append((name, "it holds infinities, for which no scale is"))
            return
        if mark.kind == WEIGHT:
            rule = beside(rule, constant, mark.axis)
            made, scale = weight_of(constant, rule, channels=mark.axis, inner=inner(mark), bias=self._room(name, rule))
        else:
            made, scale = like_activation(constant, rule)
            rule = replace(rule, symmetric=rule.symmetric_activations)
        stored = self.draft.add(f"{name}_quantized", made.codes)
        pair = paired(self.draft, name, scale)
        back = self.draft.fresh(f"{name}_DequantizeLinear_Output")
        self._emit(_DQ, name, (stored, pair.scale, pair.zero), back, scale)
        self.pairs[name, ""], self.read[name, ""] = pair, back
        self.weights[name] = Weight(mark.kind, constant, replace(rule, weights=scale.dtype), made)

    def _room(self, name: str, rule: Rule) -> np.ndarray | None:
        """The least scales that the biases beside a weight need."""
        import numpy as np

        found = []
        for bias in self.found.biases if rule.symmetric else ():
            held = self.floats.constant(bias.name)
            if bias.weight == name and held is not None and bias.input in self.spans:
                found.append(least_scale(held, self._scale(bias.input, bias.node)))
        known = [one for one in found if one is not None]
        if not known:
            return None
        same = {one.shape for one in known}
        return np.max(known, axis=0) if len(same) == 1 else np.array([max(one.max(initial=0.0) for one in known)])

    def _bias(self, bias: Bias) -> None:
        """A bias in int32, one for each node that reads it: its scale is that of the node's input and weight."""
        constant = self.floats.constant(bias.name)
        source, weight = self._reads(bias.input, bias.node), self.pairs.get((bias.weight, ""))
        if bias.name in self.found.tensors or constant is None:
            return
        if source is None or weight is None or weight.value.grid.levels or source[0].value.grid.levels:
            self.kept.append((bias.name, "a bias keeps its type where its node's input or weight is no integer"))
            return
        if weight.value.shape and constant.shape != weight.value.shape:
            self.kept.append((bias.name, "a bias that is not one number per channel keeps its type"))
            return
        made = bias_of(constant, source[0].value, weight.value)
        stored = self.draft.add(f"{bias.name}_quantized", made.codes)
        scale = self.draft.add(f"{bias.name}_quantized_scale", made.scale)
        zero = self.draft.add(f"{bias.name}_quantized_zero_point", made.zero)
        back = self.draft.fresh(f"{bias.name}_DequantizeLinear_Output")
        many = made.zero.shape != ()
        attrs = {"axis": 0} if many else {}
        # onnxruntime's own operator takes int32 as it takes int8.
        domain = domain_of(self.draft, Scale("int8", made.scale.encoding, weight.value.find, axis=0 if many else None))
        self.added.append(Node(f"{bias.name}_{_DQ}", domain, _DQ, (stored, scale, zero), (back,), attrs))
        self.biases[bias.node, bias.place] = back

    # ---- nodes
    def _emit_pair(self, name: str, source: str, back: str, pair: Pair) -> None:
        stored = self.draft.fresh(f"{name}_QuantizeLinear_Output")
        self._emit(_Q, name, (source, pair.scale, pair.zero), stored, pair.value)
        self._emit(_DQ, name, (stored, pair.scale, pair.zero), back, pair.value)

    def _emit(self, op: str, name: str, inputs: tuple[str, ...], output: str, scale: Scale) -> None:
        domain = domain_of(self.draft, scale)
        self.added.append(Node(f"{name}_{op}", domain, op, inputs, (output,), scale.attrs))

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
