"""A graph in floats of 16 bits: constants and all that is computed, with Casts where something stays in float32.

Inputs and outputs of the model keep their type, so do the operators that onnxruntime's converter leaves in float32:
https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/python/tools/transformers/float16.py
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from effaudit.errors import UsageError
from effaudit.graph import FLOAT, SEQUENCE, Constant, Node
from effaudit.ops._registry import MICROSOFT
from effaudit.whatif.constants import CODES
from effaudit.whatif.draft import Draft
from effaudit.whatif.quantize.dequantized import CAST
from effaudit.whatif.quantize.opsets import bring_forward
from effaudit.whatif.quantize.rows import Layout
from effaudit.whatif.quantize.sites import Site
from effaudit.whatif.quantize.stored import store
from effaudit.whatif.quantize.types import HALVES, Rule
from effaudit.whatif.quantize.written import Written

_FLOAT: Final = 1
_SCALES_IN_16_BITS: Final = 19
STAY: Final = frozenset(
    """ArrayFeatureExtractor Binarizer CastMap CategoryMapper DictVectorizer FeatureVectorizer Imputer LabelEncoder
    LinearClassifier LinearRegressor Normalizer OneHotEncoder RandomUniformLike SVMClassifier SVMRegressor Scaler
    TreeEnsembleClassifier TreeEnsembleRegressor TreeEnsemble ZipMap NonMaxSuppression TopK RoiAlign Range CumSum Min
    Max Upsample""".split()
)
# Makers of floats by an attribute, and operators of 8-bit arithmetic whose scales are float32.
_OWN_TYPE: Final = frozenset(
    """Constant ConstantOfShape EyeLike RandomNormal RandomNormalLike RandomUniform Multinomial Bernoulli
    DynamicQuantizeLinear""".split()
)
_ALWAYS_FLOAT: Final = {"Resize": (2,), "GroupNorm": (1, 2), "SkipGroupNorm": (1, 2)}


def write(draft: Draft, rules: Sequence[Rule], written: Written) -> None:
    """Rewrites the nodes whose rule keeps activations in 16 bits. Raises UsageError where the opset is too old."""
    dtypes = {rule.activations for rule in rules} & set(HALVES)
    if len(dtypes) > 1:
        raise UsageError(f"{draft.raw.source.path}: --quantize: fp16 and bf16 in one table; take one of them")
    dtype = dtypes.pop()
    if why := bring_forward(draft, CAST[dtype]):
        raise UsageError(f"{draft.raw.source.path}: --quantize {dtype}: {why}")
    _Writer(draft, rules, written, dtype).run()


class _Writer:
    """`half` maps a tensor to its name in 16 bits; `floats` are the tensors that something reads in float32;
    `given` those of them that only the user of the model does, and `last` the Casts to these."""

    def __init__(self, draft: Draft, rules: Sequence[Rule], written: Written, dtype: str) -> None:
        self.draft = draft
        self.written = written
        self.dtype = dtype
        self.rule = Rule(dtype, dtype)
        self.half: dict[str, str] = {}
        self.chosen = [
            rule.activations in HALVES and self._takes(node) for node, rule in zip(draft.raw.nodes, rules, strict=True)
        ]
        needed = self._floats()
        self.given = {*draft.raw.outputs} - needed
        self.floats = needed | self.given
        self.last: list[Node] = []

    def run(self) -> None:
        for i, chosen in enumerate(self.chosen):
            if chosen:
                self._node(i)
                self.written.computes = True
        end = len(self.chosen) - 1  # the outputs of the model are not held in float32 earlier than they must be
        self.draft.put(end, *self.draft.at(end), *self.last)

    def _is_float(self, name: str) -> bool:
        value = self.draft.values.get(name)
        if value is not None:
            return value.encoding is FLOAT
        constant = self.draft.constant(name)
        return constant is not None and constant.encoding is FLOAT

    def _takes(self, node: Node) -> bool:
        """True for an operator that can run in 16 bits and has a tensor to run on."""
        if node.domain not in ("", MICROSOFT) or node.bodies or node.op in STAY | _OWN_TYPE:
            return False
        if node.op.startswith(("QLinear", "QAttention", "QGemm")) or "Integer" in node.op:
            return False
        old = node.domain or self.draft.opsets.get("", 1) < _SCALES_IN_16_BITS
        if old and node.op in ("QuantizeLinear", "DequantizeLinear"):
            return False
        names = [name for name in (*node.inputs, *node.outputs) if name]
        values = [self.draft.values[name] for name in names if name in self.draft.values]
        if any(value.encoding is SEQUENCE for value in values):
            return False
        return any(map(self._is_float, names))

    def _floats(self) -> set[str]:
        """What bodies and operators in float32 read."""
        found: set[str] = set()
        for i, node in enumerate(self.draft.raw.nodes):
            found.update(name for body in node.bodies.values() for name in body.captured)
            if not self.chosen[i]:
                found.update(name for one in self.draft.at(i) for name in one.inputs)
            else:
                found.update(name for place, name in enumerate(node.inputs) if self._stays(node, place))
        return found

    def _stays(self, node: Node, place: int) -> bool:
        if node.op == "Resize" and self.draft.opsets.get("", 1) <= 10:
            return place == 1
        return place in _ALWAYS_FLOAT.get(node.op, ())

    def _node(self, i: int) -> None:
        node, before, after = self.draft.own(i), [], []
        inputs = []
        for place, name in enumerate(node.inputs):
            if not name or self._stays(node, place) or not self._is_float(name):
                inputs.append(name)
                continue
            if name not in self.half:
                before += self._brought(name, i, place)
            inputs.append(self.half[name])
        outputs = []
        for name in node.outputs:
            if name and self._is_float(name):
                kept = name not in self.floats
                self.half[name] = name if kept else self.draft.fresh(f"{name}_{self.dtype}")
                if name in self.given:
                    self.last.append(self._cast(self.half[name], name, _FLOAT))
                elif not kept:
                    after.append(self._cast(self.half[name], name, _FLOAT))
            outputs.append(self.half.get(name, name) if name else "")
        attrs = node.attrs
        if node.op == "Cast" and node.attrs.get("to") == _FLOAT:
            attrs = {**attrs, "to": CODES[self.dtype]}
        made = replace(node, inputs=tuple(inputs), outputs=tuple(outputs), attrs=attrs)
        self.draft.instead(i, *before, made, *after)

    def _brought(self, name: str, i: int, place: int) -> list[Node]:
        """What brings a tensor that is there in float32 to 16 bits: a constant is stored so, others are cast."""
        constant = self.draft.constant(name)
        if constant is not None and constant.encoding is FLOAT:
            self.half[name] = self._stored(constant, i, place)
            return []
        self.half[name] = self.draft.fresh(f"{name}_{self.dtype}")
        return [self._cast(name, self.half[name], CODES[self.dtype])]

    def _stored(self, constant: Constant, i: int, place: int) -> str:
        made = store(constant, self.rule, Layout(constant.shape))
        if constant.name in self.written.parameters:  # a mask of huge numbers loses nothing that matters
            self.written.add(Site(i, place, constant, None, None), self.rule, made)
        return self.draft.add(made.codes.name, made.codes)

    def _cast(self, source: str, to: str, code: int) -> Node:
        return Node(f"{to}_Cast", "", "Cast", (source,), (to,), {"to": code})
