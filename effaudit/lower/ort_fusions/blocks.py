"""Convolutions and pools of images over tensors whose channels lie in blocks, and what turns tensors into these and
back.

`NchwcTransformer` (onnxruntime/core/optimizer/nchwc_transformer.cc), held against what 1.31.1 saves. Nodes are walked
in the order they run; a tensor that has a blocked twin is read from that by whatever can, and turned back once, where
something still needs it as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from effaudit.graph import FLOAT, Graph, Node
from effaudit.lower.ort_fusions.convolutions import activation
from effaudit.lower.ort_fusions.draft import Draft, without
from effaudit.ops._registry import MICROSOFT, NCHWC

_ALIGNED: Final = 4  # channels that can be put in blocks come in groups of as many
_IMAGE: Final = 4
_FUSED: Final = frozenset("Relu Sigmoid Tanh Clip LeakyRelu HardSigmoid".split())
_ELEMENTWISE: Final = frozenset("Relu Sigmoid Tanh Clip LeakyRelu HardSigmoid".split())
_HALF: Final = 0.5
_CLOSE: Final = 1e-4
_TO_LAST: Final = (0, 2, 3, 1)
_FROM_LAST: Final = (0, 3, 1, 2)


class _Twin(msgspec.Struct, frozen=True):
    """A tensor in blocks: its name, the node that makes it, the channels it really has, and who read it as it was."""

    name: str
    maker: int
    channels: int
    readers: int


def blocked(graph: Graph, block: int) -> Graph:
    """The graph with blocks of so many channels."""
    if not any(node.op in ("Conv", "FusedConv", "MaxPool", "AveragePool") for node in graph.nodes):
        return graph
    return _Blocks(graph, block).run()


class _Blocks:
    def __init__(self, graph: Graph, block: int) -> None:
        self.draft = Draft(graph)
        self.block = block
        self.twins: dict[str, _Twin] = {}
        self.reordered: dict[str, str] = {}  # plain tensor -> its blocked copy
        self.transposed: dict[str, str] = {}  # channels first -> the same with channels last
        self.count = 0

    def run(self) -> Graph:
        for i in self.draft.indices():
            node = self.draft.nodes[i]
            if not node.bodies and node.outputs and self.draft.dims(node.outputs[0]) is not None:
                self._visit(i, node)
        for name, twin in self.twins.items():
            if self.draft.edges(name) or name in self.draft.pinned:
                self._back(name, twin)
        self._without_unread()
        return self.draft.graph()

    def _visit(self, i: int, node: Node) -> None:
        if (node.op, node.domain) in (("Conv", ""), ("FusedConv", MICROSOFT)):
            self._convolution(i, node)
        elif node.domain:
            if (node.op, node.domain) in (("QuickGelu", MICROSOFT), ("Gelu", MICROSOFT)):
                self._activation(i, node)
        elif node.op in ("MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool"):
            self._pool(i, node)
        elif node.op in ("Add", "Sum", "Mul"):
            self._binary(i, node)
        elif (visit := self._others().get(node.op)) is not None:
            visit(i, node)

    def _others(self) -> Mapping[str, Callable[[int, Node], None]]:
        same = dict.fromkeys(_ELEMENTWISE, self._activation)
        return {
            **same,
            "Concat": self._concat,
            "BatchNormalization": self._norm,
            "Resize": self._resize,
            "Transpose": self._transpose,
        }

    def _padded(self, channels: int) -> int:
        return -(-channels // self.block) * self.block

    def _token(self) -> str:
        self.count += 1
        return f"blocked/{self.count}"

    def _made(self, i: int, node: Node, channels: int) -> None:
        """Puts a node that writes blocks in the place of one; its first output has a twin now."""
        draft, out = self.draft, node.outputs[0]
        name = self._token()
        shape = draft.ranked(out)
        draft.tensor(name, out, (shape[0], self._padded(channels), *shape[2:]))
        draft.put(i, replace(node, outputs=(name,)))
        self.twins[out] = _Twin(name, i, channels, len(draft.edges(out)) + (out in draft.pinned))

    def _taken(self, i: int, node: Node, out: str, channels: int) -> None:
        """A node is gone into the one at `i`, whose output stands for `out` now."""
        draft = self.draft
        made = draft.nodes[i]
        self.twins[out] = _Twin(made.outputs[0], i, channels, len(draft.edges(out)) + (out in draft.pinned))

    def _input(self, name: str) -> str:
        """A tensor in blocks: its twin, or a copy."""
        twin = self.twins.get(name)
        if twin is not None:
            return twin.name
        if name not in self.reordered:
            draft, last = self.draft, self.transposed.get(name)
            shape = draft.sized(name)
            copy = draft.tensor(self._token(), name, (shape[0], self._padded(shape[1]), *shape[2:]))
            attrs = {"channels_last": int(last is not None)}
            draft.add(Node(f"{name}/blocked", NCHWC, "ReorderInput", (last or name,), (copy,), attrs))
            self.reordered[name] = copy
        return self.reordered[name]

    def _back(self, name: str, twin: _Twin) -> None:
        attrs = {"channels": twin.channels, "channels_last": 0}
        self.draft.add(Node(f"{name}/plain", NCHWC, "ReorderOutput", (twin.name,), (name,), attrs))

    def _convolution(self, i: int, node: Node) -> None:
        draft = self.draft
        fed, weights = draft.shape(node.inputs[0]), draft.shape(node.inputs[1])
        constant = all(map(draft.is_constant, filter(None, node.inputs[1:])))
        if not constant or len(node.inputs) > 3 or draft.dtype(node.inputs[1]) != FLOAT.dtype:
            return
        if fed is None or weights is None or len(weights) != _IMAGE or draft.shape(node.outputs[0]) is None:
            return
        group, (wide, narrow) = node.attrs.get("group", 1), weights[:2]
        filled = self._filters(group, wide, narrow)
        if filled is None:
            return
        groups, inner, reorders = filled
        source = self._input(node.inputs[0]) if reorders else node.inputs[0]
        stored = draft.stored(self._token(), FLOAT, (self._padded(wide), inner, *weights[2:]))
        bias = [draft.stored(self._token(), FLOAT, (self._padded(wide),))] if len(node.inputs) > 2 else []
        made = replace(node, domain=NCHWC, op="Conv", inputs=(source, stored, *bias))
        self._made(i, replace(made, attrs={**node.attrs, "group": groups}), wide)

    def _filters(self, group: object, wide: int, narrow: int) -> tuple[int, int, bool] | None:
        """(groups, input channels of a filter, whether the input has to lie in blocks); None where it stays plain."""
        if type(group) is not int:
            return None
        if group == 1:
            if narrow < self.block:
                return 1, narrow, False
            return None if narrow % _ALIGNED else (1, self._padded(narrow), True)
        if wide % _ALIGNED:
            return None
        if narrow == 1 and wide == group:
            return self._padded(wide), 1, True
        if narrow % self.block or wide % group or (wide // group) % self.block:
            return None
        return group, narrow, True

    def _pool(self, i: int, node: Node) -> None:
        shape = self.draft.shape(node.inputs[0])
        if len(node.outputs) > 1 or shape is None or len(shape) != _IMAGE or shape[1] % self.block:
            return
        if self.draft.dtype(node.inputs[0]) != FLOAT.dtype or self.draft.shape(node.outputs[0]) is None:
            return
        if node.op.startswith("Global") and node.inputs[0] not in self.twins:
            return
        self._made(i, replace(node, domain=NCHWC, inputs=(self._input(node.inputs[0]),)), shape[1])

    def _twins(self, node: Node) -> list[_Twin] | None:
        found = [self.twins.get(name) for name in node.inputs]
        return [one for one in found if one is not None] if found and None not in found else None

    def _binary(self, i: int, node: Node) -> None:
        twins = self._twins(node)
        shapes = {self.draft.shape(name) for name in node.inputs}
        if twins is None or len(shapes) != 1 or None in shapes:
            return
        if node.op != "Mul" and len(twins) == 2:
            for one, other in (twins, twins[::-1]):
                if self._summed(i, node, one, other):
                    return
        self._made(i, replace(node, inputs=tuple(twin.name for twin in twins)), twins[0].channels)

    def _summed(self, i: int, node: Node, one: _Twin, other: _Twin) -> bool:
        """A sum in the convolution that alone makes one of its inputs."""
        draft = self.draft
        maker = draft.nodes[one.maker]
        alone = one.readers == 1 and one is not other
        if not alone or not _is_convolution(maker) or len(maker.inputs) > 3 or "activation" in maker.attrs:
            return False
        inputs = (*maker.inputs, *("",) * (3 - len(maker.inputs)), other.name)
        out = node.outputs[0]
        draft.drop(i)
        draft.put(one.maker, replace(_doing(maker, node), inputs=inputs))
        self._taken(one.maker, node, out, one.channels)
        return True

    def _activation(self, i: int, node: Node) -> None:
        twin = self.twins.get(node.inputs[0])
        if twin is None or self._hard_swish(i, node, twin):
            return
        maker = self.draft.nodes[twin.maker]
        found = activation(self.draft, node) if node.op in _FUSED else None
        if _is_convolution(maker) and twin.readers == 1 and found is not None and "activation" not in maker.attrs:
            made = _doing(maker, node)
            self.draft.drop(i)
            self.draft.put(twin.maker, replace(made, attrs={**made.attrs, **found}))
            self._taken(twin.maker, node, node.outputs[0], twin.channels)
        else:
            self._made(i, replace(node, inputs=(twin.name, *node.inputs[1:])), twin.channels)

    def _hard_swish(self, i: int, node: Node, twin: _Twin) -> bool:
        """x times HardSigmoid(x) in the convolution that makes x, where nothing else reads that."""
        draft, maker = self.draft, self.draft.nodes[twin.maker]
        if node.op != "HardSigmoid" or twin.readers != 2 or not _is_convolution(maker) or "activation" in maker.attrs:
            return False
        j = draft.reader(node.outputs[0], "Mul")
        after = None if j is None else draft.nodes[j]
        if j is None or after is None or set(after.inputs) != {node.inputs[0], node.outputs[0]}:
            return False
        third = abs(node.attrs.get("alpha", 0.2) - 1 / 6) < _CLOSE and node.attrs.get("beta", 0.5) == _HALF
        if not third or after.outputs[0] in draft.pinned:
            return False
        made = _doing(_doing(maker, node), after)
        draft.drop(i)
        draft.drop(j)
        draft.put(twin.maker, replace(made, attrs={**made.attrs, "activation": "HardSwish"}))
        self._taken(twin.maker, after, after.outputs[0], twin.channels)
        return True

    def _concat(self, i: int, node: Node) -> None:
        twins = self._twins(node)
        if twins is None or node.attrs.get("axis") != 1 or any(twin.channels % self.block for twin in twins):
            return
        total = sum(twin.channels for twin in twins)
        self._made(i, replace(node, inputs=tuple(twin.name for twin in twins)), total)

    def _norm(self, i: int, node: Node) -> None:
        """A norm that follows no convolution is one: a factor and a shift for every channel."""
        twin = self.twins.get(node.inputs[0])
        if twin is None or node.attrs.get("training_mode", 0) or not all(map(self.draft.is_constant, node.inputs[1:])):
            return
        size, draft = self._padded(twin.channels), self.draft
        weights = draft.stored(self._token(), FLOAT, (size, 1, 1, 1))
        bias = draft.stored(self._token(), FLOAT, (size,))
        made = Node(node.label, NCHWC, "Conv", (twin.name, weights, bias), node.outputs[:1], {"group": size})
        self._made(i, made, twin.channels)

    def _resize(self, i: int, node: Node) -> None:
        twin = self.twins.get(node.inputs[0])
        fed, out = self.draft.shape(node.inputs[0]), self.draft.shape(node.outputs[0])
        if twin is None or fed is None or out is None or fed[:2] != out[:2] or 0 in fed:
            return
        if any(a % b for a, b in zip(out, fed, strict=True)) or not _scales_plainly(node):
            return
        attrs = {
            "scales": tuple(a // b for a, b in zip(out, fed, strict=True)),
            "mode": node.attrs.get("mode", "nearest"),
        }
        made = Node(node.label, NCHWC, "Upsample", (twin.name,), node.outputs, attrs)
        self._made(i, made, twin.channels)

    def _transpose(self, i: int, node: Node) -> None:
        perm, twin = node.attrs.get("perm"), self.twins.get(node.inputs[0])
        if perm == _TO_LAST and twin is not None:
            attrs = {"channels": twin.channels, "channels_last": 1}
            made = replace(node, domain=NCHWC, op="ReorderOutput", inputs=(twin.name,))
            self.draft.put(i, replace(made, attrs={**without(made, "perm"), **attrs}))
        elif perm == _FROM_LAST and twin is None:
            shape = self.draft.shape(node.outputs[0])
            if shape is not None and len(shape) == _IMAGE and not shape[1] % _ALIGNED:
                self.transposed[node.outputs[0]] = node.inputs[0]

    def _without_unread(self) -> None:
        """Transpositions whose result is only read in blocks."""
        for name in self.transposed:
            i = self.draft.maker(name)
            if i is not None and not self.draft.edges(name) and name not in self.draft.pinned:
                self.draft.drop(i)


def _is_convolution(node: Node) -> bool:
    return node.op == "Conv" and node.domain == NCHWC


def _doing(node: Node, other: Node) -> Node:
    attrs = {**node.attrs, "fused": (*node.attrs.get("fused", ()), *other.attrs.get("fused", ()), other.label)}
    return replace(node, attrs=attrs)


def _scales_plainly(node: Node) -> bool:
    """Resize as the blocked kernel does it."""
    mode, way = node.attrs.get("mode", "nearest"), node.attrs.get("coordinate_transformation_mode", "half_pixel")
    if mode == "nearest":
        return bool(way == "asymmetric" and node.attrs.get("nearest_mode", "round_prefer_floor") == "floor")
    return mode == "linear" and way in ("asymmetric", "align_corners", "half_pixel")
