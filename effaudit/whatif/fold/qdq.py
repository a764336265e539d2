"""Quantizations that are undone and done again.

A QuantizeLinear of a dequantized tensor, with the same scale, zero point and type, gives the integers there were:
(q - z) * s / s + z = q, as long as the float between them holds every level apart. The pair goes, also around nodes
that only move elements under one scale for the whole tensor: these then move the integers. What requantizes to another
scale stays, and is listed.

https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html
https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.graph import Node, Value
from effaudit.lower.qdq import MOVES, is_dequantize, is_quantize
from effaudit.whatif.fold._model import Folded, Model, grouped

# Moves that the runtimes know for integers of 8 and 16 bits: https://onnx.ai/onnx/operators/
_ANY_INTEGER: Final = MOVES - {"MaxPool", "ReverseSequence", "DepthToSpace", "SpaceToDepth", "Tile", "Split"}
_BYTES: Final = frozenset(("MaxPool", "Tile", "DepthToSpace"))
_LEVELS_APART: Final = {"float32": 16, "float64": 16, "bfloat16": 4, "float16": 8}  # bits of levels that stay apart
_POOL_OF_BYTES: Final = 12  # the version since which a MaxPool takes them


class _Chain(msgspec.Struct, frozen=True):
    """From a DequantizeLinear to a QuantizeLinear: the nodes between them that move elements, in order."""

    back: Node
    moves: tuple[int, ...]


def fold(audited: Audited, values: Mapping[str, Value]) -> Folded:
    """The model without pairs that change nothing."""
    model = Model(audited, values)
    walk = _Walk(model)
    for i, node in enumerate(model.raw.nodes):
        if is_quantize(node):
            walk.quantize(i, node)
    note = f"{walk.pairs} requantizations to the same scale removed, {walk.moved} of them around moved elements"
    return Folded(model.graph(), note, grouped(walk.refused))


class _Walk:
    """One walk over the QuantizeLinear nodes, in order."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.aliases: dict[str, str] = {}
        self.used: set[int] = set()
        self.refused: list[tuple[Node, str]] = []
        self.pairs = self.moved = 0

    def quantize(self, i: int, node: Node) -> None:
        """Takes out a QuantizeLinear that gives the integers there were."""
        chain, why = self._chain(node)
        if chain is None:
            if why:
                self.refused.append((node, why))
            return
        why = self._differs(chain, node)
        if not why and not chain.moves:
            why = self._straight(i, node, self._integers(chain.back))
        elif not why:
            self._around(i, node, chain)
        if why:
            self.refused.append((node, why))
            return
        self.pairs += 1
        self.moved += bool(chain.moves)

    def _integers(self, back: Node) -> str:
        return self.aliases.get(back.inputs[0], back.inputs[0])

    def _straight(self, i: int, node: Node, source: str) -> str:
        """Its readers read the integers; why not, where they cannot."""
        out = node.outputs[0]
        if out in self.model.wiring.pinned:
            return "its output keeps its name"
        self.aliases[out] = source
        self.model.draft.rename(out, source)
        self.model.draft.put(i)
        return ""

    def _around(self, i: int, node: Node, chain: _Chain) -> None:
        """The nodes between move the integers; the last of them writes what the QuantizeLinear did."""
        draft, nodes = self.model.draft, self.model.raw.nodes
        source = self._integers(chain.back)
        for at in chain.moves:
            move = nodes[at]
            last = at == chain.moves[-1]
            out = node.outputs[0] if last else draft.fresh(f"{move.outputs[0]}.quantized")
            inputs = (source, *move.inputs[1:])
            if move.op == "Concat":
                inputs = tuple(self._integers(nodes[self.model.wiring.maker[name]]) for name in move.inputs)
            draft.put(at, replace(move, inputs=inputs, outputs=(out,)))
            source = out
        self.used.update(chain.moves)
        draft.put(i)

    def _chain(self, node: Node) -> tuple[_Chain | None, str]:
        """The way back from a QuantizeLinear to a DequantizeLinear; where there is one that does not do, why."""
        model, name = self.model, node.inputs[0]
        moves: list[int] = []
        shared = False
        while (at := model.wiring.maker.get(name)) is not None:
            before = model.raw.nodes[at]
            if is_dequantize(before):
                why = "others read the elements between as floating numbers" if shared else ""
                return (None, why) if why else (_Chain(before, tuple(reversed(moves))), "")
            if not self._moves(before) or at in self.used:
                break
            shared = shared or model.wiring.only_reader(name) is None
            moves.append(at)
            name = before.inputs[0]
        return None, ""

    def _moves(self, node: Node) -> bool:
        """True for a node that moves elements, whatever they are."""
        if node.domain or len([name for name in node.outputs if name]) != 1:
            return False
        return node.op in _ANY_INTEGER or node.op in _BYTES or self._joins(node)

    def _joins(self, node: Node) -> bool:
        """A Concat of dequantized tensors."""
        makers = [self.model.wiring.maker.get(name) for name in node.inputs]
        return node.op == "Concat" and all(at is not None and is_dequantize(self.model.raw.nodes[at]) for at in makers)

    def _differs(self, chain: _Chain, node: Node) -> str:
        """Why a QuantizeLinear does not give the integers that were dequantized; "" where it does."""
        model, nodes = self.model, self.model.raw.nodes
        made = _quantization(model, node)
        backs = [chain.back]
        for at in chain.moves:
            if nodes[at].op == "Concat":
                backs += [nodes[model.wiring.maker[name]] for name in nodes[at].inputs]
        if any(_quantization(model, back) != made for back in backs):
            return "it requantizes: scale, zero point or type differ"
        if chain.moves and not _is_one(model, node.inputs[1]):
            return "elements move under a scale per channel"
        stored = model.encoding(chain.back.inputs[0])
        between = model.encoding(chain.back.outputs[0])
        bits = 0 if stored is None else stored.bits
        if stored is None or between is None or bits > _LEVELS_APART.get(between.dtype, 0):
            return "the floating numbers between do not hold every level apart"
        wide = [nodes[at].op for at in chain.moves if nodes[at].op in _BYTES]
        if wide and (bits != 8 or model.opset < _POOL_OF_BYTES):
            return f"{wide[0]} takes no such integers"
        if chain.moves and bits < 8:
            return "runtimes move no integers of less than a byte"
        return ""


def _quantization(model: Model, node: Node) -> Hashable:
    """What tells two quantizations apart: type, scale and zero point, by their elements where known; axis and block."""
    integers = model.encoding(node.outputs[0] if is_quantize(node) else node.inputs[0])
    scale = model.data(node.inputs[1]) or node.inputs[1]
    name = node.inputs[2] if len(node.inputs) > 2 else ""
    zero: Hashable = (model.data(name) or name) if name else (0,)
    if isinstance(zero, tuple) and not any(zero):
        zero = (0,)
    single = _is_one(model, node.inputs[1])
    axis = None if single else node.attrs.get("axis", 1)
    positive = not isinstance(scale, tuple) or all(one > 0 for one in scale)
    return integers, scale, zero, axis, node.attrs.get("block_size", 0), positive or id(node)


def _is_one(model: Model, scale: str) -> bool:
    """True where the whole tensor has one scale."""
    shape = model.shape(scale)
    return shape is not None and all(dim == 1 for dim in shape)
