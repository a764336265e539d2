"""One node as its conditions see it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from effaudit.dataflow import Flow
from effaudit.dims import Dim
from effaudit.graph import Graph, Node, Value
from effaudit.ops._registry import find
from effaudit.ops._windows import pad_pairs, per_axis


def names_of(node: Node) -> tuple[str, ...]:
    """The names of an operator's inputs in lower case; none of an operator that is not known."""
    rules = find(node.domain, node.op)
    takes = (rules.shape_takes or rules.cost_takes) if rules is not None else None
    return takes.inputs if takes is not None else ()


class Call(msgspec.Struct, frozen=True, gc=False):
    """A node of a graph, with the shapes and types of what it reads and writes. `names` are the inputs of its operator,
    in order."""

    graph: Graph
    known: Flow
    node: Node
    names: tuple[str, ...]

    def value(self, name: str) -> Value | None:
        """A tensor, None where nothing is known of it."""
        return self.graph.values.get(name) if name else None

    @property
    def first(self) -> Value | None:
        """The first input."""
        return self.value(self.node.inputs[0]) if self.node.inputs else None

    @property
    def result(self) -> Value | None:
        """The first output."""
        return self.value(self.node.outputs[0]) if self.node.outputs else None

    def named(self, wanted: str) -> str:
        """The tensor at an input of the operator's schema, in any case of letters; "" where the node leaves it out or
        the operator has none of that name."""
        name = wanted.lower()
        at = self.names.index(name) if name in self.names else len(self.node.inputs)
        return self.node.inputs[at] if at < len(self.node.inputs) else ""

    def shape(self) -> Sequence[Dim] | None:
        """The shape of the first input."""
        return None if self.first is None else self.first.shape

    @property
    def rank(self) -> int | None:
        """The rank of the first input."""
        shape = self.shape()
        return None if shape is None else len(shape)

    def tensors(self) -> Iterator[tuple[str, Value]]:
        """What it reads and writes that depends on the model's inputs, each tensor once."""
        for name in dict.fromkeys((*self.node.inputs, *self.node.outputs)):
            value = self.value(name)
            if value is not None and name in self.known.varying:
                yield name, value

    def kernel(self) -> Sequence[Dim] | None:
        """The window: `kernel_shape`, or the weights' axes after the first two."""
        stated = self.node.attrs.get("kernel_shape")
        if stated:
            return tuple(stated)
        weights = self.value(self.named("w"))
        return None if weights is None or weights.shape is None else weights.shape[2:]

    def axes(self, attribute: str) -> Sequence[int]:
        """`strides` or `dilations`, one per axis of the window. Raises ValueError on another number of them."""
        return per_axis(self.node.attrs.get(attribute), len(self.kernel() or ()), 1)

    def pads(self) -> Sequence[int] | None:
        """Every padding, at both ends of every axis; None where it follows from sizes that are not known."""
        kernel = self.kernel() or ()
        auto = self.node.attrs.get("auto_pad", "NOTSET")
        if auto not in ("SAME_UPPER", "SAME_LOWER"):
            pairs = [] if auto == "VALID" else pad_pairs(self.node.attrs.get("pads"), len(kernel))
            return [end for pair in pairs for end in pair]
        found: list[int] = []
        sizes = (self.shape() or ())[2:]
        for size, window, stride, dilation in zip(
            sizes, kernel, self.axes("strides"), self.axes("dilations"), strict=True
        ):
            if not isinstance(size, int) or not isinstance(window, int):
                return None
            total = max((-(-size // stride) - 1) * stride + dilation * (window - 1) + 1 - size, 0)
            found += [total // 2, total - total // 2]
        return found
