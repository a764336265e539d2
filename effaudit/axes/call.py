"""One node as its coupling rule sees it: the axes of its tensors, its settings, and what must follow their lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from effaudit.axes.terms import Axes, Kept, Term, before, block, kept_of, length, unify
from effaudit.graph import Node, Value
from effaudit.ops._shapes import fixed_ints


class Unsuited(Exception):
    """Raised by a rule that cannot follow this node; the message says why its axes keep their lengths."""


class Length(msgspec.Struct, frozen=True):
    """A number that is the length of an axis."""

    term: Term

    def old(self) -> int:
        return self.term.size

    def new(self, kept: Kept) -> int:
        return length(self.term, kept)


class Position(msgspec.Struct, frozen=True):
    """A number that is a place on an axis."""

    term: Term
    at: int

    def old(self) -> int:
        return self.at

    def new(self, kept: Kept) -> int:
        return before(self.term, self.at, kept)


class Indices(msgspec.Struct, frozen=True):
    """All entries of a tensor are positions on an axis; those of elements that go are left out."""

    term: Term

    def new(self, entries: Sequence[int], kept: Kept) -> tuple[int, ...]:
        stays = kept_of(self.term, kept)
        if stays is None:
            return tuple(entries)
        rank = {old: new for new, old in enumerate(stays)}
        size = self.term.size
        return tuple(rank[i % size] for i in entries if i % size in rank)


Amount = Length | Position | None


class Edit(msgspec.Struct, frozen=True):
    """What of a node follows the lengths of axes: the attribute or the input `where`, entry by entry. An entry of which
    nothing is known to follow (None), and one that does not say what its amount says (0, -1, a bound past the end),
    stays as it is. `alone`: the attribute is a number, not a list."""

    node: int
    where: str | int
    amounts: tuple[Amount, ...] | Indices
    alone: bool = False


class Producer(msgspec.Struct, frozen=True):
    """A node whose constant input `slot` makes the axis `made`: the filters, columns or vectors that saliency ranks."""

    node: int
    slot: int
    weight: Axes
    made: Term


NO_AXES: Final[Axes] = ()


class Call:
    """A node with the axes of its inputs and outputs, the values of small inputs, and what the rule found."""

    __slots__ = ("i", "node", "opset", "_in", "_out", "_values", "_varying", "edits", "producers")

    def __init__(
        self,
        i: int,
        node: Node,
        opset: int,
        axes: tuple[Sequence[Axes | None], Sequence[Axes | None]],
        values: Mapping[str, Value],
        varying: frozenset[str],
    ) -> None:
        self.i, self.node, self.opset = i, node, opset
        self._in, self._out = axes
        self._values = values
        self._varying = varying
        self.edits: list[Edit] = []
        self.producers: list[Producer] = []

    # ---- what the node has
    def has(self, slot: int) -> bool:
        """True where the input is given."""
        return slot < len(self.node.inputs) and bool(self.node.inputs[slot])

    def makes(self, slot: int) -> bool:
        """True where the output is named."""
        return slot < len(self.node.outputs) and bool(self.node.outputs[slot])

    def axes(self, slot: int) -> Axes:
        """The axes of an input; none of one that is not given. Raises Unsuited where its rank is not known."""
        if not self.has(slot):
            return NO_AXES
        found = self._in[slot]
        if found is None:
            raise Unsuited(f"the rank of {self.node.inputs[slot]!r} is not known")
        return found

    def out(self, slot: int = 0) -> Axes:
        """The axes of an output. Raises Unsuited where its rank is not known."""
        if not self.makes(slot):
            return NO_AXES
        found = self._out[slot]
        if found is None:
            raise Unsuited(f"the rank of {self.node.outputs[slot]!r} is not known")
        return found

    def varies(self, slot: int) -> bool:
        """True where the input depends on an input of the graph."""
        return self.has(slot) and self.node.inputs[slot] in self._varying

    def attr(self, name: str, default: Any = None) -> Any:
        return self.node.attrs.get(name, default)

    def ints(self, name: str, slot: int) -> tuple[int, ...] | None:
        """Whole numbers of an attribute, or of the input that later versions take; None where neither is known."""
        stated = self.node.attrs.get(name)
        if stated is not None:
            return tuple(stated) if isinstance(stated, tuple) else (int(stated),)
        return fixed_ints(self._values.get(self.node.inputs[slot])) if self.has(slot) else None

    # ---- what the rule says
    def fix(self, terms: Sequence[Term], why: str) -> None:
        """These axes keep their lengths."""
        for term in terms:
            block(term, why)

    def fix_all(self, why: str) -> None:
        """All axes of the node keep their lengths."""
        for axes in (*self._in, *self._out):
            self.fix(axes or NO_AXES, why)

    def same(self, left: Sequence[Term], right: Sequence[Term]) -> None:
        """The axes of two tensors are the same, one by one. Raises Unsuited where their ranks differ."""
        if len(left) != len(right):
            raise Unsuited("tensors whose axes should be the same have not as many")
        for a, b in zip(left, right, strict=True):
            unify(a, b)

    def broadcast(self, axes: Sequence[Term], into: Sequence[Term]) -> None:
        """The axes are those of `into` from the last on, but for those of length 1."""
        if len(axes) > len(into):
            raise Unsuited("a tensor of a higher rank is broadcast to a lower one")
        for a, b in zip(reversed(axes), reversed(into), strict=False):
            if a.size != 1:
                unify(a, b)

    def vector(self, slot: int, term: Term) -> None:
        """An input holds one number per element of the axis, or one for all."""
        if self.has(slot):
            self.broadcast(self.axes(slot)[-1:], (term,))

    def made_by(self, slot: int, made: Term) -> None:
        """A constant input makes the axis."""
        if self.has(slot) and not self.varies(slot):
            self.producers.append(Producer(self.i, slot, self.axes(slot), made))

    def follows(self, where: str | int, *terms: Term) -> None:
        """The attribute or the entries of the input are the lengths of these axes."""
        self.edits.append(Edit(self.i, where, tuple(Length(t) for t in terms), alone=isinstance(where, str)))

    def edit_lengths(self, attribute: str, terms: Sequence[Term]) -> None:
        """The entries of an attribute that is a list are the lengths of these axes."""
        self.edits.append(Edit(self.i, attribute, tuple(Length(t) for t in terms)))

    def edit(self, where: str | int, amounts: Sequence[Amount] | Indices, *, alone: bool = False) -> None:
        """The attribute or the input follows what is given."""
        self.edits.append(Edit(self.i, where, amounts if isinstance(amounts, Indices) else tuple(amounts), alone))
