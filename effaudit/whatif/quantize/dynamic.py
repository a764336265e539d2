"""Activations quantized to 8 bits when the model runs, weights before: as onnxruntime.quantization.quantize_dynamic
writes it.

DynamicQuantizeLinear finds the range of an activation, MatMulInteger or ConvInteger multiplies the codes, the product
of both scales brings the sums back. Tables of Gather and what Transpose turns stay in 8 bits until floats are read.

https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html#dynamic-quantization
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from effaudit.errors import UsageError
from effaudit.graph import FLOAT, Constant, Node
from effaudit.ops._registry import MICROSOFT
from effaudit.whatif.constants import derived, literal, sized
from effaudit.whatif.draft import Draft
from effaudit.whatif.quantize.opsets import bring_forward
from effaudit.whatif.quantize.rows import Layout, layout
from effaudit.whatif.quantize.sites import Site, sites
from effaudit.whatif.quantize.stored import store
from effaudit.whatif.quantize.types import DYNAMIC, PER_TENSOR, Rule
from effaudit.whatif.quantize.written import Written

if TYPE_CHECKING:
    import numpy as np

SINCE: Final = 11  # DynamicQuantizeLinear
_TO_FLOAT: Final = {"to": 1}
TABLE: Final = Rule("uint8", DYNAMIC, PER_TENSOR, symmetric=False)  # of Gather: stored like an activation


class Codes(msgspec.Struct, frozen=True):
    """A tensor in 8 bits: the names of its codes, its scale and its zero point."""

    codes: str
    scale: str
    zero: str


def write(draft: Draft, rules: Sequence[Rule], written: Written) -> None:
    """Rewrites the nodes whose rule is dynamic. Raises UsageError where the opset is too old for it."""
    if why := bring_forward(draft, SINCE):
        raise UsageError(f"{draft.raw.source.path}: --quantize dynamic: {why}")
    writer = _Writer(draft, written)
    for i, rule in enumerate(rules):
        if rule.activations == DYNAMIC:
            writer.node(i, rule)
    writer.finish()


class _Writer:
    """Goes through the nodes in order; `known` holds the tensors that are there in 8 bits, `owed` those of them whose
    floats nothing has asked for yet, by name, with the node that makes the codes."""

    def __init__(self, draft: Draft, written: Written) -> None:
        self.draft = draft
        self.written = written
        self.known: dict[str, Codes] = {}
        self.owed: dict[str, int] = {}

    def node(self, i: int, rule: Rule) -> None:
        node = self.draft.raw.nodes[i]
        if node.domain or node.bodies:
            if node.op == "Attention":
                self._refuse(i, "its dynamic form, QAttention, is not written")
        elif node.op == "MatMul" or (node.op == "Gemm" and self._plain(i)):
            self._product(i, rule)
        elif node.op == "Conv":
            self._conv(i, rule)
        elif node.op == "Gather":
            self._gather(i)
        elif node.op == "Transpose" and node.inputs[0] in self.known:
            self._moved(i, self.known[node.inputs[0]])
        elif node.op == "LSTM":
            self._lstm(i, rule)
        elif node.op in ("GRU", "RNN", "ConvTranspose"):
            self._refuse(i, f"{node.op} is not written in a dynamic form")

    def finish(self) -> None:
        """Floats of the tensors in 8 bits that something reads as such."""
        draft = self.draft
        read = {*draft.raw.outputs}
        for i in range(len(draft.raw.nodes)):
            for node in draft.at(i):
                read.update(node.inputs)
                read.update(name for body in node.bodies.values() for name in body.captured)
        for name, i in self.owed.items():
            if name in read:
                found = self.known[name]
                inputs = (found.codes, found.scale, found.zero)
                draft.put(
                    i, *draft.at(i), Node(f"{name}_DequantizeLinear", "", "DequantizeLinear", inputs, (name,), {})
                )

    def _refuse(self, i: int, why: str) -> None:
        for site in sites(self.draft, i):
            if site.constant.name not in self.written.done:
                self.written.blocked.setdefault(site.constant.name, why)

    def _plain(self, i: int) -> bool:
        """True for a Gemm that is a product and a bias."""
        node = self.draft.raw.nodes[i]
        plain = not node.attrs.get("transA", 0) and node.attrs.get("alpha", 1.0) == node.attrs.get("beta", 1.0) == 1.0
        if not plain:
            self._refuse(i, "a Gemm with transA, alpha or beta has no integer form")
        return plain

    def _weight(self, i: int, rule: Rule) -> tuple[Codes, Constant] | None:
        """The weight at input 1 in 8 bits, stored once however many read it; None where it is no constant."""
        node = self.draft.raw.nodes[i]
        name = node.inputs[1]
        constant = self.draft.constant(name)
        if constant is None or constant.encoding is not FLOAT or not constant.numel:
            return None
        if name in self.known:
            return self.known[name], constant
        site = Site(i, 1, constant, len(constant.shape) - 1, None)
        if node.op == "Gemm" and node.attrs.get("transB", 0):
            turned = (constant.shape[1], constant.shape[0])
            constant = derived(constant, lambda array: array.T, shape=turned, encoding=FLOAT)
        if node.op == "Conv":
            rule = replace(rule, granularity=PER_TENSOR)  # ConvInteger has one scale per weight
        made = self._stored(site, constant, rule)
        self.known[name] = made
        return made, constant

    def _stored(self, site: Site, constant: Constant, rule: Rule) -> Codes:
        made = store(constant, rule, layout(constant.shape, rule, channels=site.channels, inner=None))
        self.written.add(site, rule, made)
        assert made.scale is not None and made.zero is not None
        add = self.draft.add
        return Codes(*(add(one.name, one) for one in (made.codes, made.scale, made.zero)))

    def _activation(self, name: str) -> tuple[Codes, tuple[Node, ...]]:
        """A tensor in 8 bits, and the node that makes it so where none has yet."""
        if name in self.known:
            return self.known[name], ()
        names = (f"{name}_quantized", f"{name}_scale", f"{name}_zero_point")
        made = Codes(*map(self.draft.fresh, names))
        self.known[name] = made
        outputs = (made.codes, made.scale, made.zero)
        return made, (Node(f"{name}_QuantizeLinear", "", "DynamicQuantizeLinear", (name,), outputs, {}),)

    def _product(self, i: int, rule: Rule) -> None:
        node = self.draft.raw.nodes[i]
        weight = self._weight(i, rule)
        if weight is None:
            return
        output = node.outputs[0]
        bias = node.inputs[2] if len(node.inputs) > 2 else ""
        sums = self.draft.fresh(f"{output}_MatMul") if bias else output
        self._integers(i, "MatMulInteger", weight[0], {}, sums)
        if bias:
            add = Node(node.name and f"{node.name}_Add", "", "Add", (sums, bias), (output,), {})
            self.draft.put(i, *self.draft.at(i), add)

    def _conv(self, i: int, rule: Rule) -> None:
        import numpy as np

        node, draft = self.draft.raw.nodes[i], self.draft
        weight = self._weight(i, rule)
        if weight is None:
            return
        output = node.outputs[0]
        bias = node.inputs[2] if len(node.inputs) > 2 else ""
        sums = draft.fresh(f"{output}quant_scaled_output") if bias else output
        self._integers(i, "ConvInteger", weight[0], node.attrs, sums)
        if bias:
            ranks = np.array([1, -1, *[1] * (len(weight[1].shape) - 2)], np.int64)
            wanted = draft.add(f"{output}_bias_reshape_shape", literal("", ranks))
            column = draft.fresh(f"{output}_bias_reshape_output")
            draft.put(
                i,
                *draft.at(i),
                Node(f"{output}_bias_reshape", "", "Reshape", (bias, wanted), (column,), {}),
                Node(f"{output}_bias_add", "", "Add", (sums, column), (output,), {}),
            )

    def _integers(self, i: int, op: str, weight: Codes, attrs: object, output: str) -> None:
        """The product of codes, brought back to floats by the product of both scales."""
        node, fresh = self.draft.raw.nodes[i], self.draft.fresh
        source, first = self._activation(node.inputs[0])
        codes, scales = fresh(f"{node.outputs[0]}_output_quantized"), fresh(f"{node.outputs[0]}_scales_mul")
        floats = fresh(f"{codes}_cast_output")
        name = node.name and f"{node.name}_quant"
        inputs = (source.codes, weight.codes, source.zero, weight.zero)
        self.draft.instead(
            i,
            *first,
            Node(name, "", op, inputs, (codes,), attrs),  # type: ignore[arg-type]
            Node(f"{codes}_cast", "", "Cast", (codes,), (floats,), _TO_FLOAT),
            Node(name and f"{name}_scales_mul", "", "Mul", (source.scale, weight.scale), (scales,), {}),
            Node(name and f"{name}_output_scale_mul", "", "Mul", (floats, scales), (output,), {}),
        )

    def _lstm(self, i: int, rule: Rule) -> None:
        """DynamicQuantizeLSTM, whose weights lie input-major, with a scale per direction or per row of the gates:
        https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.DynamicQuantizeLSTM"""
        node, draft = self.draft.raw.nodes[i], self.draft
        held = [draft.constant(name) for name in node.inputs[1:3]]
        if node.attrs.get("layout", 0) or any(one is None or one.encoding is not FLOAT for one in held):
            self._refuse(i, "an LSTM whose weights are computed, or batch-major, is not written in a dynamic form")
            return
        stored = []
        for place, constant in enumerate(held, 1):
            assert constant is not None
            directions, gates, inputs = constant.shape
            turned = derived(constant, _input_major, shape=(directions, inputs, gates))
            made = self._recurrent(Site(i, place, constant, None, None), turned, rule)
            stored.append(made)
        optional = [*node.inputs[3:8], *[""] * (8 - len(node.inputs))]
        scales = [name for one in stored for name in (one.scale, one.zero)]
        read = (node.inputs[0], *(one.codes for one in stored), *optional, *scales)
        attrs = {key: value for key, value in node.attrs.items() if key != "layout"}
        name = node.name and f"{node.name}_quant"
        draft.instead(i, Node(name, MICROSOFT, "DynamicQuantizeLSTM", read, node.outputs, attrs))
        draft.opsets.setdefault(MICROSOFT, 1)

    def _recurrent(self, site: Site, turned: Constant, rule: Rule) -> Codes:
        """The weights of all directions: one scale each, or one per column along their inputs."""
        directions, inputs, gates = turned.shape
        each = Layout(turned.shape, 0) if rule.granularity == PER_TENSOR else Layout(turned.shape, 1, inputs)
        made = store(turned, rule, each)
        assert made.scale is not None and made.zero is not None
        if each.group:
            shape = (directions, gates)
            scale, zero = (sized(one, shape, one.encoding) for one in (made.scale, made.zero))
            made = replace(made, scale=scale, zero=zero)
        self.written.add(site, rule, made)
        assert made.scale is not None and made.zero is not None
        return Codes(*(self.draft.add(one.name, one) for one in (made.codes, made.scale, made.zero)))

    def _gather(self, i: int) -> None:
        """A table in 8 bits: what is looked up stays so."""
        node = self.draft.raw.nodes[i]
        name = node.inputs[0]
        found = self.known.get(name)
        if found is None:
            constant = self.draft.constant(name)
            if constant is None or constant.encoding is not FLOAT or not constant.numel:
                return
            found = self.known[name] = self._stored(Site(i, 0, constant, None, None), constant, TABLE)
        self._moved(i, found)

    def _moved(self, i: int, source: Codes) -> None:
        """An operator that only moves elements moves codes."""
        node = self.draft.raw.nodes[i]
        output = node.outputs[0]
        codes = self.draft.fresh(f"{output}_quantized")
        self.known[output] = Codes(codes, source.scale, source.zero)
        self.owed[output] = i
        self.draft.instead(
            i, replace(node, inputs=(source.codes, *node.inputs[1:]), outputs=(codes, *node.outputs[1:]))
        )


def _input_major(weights: np.ndarray) -> np.ndarray:
    """(directions, inputs, gates) of (directions, gates, inputs)."""
    return weights.transpose(0, 2, 1)
