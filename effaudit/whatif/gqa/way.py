"""The way of keys and values from the product that makes them, or the cache, to the attention that reads them: every
tensor on it has their heads on one axis."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Final

import msgspec
from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.elements import value_of
from effaudit.graph import Node, Value
from effaudit.whatif.draft import Draft
from effaudit.whatif.reshaped import blocks

MAX_TENSORS: Final = 512  # on the way to one attention
_SAME: Final = frozenset("Identity Cast Neg Dropout Slice Sigmoid Tanh Relu Sqrt Reciprocal Clip".split())
_NORMS: Final = frozenset("LayerNormalization SimplifiedLayerNormalization RMSNormalization".split())
_ELEMENTWISE: Final = frozenset("Add Sub Mul Div Pow Where".split())
_REDUCED: Final = frozenset("ReduceMean ReduceSum ReduceSumSquare ReduceL2 ReduceMax".split())
_REGROUPED: Final = frozenset("Reshape Unsqueeze Squeeze Flatten".split())
_LINEAR: Final = frozenset(("Add", "Sub"))


class Stuck(Exception):
    """Why the heads of an attention cannot be merged."""


class Together(Stuck):
    """One product makes the keys with other tensors, which the node `split` tells apart."""

    def __init__(self, split: int, label: str) -> None:
        super().__init__(f"Split {label}: one product makes its keys with other tensors")
        self.split = split


class Heads(msgspec.Struct, frozen=True):
    """Where a tensor has its heads: `axis` holds all of them, `unit` elements each (1: an axis of heads alone)."""

    axis: int
    unit: int


class Way:
    """What the heads of one attention pass: `seen` tensors, the `nodes` that make them, the `weights` and biases that
    are averaged, and the `fed` caches. Raises Stuck for what is not followed."""

    def __init__(self, audited: Audited, draft: Draft, heads: int, kept: int) -> None:
        self.values = audited.graph.values
        self.symbolic = audited.symbolic.values
        self.varies = audited.flow.varying
        self.raw = audited.raw
        self.draft = draft
        self.heads, self.kept = heads, kept
        self.index = {name: i for i, node in enumerate(audited.raw.nodes) for name in node.outputs if name}
        self.seen: dict[str, Heads] = {}
        self.nodes: dict[int, Node] = {}
        self.weights: dict[str, Heads] = {}
        self.fed: dict[str, Heads] = {}

    def follow(self, name: str, at: Heads) -> None:
        """From a tensor back to all that makes its heads."""
        waiting = [(name, at)]
        while waiting:
            one, where = waiting.pop()
            if self._known(one, where):
                continue
            i = self.index.get(one)
            if one in self.raw.inputs:
                self.fed[one] = where
            elif i is None or self.draft.constant(one) is not None:
                raise Stuck(f"its keys and values are made of the constant {one!r}")
            else:
                self.nodes.setdefault(i, self.raw.nodes[i])
                waiting += self._step(i, self.raw.nodes[i], one, where)

    def size(self, at: Heads) -> int:
        """Elements on the axis of the heads that stay."""
        return self.kept * at.unit

    def _known(self, name: str, at: Heads) -> bool:
        shape = self.values[name].shape
        if shape is None or not all(type(dim) is int for dim in shape) or shape[at.axis] != self.heads * at.unit:
            raise Stuck(f"the sizes of {name!r} are not those of {self.heads} heads")
        if name in self.seen:
            if self.seen[name] != at:
                raise Stuck(f"{name!r} is read with its heads on different axes")
            return True
        if len(self.seen) >= MAX_TENSORS:
            raise Stuck(f"more than {MAX_TENSORS} tensors lie before it")
        self.seen[name] = at
        return False

    def _step(self, i: int, node: Node, name: str, at: Heads) -> Sequence[tuple[str, Heads]]:
        """What a node reads that has the heads too."""
        standard = not node.domain
        first = node.inputs[0] if node.inputs else ""
        if standard and node.op in ("MatMul", "Gemm", "Conv"):
            return self._product(node, at)
        if standard and node.op in _ELEMENTWISE:
            return self._elementwise(node, name, at)
        if standard and node.op == "Transpose":
            rank = len(self._shape(first))
            order = node.attrs.get("perm") or tuple(range(rank))[::-1]
            return [(first, Heads(order[at.axis], at.unit))]
        if standard and node.op == "Concat":
            if node.attrs.get("axis", 0) % len(self._shape(name)) == at.axis:
                raise Stuck(f"Concat {node.label} puts heads behind each other")
            return [(one, at) for one in node.inputs]
        if standard and node.op in _REGROUPED:
            return [(first, self._regrouped(i, node, at))]
        if node.op == "RotaryEmbedding":
            if node.attrs.get("num_heads") == self.heads:
                self.nodes[i] = replace(node, attrs={**node.attrs, "num_heads": self.kept})
            return [(first, at)]
        same = node.op in _SAME | _REDUCED and standard
        normed = node.op in _NORMS and node.attrs.get("axis", -1) % len(self._shape(name)) > at.axis
        if (same or normed) and self._alike(first, name, at):
            return [(first, at)]
        if node.op == "Split":
            raise Together(i, node.label)
        if "Quantize" in node.op or "Integer" in node.op or node.op.endswith("NBits"):
            raise Stuck(f"{node.op} {node.label}: it is quantized; make this step first, then quantize")
        raise Stuck(f"heads are not followed through {node.op} {node.label}")

    def _shape(self, name: str) -> tuple[int, ...]:
        shape = self.values[name].shape if name in self.values else None
        constant = None if shape is not None else self.draft.constant(name)
        found = constant.shape if constant is not None else shape
        if found is None or not all(type(dim) is int for dim in found):
            raise Stuck(f"the shape of {name!r} is not known")
        return tuple(dim for dim in found if type(dim) is int)

    def _alike(self, first: str, name: str, at: Heads) -> bool:
        """True where an input has the rank of the output, and the heads where that has them."""
        before, after = self._shape(first), self._shape(name)
        return len(before) == len(after) and before[at.axis] == after[at.axis]

    # ---- weights
    def _product(self, node: Node, at: Heads) -> Sequence[tuple[str, Heads]]:
        """The weights and bias of the product that makes the heads; nothing before it has any."""
        rank = len(self._shape(node.outputs[0]))
        if node.op == "Conv":
            fits, axis = at.axis == 1 and node.attrs.get("group", 1) == 1, 0
        else:
            fits = at.axis == rank - 1
            axis = 0 if node.op == "Gemm" and node.attrs.get("transB", 0) else -1
        if not fits:
            raise Stuck(f"the heads are not what {node.op} {node.label} makes from weights")
        self._weight(node.inputs[1], axis, at.unit)
        if len(node.inputs) > 2 and node.inputs[2] and self._shape(node.inputs[2])[-1:] not in ((), (1,)):
            self._weight(node.inputs[2], -1, at.unit)
        return ()

    def _weight(self, name: str, axis: int, unit: int) -> None:
        """A stored tensor, or one turned on the way, with the heads on an axis."""
        axis %= len(self._shape(name))
        constant = self.draft.constant(name)
        while constant is None:
            i = self.index.get(name)
            node = None if i is None else self.raw.nodes[i]
            if i is None or node is None or name in self.varies or node.op not in ("Transpose", "Identity", "Cast"):
                quantized = node is not None and node.op == "DequantizeLinear"
                why = "quantized; make this step first, then quantize" if quantized else "computed"
                raise Stuck(f"the weights {name!r} are {why}")
            self._known(name, Heads(axis, unit))
            self.nodes.setdefault(i, node)
            if node.op == "Transpose":
                order = node.attrs.get("perm") or tuple(range(len(self._shape(name))))[::-1]
                axis = order[axis]
            name = node.inputs[0]
            constant = self.draft.constant(name)
        if constant.place == "sparse" or constant.encoding.dtype not in ("float32", "float16", "float64", "bfloat16"):
            raise Stuck(f"the weights {name!r} are {constant.encoding.dtype}, stored {constant.place}")
        if constant.shape[axis] != self.heads * unit:
            raise Stuck(f"the weights {name!r} have no axis of {self.heads} heads")
        if self.weights.setdefault(name, Heads(axis, unit)) != Heads(axis, unit):
            raise Stuck(f"the weights {name!r} are read in two ways")

    # ---- what has no weights
    def _elementwise(self, node: Node, name: str, at: Heads) -> Sequence[tuple[str, Heads]]:
        rank, found = len(self._shape(name)), []
        for one in node.inputs:
            shape = self._shape(one)
            axis = at.axis - (rank - len(shape))
            if axis < 0 or shape[axis] == 1:
                continue
            if one in self.varies:
                found.append((one, Heads(axis, at.unit)))
            elif node.op in _LINEAR:
                self._weight(one, axis, at.unit)
            else:
                raise Stuck(f"{node.op} {node.label}: its constant {one!r} has numbers of its own for each head")
        return found

    def _regrouped(self, i: int, node: Node, at: Heads) -> Heads:
        """Where the heads are in what a Reshape, or its kin, reads."""
        before, after = self._shape(node.inputs[0]), self._shape(node.outputs[0])
        if 0 in before:
            raise Stuck(f"{node.op} {node.label} has no elements")
        reads, makes = next((a, b) for a, b in blocks(before, after) if b.start <= at.axis < b.stop)
        if prod(after[makes.start : at.axis]) != 1:
            raise Stuck(f"{node.op} {node.label}: its heads lie in one axis with the batch")
        unit = at.unit * prod(after[at.axis + 1 : makes.stop])
        axis = reads.start
        while axis < reads.stop - 1 and before[axis] == 1:
            axis += 1
        trailing = prod(before[axis + 1 : reads.stop])
        if unit % trailing or before[axis] != self.heads * (unit // trailing):
            raise Stuck(f"{node.op} {node.label}: its heads lie in one axis with others")
        if node.op == "Reshape":
            self._retarget(i, node, at)
        return Heads(axis, unit // trailing)

    def _retarget(self, i: int, node: Node, at: Heads) -> None:
        """A target that states how many heads there are states fewer."""
        if len(node.inputs) < 2:
            stated = list(node.attrs.get("shape", ()))
            if stated and stated[at.axis] > 0:
                stated[at.axis] = self.size(at)
                self.nodes[i] = replace(node, attrs={**node.attrs, "shape": tuple(stated)})
            return
        value = self.symbolic.get(node.inputs[1]) or self._constant(node.inputs[1])
        data = None if value is None else value.data
        if data is None or type(data[at.axis]) is not int or data[at.axis] in (0, -1):
            return
        target = self._target(node, [*data[: at.axis], self.size(at), *data[at.axis + 1 :]])
        self.nodes[i] = replace(node, inputs=(node.inputs[0], target))

    def _target(self, node: Node, entries: list[object]) -> str:
        """A constant target; what depends on what is fed is copied, or left open."""
        before = self.symbolic[node.inputs[0]].shape or ()
        for place, entry in enumerate(entries):
            if type(entry) is int:
                continue
            if place < len(before) and before[place] == entry and not node.attrs.get("allowzero", 0):
                entries[place] = 0
            elif -1 in entries:
                raise Stuck(f"the target of Reshape {node.label} depends on what is fed in two places")
            else:
                entries[place] = -1
        return self.whole_numbers(f"{node.inputs[1]}.kv", [int(str(entry)) for entry in entries])

    def whole_numbers(self, like: str, numbers: Sequence[int]) -> str:
        """A new constant of int64."""
        import numpy as np

        from effaudit.whatif.constants import literal

        return self.draft.add(like, literal("", np.array(numbers, np.int64)))

    def _constant(self, name: str) -> Value | None:
        constant = self.draft.constant(name)
        return None if constant is None else value_of(constant)
