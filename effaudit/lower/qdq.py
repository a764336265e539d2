"""DequantizeLinear -> operator -> QuantizeLinear as one operator on integers.

A node is taken as an integer kernel where all its floating inputs are dequantized tensors or constants and each of its
floating outputs only feeds QuantizeLinear nodes of one scale: it then reads the quantized tensors (weights and biases
become the stored constants) and writes the quantized one, under that tensor's name. A Relu or Clip between the operator
and the QuantizeLinear is its clipping (onnxruntime drops or fuses it likewise) and is named in the node's `fused`.
Operators that only move elements pass quantization through in both directions: where the file has it on one side only,
their other tensor is stored quantized too, under its own name.

Any other node keeps floating tensors: the DequantizeLinear of such an input and the QuantizeLinear of such an output
stay where they are. A requantization (QuantizeLinear of a dequantized tensor)
becomes one QuantizeLinear that reads integers, or nothing where scale and zero point are the same. Nodes with bodies
stay as they are.

https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html#representation-of-quantized-onnx-models
https://github.com/microsoft/onnxruntime/tree/main/onnxruntime/core/optimizer/qdq_transformer
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from effaudit.dataflow import reads
from effaudit.graph import Graph, Node, Value
from effaudit.lower._rewrite import ACTIVATION, Wiring, fused_with, is_floating, rebuilt
from effaudit.ops._registry import MICROSOFT

QUANTIZE: Final = "QuantizeLinear"
DEQUANTIZE: Final = "DequantizeLinear"
_DOMAINS: Final = frozenset(("", MICROSOFT))
_CLIPS: Final = frozenset(("Relu", "Clip"))
# Operators whose first output holds elements of their first input and nothing else.
MOVES: Final = frozenset(
    """Reshape Flatten Squeeze Unsqueeze Transpose Identity Slice Gather MaxPool DepthToSpace SpaceToDepth Expand Tile
    GatherElements GatherND Split ReverseSequence""".split()
)
# Their results are integers that the scale of their input does not change.
_ORDERS: Final = frozenset("ArgMax ArgMin Shape Size".split())


def is_quantize(node: Node) -> bool:
    """True for QuantizeLinear of ONNX and of com.microsoft."""
    return node.op == QUANTIZE and node.domain in _DOMAINS and len(node.inputs) > 1 and len(node.outputs) == 1


def is_dequantize(node: Node) -> bool:
    """True for DequantizeLinear of ONNX and of com.microsoft."""
    return node.op == DEQUANTIZE and node.domain in _DOMAINS and len(node.inputs) > 1 and len(node.outputs) == 1


def moves(node: Node) -> bool:
    """True where the outputs hold elements of the first input and nothing else."""
    return node.op in MOVES and not node.domain and ACTIVATION not in node.attrs and bool(node.inputs and node.outputs)


def scale_of(graph: Graph, node: Node) -> Hashable:
    """What tells two quantizations apart: scale, zero point, axis and block size, by their elements where known."""

    def elements(place: int) -> Hashable:
        name = node.inputs[place] if place < len(node.inputs) else ""
        value = graph.values.get(name)
        return name if value is None or value.data is None else (value.encoding.dtype, value.data)

    return elements(1), elements(2), node.attrs.get("axis"), node.attrs.get("block_size")


def fold(graph: Graph) -> Graph:
    """The graph with quantized tensors where it has pairs of QuantizeLinear and DequantizeLinear."""
    if not any(is_quantize(node) or is_dequantize(node) for node in graph.nodes):
        return graph
    return _Fold(graph).run()


class _Stored(msgspec.Struct, frozen=True, gc=False):
    """A floating tensor that is kept quantized: under which name, and the node that dequantizes it."""

    name: str
    back: Node


class _Target(msgspec.Struct, frozen=True, gc=False):
    """Where a floating output goes: the tensor written instead, the nodes that are done with that, and what later
    readers find under other names. `moved` holds the QuantizeLinear met behind nodes that only move elements."""

    name: str
    done: tuple[int, ...] = ()
    clips: tuple[Node, ...] = ()
    same: tuple[str, ...] = ()
    moved: Node | None = None


class _Fold:
    """One walk over the nodes, in order."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.wiring = Wiring(graph)
        self.values: dict[str, Value] = dict(graph.values)
        self.behind_moves = self._behind_moves()
        self.stored: dict[str, _Stored] = {}  # floating tensor -> where its elements lie quantized
        self.renamed: dict[str, str] = {}  # quantized tensor -> an equal one that exists
        self.floats: dict[str, str] = {}  # floating tensor -> the name it was dequantized to
        self.done: set[int] = set()
        self.nodes: list[Node | None] = []  # None where a tensor would be dequantized, if anything needs that
        self.places: dict[str, int] = {}  # floating tensor -> that place

    def run(self) -> Graph:
        for i, node in enumerate(self.graph.nodes):
            if i in self.done:
                continue
            if is_dequantize(node):
                self._dequantize(node)
            elif is_quantize(node):
                self._quantize(node)
            elif not self._integer(node):
                self._floating(node)
        for name in self.graph.outputs:
            if name in self.stored:
                self._give_back(name)
        return rebuilt(self.graph, self._needed(), self.values)

    def _dequantize(self, node: Node) -> None:
        """Nothing yet, only its place: no node may need it."""
        source = self.renamed.get(node.inputs[0], node.inputs[0])
        self._keep(node.outputs[0], _Stored(source, replace(node, inputs=(source, *node.inputs[1:]))))

    def _keep(self, name: str, stored: _Stored) -> None:
        self.stored[name] = stored
        self.places[name] = len(self.nodes)
        self.nodes.append(None)

    def _quantize(self, node: Node) -> None:
        source, out = node.inputs[0], node.outputs[0]
        held = self.stored.get(source)
        if held is None:
            self._emit(node)
        elif self._same(held, node) and out not in self.wiring.pinned:
            self.renamed[out] = held.name
        else:
            self.nodes.append(replace(node, inputs=(held.name, *node.inputs[1:])))

    def _same(self, held: _Stored, node: Node) -> bool:
        """True where a QuantizeLinear makes again what is held already."""
        if self._dtype(held.name) != self._dtype(node.outputs[0]):
            return False
        return scale_of(self.graph, held.back) == scale_of(self.graph, node)

    def _dtype(self, name: str) -> str:
        value = self.values.get(name)
        return "" if value is None else value.encoding.dtype

    def _integer(self, node: Node) -> bool:
        """Emits the node as an integer kernel where it can be one."""
        if node.bodies or not any(name in self.stored for name in node.inputs):
            return False
        if any(self._stays_floating(name) for name in node.inputs):
            return False
        targets = self._targets(node)
        if targets is None:
            return False
        inputs = tuple(self.stored[n].name if n in self.stored else self.renamed.get(n, n) for n in node.inputs)
        new = replace(node, inputs=inputs, outputs=tuple(targets[o].name if o in targets else o for o in node.outputs))
        for target in targets.values():
            self.done.update(target.done)
            self.renamed.update(dict.fromkeys(target.same, target.name))
            if target.clips:
                labels = (clip.label for clip in target.clips)
                new = replace(new, attrs={**fused_with(new, *labels), ACTIVATION: target.clips[-1].op})
        self.nodes.append(new)
        for target in targets.values():
            if target.moved is not None:
                self._store(target.name, node, target.moved)
        return True

    def _stays_floating(self, name: str) -> bool:
        """True for an input that is floating at run time."""
        return name not in self.stored and self.wiring.varies(name) and is_floating(self.values.get(name))

    def _targets(self, node: Node) -> dict[str, _Target] | None:
        """What is written instead of each floating output; None where one of them has to be floating."""
        floating = [o for o in node.outputs if self._is_needed(o) and is_floating(self.values.get(o))]
        if not floating:
            return {} if node.op in _ORDERS else None
        found: dict[str, _Target] = {}
        for out in floating:
            target = self._behind(node, out) or self._through(node, out)
            if target is None:
                return None
            found[out] = target
        return found

    def _is_needed(self, name: str) -> bool:
        return name in self.wiring.readers or name in self.wiring.pinned

    def _behind(self, node: Node, out: str) -> _Target | None:
        """The QuantizeLinear nodes behind an output: past clippings, unless the node computes nothing that could be
        clipped, and past nodes that only move elements."""
        nodes = self.graph.nodes
        done: list[int] = []
        clips: list[Node] = []
        while not moves(node) and (i := self._clip(out)) is not None:
            if any(map(self.wiring.varies, nodes[i].inputs[1:])):
                return None
            done.append(i)
            clips.append(nodes[i])
            out = nodes[i].outputs[0]
        found = self._quantizers(out)
        if found:
            first, *same = (nodes[i].outputs[0] for i in found)
            return _Target(first, (*done, *found), tuple(clips), tuple(same))
        moved = self.behind_moves.get(out)
        return None if moved is None else _Target(out, tuple(done), tuple(clips), moved=moved)

    def _clip(self, name: str) -> int | None:
        """The one node that reads a tensor, where it is a Relu or Clip of it."""
        i = self.wiring.only_reader(name)
        if i is None:
            return None
        node = self.graph.nodes[i]
        clips = node.op in _CLIPS and not node.domain and node.inputs[:1] == (name,) and len(node.outputs) == 1
        return i if clips else None

    def _behind_moves(self) -> dict[str, Node]:
        """Tensors that only reach a QuantizeLinear through nodes that move elements -> that QuantizeLinear."""
        found: dict[str, Node] = {}
        for node in reversed(self.graph.nodes):
            if not moves(node) or len([o for o in node.outputs if o]) != 1:
                continue
            if self.wiring.only_reader(node.inputs[0]) is None:
                continue
            quantizers = self._quantizers(node.outputs[0])
            end = self.graph.nodes[quantizers[0]] if quantizers else found.get(node.outputs[0])
            if end is not None:
                found[node.inputs[0]] = end
        return found

    def _quantizers(self, name: str) -> list[int]:
        """The readers of a tensor where all are QuantizeLinear nodes of one scale, and nothing else needs it; those
        whose output must keep its name first."""
        readers = self.wiring.readers.get(name, [])
        nodes = [self.graph.nodes[i] for i in readers]
        if not nodes or name in self.wiring.pinned or not all(is_quantize(n) and n.inputs[0] == name for n in nodes):
            return []
        kinds = {(scale_of(self.graph, n), self._dtype(n.outputs[0])) for n in nodes} if len(nodes) > 1 else {0}
        pinned = [i for i in readers if self.graph.nodes[i].outputs[0] in self.wiring.pinned]
        if len(kinds) > 1 or len(pinned) > 1:
            return []
        return [*pinned, *(i for i in readers if i not in pinned)]

    def _through(self, node: Node, out: str) -> _Target | None:
        """An output that only moves what is quantized is stored the same way."""
        held = self.stored.get(node.inputs[0])
        if not moves(node) or held is None or out in self.wiring.pinned:
            return None
        follows = not self.wiring.varies(out) or _is_one(self.values.get(held.back.inputs[1]))
        return _Target(out, moved=held.back) if follows else None

    def _store(self, name: str, node: Node, like: Node) -> None:
        """Keeps a tensor quantized under its own name."""
        quantized = like.outputs[0] if is_quantize(like) else like.inputs[0]
        value = self.values[name]
        label = f"{node.label}/dequantize"
        back = Node(label, like.domain, DEQUANTIZE, (name, *like.inputs[1:]), (f"{name}/dequantized",), like.attrs)
        self.values[back.outputs[0]] = value
        self.values[name] = replace(value, encoding=self.values[quantized].encoding)
        self._keep(name, _Stored(name, back))

    def _floating(self, node: Node) -> None:
        """Emits a node as it is, what it needs dequantized before it."""
        for name in reads(node):
            if name in self.stored:
                self._give_back(name)
        self._emit(node)

    def _give_back(self, name: str) -> None:
        if name not in self.floats:
            back = self.stored[name].back
            self.floats[name] = back.outputs[0]
            self.nodes[self.places[name]] = back

    def _emit(self, node: Node) -> None:
        names: Mapping[str, str] = self.renamed
        inputs = tuple(self.floats.get(n) or names.get(n, n) for n in node.inputs)
        self.nodes.append(node if inputs == node.inputs else replace(node, inputs=inputs))

    def _needed(self) -> list[Node]:
        """Without the QuantizeLinear and DequantizeLinear nodes that nothing reads any more."""
        read: set[str] = set(self.wiring.pinned)
        kept: list[Node] = []
        for node in reversed([node for node in self.nodes if node is not None]):
            if (is_quantize(node) or is_dequantize(node)) and read.isdisjoint(node.outputs):
                continue
            read.update(node.inputs)
            kept.append(node)
        return kept[::-1]


def _is_one(scale: Value | None) -> bool:
    """True where the whole tensor has one scale."""
    return scale is not None and scale.shape is not None and all(dim == 1 for dim in scale.shape)
