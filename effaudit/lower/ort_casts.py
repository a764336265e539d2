"""The Cast nodes that ONNX Runtime adds and takes away on a CPU, whatever its options.

An operator without a float16 kernel runs in float32: its float16 inputs (weights too) go through a Cast before it, its
outputs through one behind it. An operator that has such a kernel but stands alone among those does the same. Casts that
undo each other, and a Cast that only feeds Casts, then go.
(`InsertCastTransformer`, onnxruntime/core/optimizer/insert_cast_transformer.cc, 1.27.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec.structs import replace

from effaudit.graph import FLOAT, FLOAT16, Encoding, Graph, Node, Value
from effaudit.lower._rewrite import with_inputs
from effaudit.lower.ort_order import execution_order

INSERTED: Final = "InsertedPrecisionFreeCast_"

# docs/OperatorKernels.md of onnxruntime, 1.27: the CPU kernels that take float16
_HALF: Final = frozenset(
    """Attention BitCast Cast Clip Compress Concat ConcatFromSequence Constant ConstantOfShape DequantizeLinear
    DynamicSlice Expand Flatten Gather GatherElements GatherND Identity If IsInf IsNaN LayerNormalization Loop Max Min
    Mod Optional OptionalGetElement OptionalHasElement QuantizeLinear RMSNormalization RandomNormalLike
    RandomUniformLike Reshape ReverseSequence RotaryEmbedding Round Scan Scatter ScatterElements ScatterND SequenceAt
    SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength Shape Shrink Sign
    SimplifiedLayerNormalization Slice Split SplitToSequence Squeeze TensorScatter Transpose Unsqueeze ExpandDims
    GatherBlockQuantized GroupQueryAttention Inverse MatMulNBits QMoE SkipLayerNormalization
    SkipSimplifiedLayerNormalization SparseAttention UnfoldTensor""".split()
)
_GROUPS: Final[Mapping[str, str]] = {
    "bool": "bool",
    **dict.fromkeys("int8 int16 int32 int64".split(), "integer"),
    **dict.fromkeys("uint8 uint16 uint32 uint64".split(), "unsigned"),
    **dict.fromkeys("bfloat16 float16 float32 float64".split(), "float"),
}


def half_in_single(graph: Graph) -> Graph:
    """The graph with Casts around the operators that have no float16 kernel."""
    if not any(value.encoding == FLOAT16 for value in graph.values.values()):
        return graph
    return _Inserted(graph).graph()


class _Inserted:
    def __init__(self, graph: Graph) -> None:
        self.given = graph
        self.nodes = list(graph.nodes)
        self.values = dict(graph.values)
        self.single: dict[str, str] = {}  # float16 tensor -> its float32 copy

    def graph(self) -> Graph:
        wanted = self._wanted()
        for i in execution_order(self.given):
            if i in wanted:
                self._wrap(i)
        return replace(self.given, nodes=tuple(self.nodes), values=self.values)

    def _half(self, names: Iterable[str]) -> list[str]:
        return [name for name in dict.fromkeys(names) if name and self._encoding(name) == FLOAT16]

    def _encoding(self, name: str) -> Encoding | None:
        value = self.values.get(name)
        if value is not None:
            return value.encoding
        constant = self.given.constants.get(name)
        return None if constant is None else constant.encoding

    def _wanted(self) -> set[int]:
        """The nodes that run in float32."""
        nodes = self.given.nodes
        wanted = {i for i, n in enumerate(nodes) if n.op not in _HALF and not n.bodies and self._half(n.inputs)}
        maker = {name: i for i, node in enumerate(nodes) for name in node.outputs if name}
        readers: dict[str, list[int]] = {}
        for i, node in enumerate(nodes):
            for name in node.inputs:
                readers.setdefault(name, []).append(i)
        outputs = set(self.given.outputs)
        for i, node in enumerate(nodes):
            if i in wanted or node.bodies or node.op == "Constant" or not outputs.isdisjoint(node.outputs):
                continue
            sources = [maker[name] for name in self._half(node.inputs) if name in maker]
            targets = [reader for name in self._half(node.outputs) for reader in readers.get(name, ())]
            halves = self._half(node.inputs) and self._half(node.outputs)
            if halves and any(name in maker for name in node.inputs) and wanted.issuperset((*sources, *targets)):
                wanted.add(i)
        return wanted

    def _wrap(self, i: int) -> None:
        node = self.nodes[i]
        renamed: dict[str, str] = {}
        for name in self._half(node.inputs):
            if name not in self.single:
                self.single[name] = self._cast(name, name, FLOAT, into=True)
            renamed[name] = self.single[name]
        made = {name: self._cast(name, name, FLOAT16, into=False) for name in self._half(node.outputs)}
        inputs = tuple(renamed.get(name, name) for name in node.inputs)
        outputs = tuple(made.get(name, name) for name in node.outputs)
        self.nodes[i] = replace(node, inputs=inputs, outputs=outputs)

    def _cast(self, name: str, label: str, to: Encoding, *, into: bool) -> str:
        """Adds a Cast of a float16 tensor into float32, or of its float32 twin back; returns the float32 tensor."""
        twin = f"{INSERTED}{label}/{len(self.nodes)}"
        value = self.values.get(name)
        if value is None:
            constant = self.given.constants[name]
            value = Value(constant.encoding, constant.shape)
        self.values[twin] = replace(value, encoding=FLOAT, content=None)
        source, target = (name, twin) if into else (twin, name)
        self.nodes.append(Node(twin, "", "Cast", (source,), (target,), {"to": 1 if to == FLOAT else 10}))
        return twin


def without_duplicate_casts(graph: Graph) -> Graph:
    """The graph without Casts that undo each other, or that only feed Casts and lose nothing."""
    if sum(node.op == "Cast" and not node.domain for node in graph.nodes) < 2:
        return graph
    return _Reduced(graph).graph()


class _Reduced:
    def __init__(self, graph: Graph) -> None:
        self.given = graph
        self.nodes: list[Node | None] = list(graph.nodes)
        self.readers: dict[str, dict[int, None]] = {}  # in order, each once
        for i, node in enumerate(graph.nodes):
            for name in node.inputs:
                if name:
                    self.readers.setdefault(name, {})[i] = None
        self.pinned = {*graph.outputs, *(n for node in graph.nodes for b in node.bodies.values() for n in b.captured)}

    def graph(self) -> Graph:
        for i in range(len(self.nodes)):
            self._reduce(i)
        kept = [node for node in self.nodes if node is not None]
        return self.given if len(kept) == len(self.nodes) else replace(self.given, nodes=tuple(kept))

    def _reduce(self, i: int) -> None:
        node = self._cast(i)
        if node is None:
            return
        source, made = self._type(node.inputs[0]), self._type(node.outputs[0])
        children = list(self.readers.get(node.outputs[0], ()))
        casts = [(j, child) for j in children if (child := self._cast(j)) is not None]
        lossy = _loses(source, made, node)
        if any(lossy and _loses(self._type(c.outputs[0]), self._type(c.inputs[0]), c) for _, c in casts):
            return
        back = [(j, c) for j, c in casts if c.outputs[0] not in self.pinned and self._type(c.outputs[0]) == source]
        for j, child in back:
            self._rename(child.outputs[0], node.inputs[0])
            self._remove(j)
        kept = [(j, c) for j, c in casts if (j, c) not in back]
        if not children or len(casts) != len(children) or node.outputs[0] in self.pinned:
            return
        if not (lossy and any(self._type(c.outputs[0]) == "bool" for _, c in kept)):
            self._rename(node.outputs[0], node.inputs[0])
            self._remove(i)

    def _cast(self, i: int) -> Node | None:
        node = self.nodes[i]
        if node is None or node.op != "Cast" or node.domain or len(node.inputs) != 1 or not any(node.outputs[:1]):
            return None
        return node

    def _type(self, name: str) -> str:
        value = self.given.values.get(name)
        if value is not None:
            return value.encoding.dtype
        constant = self.given.constants.get(name)
        return "" if constant is None else constant.encoding.dtype

    def _rename(self, old: str, new: str) -> None:
        for j in self.readers.pop(old, {}):
            node = self.nodes[j]
            if node is not None:
                self.nodes[j] = with_inputs(node, {old: new})
                self.readers.setdefault(new, {})[j] = None

    def _remove(self, i: int) -> None:
        node = self.nodes[i]
        assert node is not None
        self.readers.get(node.inputs[0], {}).pop(i, None)
        self.nodes[i] = None


def _loses(source: str, target: str, node: Node) -> bool:
    """`UnsafeCast`: whether values may change."""
    before, after = _GROUPS.get(source), _GROUPS.get(target)
    if before is None or after is None:
        return True
    bits = {"bool": 1, "bfloat16": 16}
    wide, narrow = (bits.get(name) or int("".join(filter(str.isdigit, name))) for name in (source, target))
    if before not in ("bool", "unsigned") and after == "unsigned":
        return True
    if before == "float" != after:
        return True
    if (before, after) in (("unsigned", "integer"), ("integer", "float"), ("unsigned", "float")):
        return narrow <= wide
    if {source, target} == {"float16", "bfloat16"}:
        return True
    return wide > narrow and not node.name.startswith(INSERTED)
