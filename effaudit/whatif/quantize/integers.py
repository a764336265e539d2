"""A graph being rewritten to operators on integers: which tensors lie in integers, and where each is needed as floats.

Nodes are visited in order. One with an integer form reads quantized tensors, which are quantized in front of it where
nothing made them so; one without reads them dequantized.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import msgspec
from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.graph import Constant, Node
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
    weight_of,
)
from effaudit.whatif.quantize.marks import ONES, QUANTIZABLE, WEIGHT, Floats
from effaudit.whatif.quantize.qdq import Pair, Quantized, Weight, beside, in_written_order, paired
from effaudit.whatif.quantize.types import PER_CHANNEL, Rule


class Held(msgspec.Struct, frozen=True):
    """A tensor in integers: its name, its scale, and the floating tensor that the scale was made for."""

    name: str
    pair: Pair
    of: str

    @property
    def three(self) -> tuple[str, str, str]:
        """As operators take it: elements, scale, zero point."""
        return self.name, self.pair.scale, self.pair.zero


class Integers:
    """The walk. `held` says of a floating tensor where it lies in integers."""

    def __init__(self, audited: Audited, rules: Sequence[Rule], spans: Mapping[str, Span]) -> None:
        self.draft = Draft(audited)
        self.floats = Floats(audited.raw, audited.graph.values)
        self.graph = audited.raw
        self.opset = audited.raw.opsets.get("", 1)
        self.rules, self.spans = rules, spans
        self.held: dict[str, Held] = {}  # floating tensor -> where it lies in integers
        self.pairs: dict[str, Pair] = {}  # floating tensor -> its own scale
        self.made: set[str] = {*audited.raw.inputs}  # floating tensors that exist
        self.floating: dict[str, str] = {}  # constant in integers -> its dequantized name
        self.weights: dict[str, Weight] = {}
        self.removed = 0
        self.now: list[Node] = []

    def run(self, forms: Mapping[str, Form]) -> Quantized:
        """The graph with each operator of `forms` under a static rule in its integer form, where it has one."""
        written: list[Node] = []
        for i, node in enumerate(self.graph.nodes):
            self.now = []
            form = forms.get(node.op) if not node.domain and self.rules[i].static and not node.bodies else None
            fit = form is not None and self._reads_floats(node) and not self._reads_infinities(node)
            if form is None or not fit or not form(self, i, node):
                self.as_it_is(node)
            self.draft.put(i, *self.now)
            written.extend(self.now)
            self.made.update(name for one in self.now for name in one.outputs)
        self.now = []
        for name in self.graph.outputs:
            self.dequantized(name)
        self.draft.more(*self.now)
        graph = in_written_order(self.draft.graph(), (*written, *self.now))
        used = {name for node in graph.nodes for name in node.inputs}
        activations = {name: pair.value for name, pair in self.pairs.items() if pair.scale in used}
        return Quantized(graph, activations, self.weights, removed=self.removed)

    def _reads_infinities(self, node: Node) -> bool:
        constants = (self.floats.constant(name) for name in node.inputs)
        return any(one is not None and one.encoding.dtype in QUANTIZABLE and not finite(one) for one in constants)

    def _reads_floats(self, node: Node) -> bool:
        """True for a node whose first input and result are floats; what arithmetic on shapes gives is none of these."""
        if not (node.inputs and node.inputs[0] and self.floats.floating(node.inputs[0])) or self.floats.exact(node):
            return False
        return node.op == "ArgMax" or self.floats.floating(node.outputs[0])

    # ---- what the forms are made of
    def emit(self, node: Node) -> None:
        if node.domain:
            self.draft.opsets.setdefault(node.domain, 1)
        self.now.append(node)

    def as_it_is(self, node: Node) -> None:
        """The node, and what its bodies read, on floating tensors."""
        for body in node.bodies.values():
            for name in body.captured:
                self.dequantized(name)
        inputs = tuple(self.dequantized(name) if name else "" for name in node.inputs)
        self.emit(node if inputs == node.inputs else replace(node, inputs=inputs))

    def dequantized(self, name: str) -> str:
        """The floating tensor of a name, made where it lies in integers only."""
        held = self.held.get(name)
        if held is None or name in self.made or name in self.floating:
            return self.floating.get(name, name)
        back = name
        if self.floats.constant(name) is not None:
            back = self.floating[name] = self.draft.fresh(f"{name}_DequantizeLinear_Output")
        attrs = held.pair.value.attrs
        self.emit(Node(f"{name}_DequantizeLinear", "", "DequantizeLinear", held.three, (back,), attrs))
        self.made.add(name)
        return back

    def own(self, i: int, name: str) -> Pair:
        """The scale of an activation."""
        if name not in self.pairs:
            rule, real = self.rules[i], self.floats.values[name].encoding
            scale = of_range(self.spans[name], rule.activations, real, symmetric=rule.symmetric_activations)
            self.pairs[name] = paired(self.draft, name, scale)
        return self.pairs[name]

    def quantized(self, i: int, name: str) -> Held:
        """A tensor in integers: as it lies, or quantized here."""
        if name not in self.held:
            constant = self.floats.constant(name)
            if constant is not None:
                rule = self.rules[i]
                # One type for both: onnxruntime then stores every constant as it stores weights.
                like = rule.symmetric if rule.weights == rule.activations else rule.symmetric_activations
                made, scale = like_activation(constant, replace(rule, symmetric_activations=like))
                rule = replace(rule, weights=scale.dtype, symmetric=like)
                return self._constant(name, Weight(ONES, constant, rule, made), scale)
            pair = self.own(i, name)
            stored = self.draft.fresh(f"{name}_quantized")
            self.emit(
                Node(f"{name}_QuantizeLinear", "", "QuantizeLinear", (name, pair.scale, pair.zero), (stored,), {})
            )
            self.held[name] = Held(stored, pair, name)
        return self.held[name]

    def weight(self, i: int, name: str, axis: int | None, *, bias: str = "") -> Held:
        """A weight in integers, with its channels along `axis`; what is computed is an activation."""
        constant = self.floats.constant(name)
        if constant is None or name in self.held:
            return self.quantized(i, name)
        rule = beside(self.rules[i], constant, axis)
        source = self.held.get(self.graph.nodes[i].inputs[0])
        held = self.floats.constant(bias)
        room = None
        if rule.symmetric and held is not None and source is not None:
            room = least_scale(held, source.pair.value)
        made, scale = weight_of(constant, rule, channels=axis, bias=room)
        return self._constant(name, Weight(WEIGHT, constant, rule, made), scale)

    def _constant(self, name: str, weight: Weight, scale: Scale) -> Held:
        self.weights[name] = weight
        stored = self.draft.add(f"{name}_quantized", weight.made.codes)
        self.held[name] = Held(stored, paired(self.draft, name, scale), name)
        return self.held[name]

    def along(self, i: int, name: str, axis: int) -> int | None:
        """The axis of a weight's channels where the rule gives each a scale."""
        constant = self.floats.constant(name)
        if constant is None or self.rules[i].granularity != PER_CHANNEL or len(constant.shape) < 2:
            return None
        return axis % len(constant.shape)

    def bias(self, constant: Constant, source: Held, weight: Held, beta: float = 1.0) -> str:
        made = bias_of(constant, source.pair.value, weight.pair.value, beta)
        return self.draft.add(f"{constant.name}_quantized", made.codes)

    def result(self, name: str, pair: Pair, of: str) -> str:
        """The integers that a node writes instead of a floating tensor."""
        stored = self.draft.fresh(f"{name}_quantized")
        self.held[name] = Held(stored, pair, of)
        return stored

    def linear(self, node: Node, op: str, inputs: tuple[str, ...], domain: str = MICROSOFT, **attrs: object) -> None:
        """The integer form of a node with one output, which has its own scale."""
        pair = self.pairs[node.outputs[0]]
        output = self.result(node.outputs[0], pair, node.outputs[0])
        self.emit(Node(f"{node.label}_quant", domain, op, inputs, (output,), {**node.attrs, **attrs}))


Form: TypeAlias = Callable[[Integers, int, Node], bool]  # False where the node must stay on floats
